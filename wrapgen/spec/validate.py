"""Every mistake in a spec at once, each with its place: the model's errors in clear messages, and the rules
that tie several values together. Works on the tree as written, so that one wrong value hides no other.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wrapgen.errors import Problem
from wrapgen.references import Reference
from wrapgen.spec import names, rules
from wrapgen.spec.expand import expand
from wrapgen.spec.model import Datastore, Dispatch, Limits, Publish, RecordPart, Spec, WrapperPart
from wrapgen.spec.preset import presets
from wrapgen.spec.serving import Serve
from wrapgen.spec.target import NESTED, Target
from wrapgen.spec.tree import LONGEST_NUMBER, Path, Tree

SECTIONS: dict[str, type[BaseModel]] = {
    "target": Target,
    "wrapper": WrapperPart,
    "datastore": Datastore,
    "dispatch": Dispatch,
    "limits": Limits,
    "record": RecordPart,
    "publish": Publish,
    "serve": Serve,
}
"""The sections of a spec, in the order in which it is written."""

_NO_PLUGINS = "PYDANTIC_DISABLE_PLUGINS"

_MISSING_HINTS = {
    ("version",): "write version: 1 at the top",
    ("target",): "add a section target: with algorithm: owner/name/version",
    ("wrapper",): "add a section wrapper: with name: and mode:",
    ("wrapper", "name"): "write name: owner/Name, such as acme/SentimentBatch",
    ("wrapper", "mode"): "write mode: batch, mode: log or mode: both",
}


def validate(tree: Tree, attached: Mapping[str, bytes]) -> Spec | None:
    """The spec that a tree holds; None if it has problems, which are then in the tree's list.

    Args:
        attached: the files beside the spec that an endpoint's keys name.
    """
    if not isinstance(tree.value, dict):
        said = "the file is empty" if tree.value is None else f"a spec is a mapping, not {_kind(tree.value)}"
        tree.problem((), said, "start with version: 1; wrapgen init writes a commented spec")
        return None
    _rename(tree)
    _spell_out(tree)
    spec, is_readable = None, True
    try:
        _complete()
        spec = Spec.model_validate(tree.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"] == ("target", "result") and "endpoint" in tree.value["target"]:
                continue  # the mapping's to tell
            _report(tree, detail)
            is_target = detail["loc"][:1] == ("target",)
            wrong = detail["type"].endswith("_type") or detail["loc"][-1] == "endpoint"
            is_readable = is_readable and not (is_target and wrong)
    for rule in rules.RULES:
        for path, message, hint in rule(tree.value):
            tree.problem(path, message, hint, key=_is_key(tree, path))
    target = tree.value.get("target")
    if isinstance(target, dict) and is_readable:
        expand(target, presets(attached), lambda path, refused: _refuse(tree, path, refused))
    return None if tree.problems else spec


def _refuse(tree: Tree, path: Path, refused: names.Refused) -> None:
    """Adds what is wrong with a mapping, unless its place has a problem already."""
    if any((problem.line, problem.column) == tree.place(path) for problem in tree.problems):
        return
    tree.problem(path, f"{'.'.join(map(str, path))}: {refused.message}", refused.hint)


def _rename(tree: Tree) -> None:
    """Takes a misspelled top key for the one it was meant as, so that what is below it is checked too."""
    for key in [key for key in tree.value if key not in Spec.model_fields]:
        close = _close(key, None)
        if close and close not in tree.value:
            tree.problem((key,), f"unknown key {_key(key)}", f"did you mean {close}?", key=True)
            tree.value[close] = tree.value.pop(key)
            for places in (tree.keys, tree.values):
                places.update({(close, *path[1:]): places[path] for path in [*places] if path[:1] == (key,)})


def _spell_out(tree: Tree) -> None:
    """Takes a datastore that is but a URL for the section that it abbreviates."""
    if isinstance(tree.value.get("datastore"), str):
        tree.value["datastore"] = {"url": tree.value["datastore"]}
        for places in (tree.keys, tree.values):
            if ("datastore",) in places:
                places[("datastore", "url")] = places[("datastore",)]


def _complete() -> None:
    """Builds the validator of `Spec`, once, without looking for plugins of Pydantic.

    It would look through every installed distribution, which takes longer than all the rest of a check.
    """
    if Spec.__pydantic_complete__:
        return
    before = os.environ.get(_NO_PLUGINS)
    os.environ[_NO_PLUGINS] = "__all__"
    try:
        Spec.model_rebuild()
    finally:
        if before is None:
            del os.environ[_NO_PLUGINS]
        else:
            os.environ[_NO_PLUGINS] = before


def _is_key(tree: Tree, path: Path) -> bool:
    """A section is pointed at by its key, a single value by itself."""
    value: Any = tree.value
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return isinstance(value, dict)


def _report(tree: Tree, detail: ErrorDetails) -> None:
    path: Path = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        tree.problem(path, f"unknown key {_key(path[-1])}{_under(path)}", _suggest(path), key=True)
    elif kind == "missing":
        hint = _MISSING_HINTS.get(tuple(map(str, path)), f"add {path[-1]}:")
        tree.problem(path[:-1], f"the key {path[-1]} is missing{_under(path)}", hint, key=True)
    elif not any((problem.line, problem.column) == tree.place(path) for problem in tree.problems):
        message, hint = _reword(detail)
        tree.problem(path, message, hint)


def _reword(detail: ErrorDetails) -> tuple[str, str]:
    """The message for one wrong value: what is wrong, what to write."""
    value, context = detail["input"], detail.get("ctx", {})
    *above, last = detail["loc"]
    key = f"{above[-1]}[{last}]" if isinstance(last, int) else last
    reword = _WORDS.get(detail["type"])
    if detail["type"] == "refused":
        return context["said"], context["hint"]
    if reword is None:
        return f"{key}: {detail['msg']}", ""
    return reword(key, value, context)


def _not_listed(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    expected = context["expected"].replace("'", "")
    words = expected.replace(" or ", ", ").split(", ")
    close = difflib.get_close_matches(value.lower(), words, 1, 0.6) if isinstance(value, str) else []
    if expected == "1":
        return "version must be the number 1", "write version: 1"
    return f"{key} is {_kind(value)}", f"did you mean {close[0]}?" if close else f"write {key}: {expected}"


def _not_whole(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    hint = "write digits only, without a unit"
    if isinstance(value, str) and value.isascii() and value.isdigit():
        short = len(value) <= LONGEST_NUMBER
        hint = f"write {key}: {value}, without quotes" if short else "write a shorter number, without quotes"
    elif isinstance(value, float) and value == int(value):
        hint = f"write {key}: {int(value)}"
    return f"{key} must be a whole number, not {_kind(value)}", hint


def _not_text(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    if isinstance(value, (int, float)):
        return f"{key} must be text, not {_kind(value)}", "put it in quotes if it is meant so"
    if value is None:
        return f"{key} is empty", "give it a value, or remove it"
    return f"{key} must be text, not {_kind(value)}", "write one value on the same line"


def _not_section(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    known: dict[str, Any] = {**NESTED, **SECTIONS}
    keys = ", ".join(known[key].model_fields) if key in known else ""
    if value is None:
        return f"{key} is empty", f"leave it out, or give it some of: {keys}"
    return f"{key} must be a section, not {_kind(value)}", f"indent its keys below it: {keys}"


def _not_list(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    return f"{key} must be a list, not {_kind(value)}", f"write {key}: [...]"


def _not_object(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    return f"{key} must be an object, not {_kind(value)}", f"write {key}: {{NAME: ...}}"


def _not_number(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    return f"{key} must be a number, not {_kind(value)}", "write digits only, without a unit"


def _not_truth(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    return f"{key} must be true or false, not {_kind(value)}", f"write {key}: true or {key}: false"


def _too_small(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{key} is {value}, and the least is {context['ge']}", ""


def _too_large(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{key} is {value}, and the most is {context['le']}", ""


_WORDS: dict[str, Callable[[str, Any, dict[str, Any]], tuple[str, str]]] = {
    "literal_error": _not_listed,
    "int_type": _not_whole,
    "int_from_float": _not_whole,
    "string_type": _not_text,
    "bool_type": _not_truth,
    "dict_type": _not_object,
    "float_type": _not_number,
    "model_type": _not_section,
    "tuple_type": _not_list,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_large,
}


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return f"the truth value {str(value).lower()}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    if isinstance(value, str):
        return f"the text {names.shown(value)}"
    return "a list" if isinstance(value, list) else "a section"


def _key(key: str | int) -> str:
    return key if isinstance(key, str) and key.isascii() and key.isidentifier() else names.shown(str(key))


def _under(path: Path) -> str:
    return f" in {'.'.join(map(str, path[:-1]))}" if len(path) > 1 else ""


def _fields(section: str | None) -> dict[str, FieldInfo]:
    return SECTIONS[section].model_fields if section else Spec.model_fields


def _close(key: str, section: str | None) -> str:
    """The key of a section, or of the top, that is most like a misspelled one; empty if none is like it."""
    found = difflib.get_close_matches(key.lower().replace("-", "_"), _fields(section), 1, 0.6)
    return found[0] if found else ""


def _suggest(path: Path) -> str:
    """What an unknown key may have been meant as: a similar one here, or the same one in another section."""
    key, section = str(path[-1]), str(path[0]) if len(path) > 1 else None
    inner = next((NESTED[str(step)] for step in reversed(path[1:-1]) if step in NESTED), None)
    if inner is not None:
        alike = difflib.get_close_matches(key.lower(), inner.model_fields, 1, 0.6)
        return f"did you mean {alike[0]}?" if alike else f"the keys here are {', '.join(inner.model_fields)}"
    close = _close(key, section)
    if close:
        return f"did you mean {close}?"
    homes = [name for name, model in SECTIONS.items() if key in model.model_fields]
    if homes:
        return f"{key} belongs in the section {' or '.join(homes)}"
    if section and key in SECTIONS:
        return f"{key} is a section of its own: write it without indentation"
    return f"the keys here are {', '.join(_fields(section))}"


def warnings(spec: Spec, tree: Tree | None = None) -> list[Problem]:
    """The warnings: what is allowed but likely to surprise, each with its place if the tree is given.

    Args:
        spec: a valid spec.
        tree: the tree that it was read from; without it every place is line 1.
    """
    at = (tree or Tree()).place
    return [Problem(*at(path), message, hint) for path, message, hint in _surprises(spec)]


def _surprises(spec: Spec) -> Iterator[rules.Fault]:
    target, store, environment = spec.target.algorithm, spec.datastore, spec.wrapper.environment
    if target and not Reference.parse(target).is_full:
        yield (
            ("target", "algorithm"),
            f"{target} can change under you: its version is not a full one",
            "write major.minor.revision, such as 1.0.5",
        )
    if store and store.url and store.store.traits.hosted and not store.key_env:
        yield (
            ("datastore", "url"),
            f"only calls by the owner of {store.url} are recorded: an algorithm acts as its caller",
            "key_env: names a variable that holds the owner's key, if others call too",
        )
    if store and any(each.traits.in_folder for each in (store.store, *store.copy_stores)):
        yield (
            ("datastore", "url"),
            "a platform's sandbox shows a wrapper no folder but those that the server was started with",
            "runs on this machine need nothing; for a local platform: wrapgen serve --writable FOLDER",
        )
    if store and spec.id_version == 1:
        yield from _old_ids(spec.record.id, store.redact)
    if environment and not _is_tested(environment):
        yield (
            ("wrapper", "environment"),
            f"generated code is tested on Python 3.7 to 3.13, not on {environment}",
            "",
        )


def _old_ids(chosen: str, redact: tuple[str, ...]) -> Iterator[rules.Fault]:
    """What ids of version 1 leave out, where it makes a difference."""
    revealing = rules.reveals(chosen, redact)
    faults = ["they identify the content alone, whatever the target's version"] if chosen == "content" else []
    faults += ["they can confirm a guess of what is redacted"] if revealing else []
    if faults:
        yield (
            ("record", "id"),
            f"ids are of version 1: {', and '.join(faults)}",
            f"add id_version: 2{' and id_key_env: VARIABLE' if revealing else ''}; ids change once",
        )


_OLDEST = (3, 7)
_NEWEST = (3, 13)
"""First and last Python that generated code is run on by the tests."""


def _python_of(environment: str) -> tuple[int, int] | None:
    """The Python that an environment's name says, such as (3, 8) for `python38-gpu`; None if it says none."""
    match = re.match(r"python3(\d{1,2})(?!\d)", environment)
    return (3, int(match[1])) if match else None


def _is_tested(environment: str) -> bool:
    """Whether generated code is tested on that Python; an environment that names none counts as tested."""
    python = _python_of(environment)
    return python is None or _OLDEST <= python <= _NEWEST
