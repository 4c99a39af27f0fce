"""Every mistake in a spec at once, each where it stands: the model's faults in our words, and the rules that
tie several values together. Works on the tree as written, so that one wrong value hides no other.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from wrapgen.errors import Problem
from wrapgen.spec import environments, names
from wrapgen.spec.model import Datastore, Dispatch, Limits, Publish, RecordPart, Spec, Target, WrapperPart
from wrapgen.spec.store import Store, parse_store
from wrapgen.spec.tree import Path, Tree

SECTIONS: dict[str, type[BaseModel]] = {
    "target": Target,
    "wrapper": WrapperPart,
    "datastore": Datastore,
    "dispatch": Dispatch,
    "limits": Limits,
    "record": RecordPart,
    "publish": Publish,
}
"""The sections of a spec, in the order in which it is written."""

_MISSING_HINTS = {
    ("version",): "write version: 1 at the top",
    ("target",): "add a section target: with algorithm: owner/name/version",
    ("wrapper",): "add a section wrapper: with name: and mode:",
    ("wrapper", "name"): "write name: owner/Name, such as acme/SentimentBatch",
    ("wrapper", "mode"): "write mode: batch, mode: log or mode: both",
}

Fault: TypeAlias = tuple[Path, str, str]
"""Where, what is wrong, what to write."""


def validate(tree: Tree) -> Spec | None:
    """The spec that a tree holds; None if it has problems, which are then in the tree's list."""
    if not isinstance(tree.value, dict):
        said = "the file is empty" if tree.value is None else f"a spec is a mapping, not {_kind(tree.value)}"
        tree.problem((), said, "start with version: 1; wrapgen init writes a commented spec")
        return None
    spec = None
    try:
        spec = Spec.model_validate(tree.value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            _report(tree, detail)
    for rule in RULES:
        for path, message, hint in rule(tree.value):
            tree.problem(path, message, hint, key=_is_key(tree, path))
    return None if tree.problems else spec


def _is_key(tree: Tree, path: Path) -> bool:
    """A section is pointed at by its key, a single value by itself."""
    value: Any = tree.value
    for step in path:
        value = value[step] if isinstance(value, (dict, list)) else None
    return isinstance(value, dict)


def _report(tree: Tree, detail: ErrorDetails) -> None:
    path: Path = detail["loc"]
    kind = detail["type"]
    if kind == "extra_forbidden":
        tree.problem(path, f"unknown key {_key(path[-1])}{_under(path)}", _suggest(path), key=True)
    elif kind == "missing":
        hint = _MISSING_HINTS.get(tuple(map(str, path)), f"add {path[-1]}:")
        tree.problem(path[:-1], f"the key {path[-1]} is missing{_under(path)}", hint, key=True)
    else:
        message, hint = _reword(detail)
        tree.problem(path, message, hint)


def _reword(detail: ErrorDetails) -> tuple[str, str]:
    """A fault of one value in our words: what is wrong, what to write."""
    key, value, context = detail["loc"][-1], detail["input"], detail.get("ctx", {})
    reword = _WORDS.get(detail["type"])
    if detail["type"] == "refused":
        return context["said"], context["hint"]
    if reword is None:
        return f"{key}: {detail['msg']}", ""
    return reword(str(key), value, context)


def _not_listed(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    expected = context["expected"].replace("'", "")
    words = expected.replace(" or ", ", ").split(", ")
    close = difflib.get_close_matches(value.lower(), words, 1, 0.6) if isinstance(value, str) else []
    if key == "version":
        return f"version must be the number 1, not {_kind(value)}", "write version: 1"
    return f"{key} is {_kind(value)}", f"did you mean {close[0]}?" if close else f"write {expected}"


def _not_whole(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    hint = f"write {key}: 1" if not _digits(value) else f"write {key}: {value}, without quotes"
    return f"{key} must be a whole number, not {_kind(value)}", hint


def _not_text(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    if isinstance(value, (int, float)):
        return f"{key} must be text, not {_kind(value)}", "put it in quotes if it is meant so"
    return f"{key} must be text, not {_kind(value)}", "write one value on the same line"


def _not_section(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    keys = ", ".join(SECTIONS[key].model_fields) if key in SECTIONS else ""
    if value is None:
        return f"{key} is empty", f"leave it out, or give it some of: {keys}"
    return f"{key} must be a section, not {_kind(value)}", f"indent its keys below it: {keys}"


def _not_list(key: str, value: Any, _: dict[str, Any]) -> tuple[str, str]:
    return f"{key} must be a list, not {_kind(value)}", f"write {key}: [...]"


def _too_small(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{key} is {value}, and the least is {context['ge']}", ""


def _too_large(key: str, value: Any, context: dict[str, Any]) -> tuple[str, str]:
    return f"{key} is {value}, and the most is {context['le']}", ""


_WORDS: dict[str, Callable[[str, Any, dict[str, Any]], tuple[str, str]]] = {
    "literal_error": _not_listed,
    "int_type": _not_whole,
    "int_from_float": _not_whole,
    "string_type": _not_text,
    "model_type": _not_section,
    "tuple_type": _not_list,
    "greater_than_equal": _too_small,
    "less_than_equal": _too_large,
}


def _digits(value: Any) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


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


def _suggest(path: Path) -> str:
    """What an unknown key may have been meant as: a similar one here, or the same one in another section."""
    key, section = str(path[-1]), str(path[0]) if len(path) > 1 else None
    close = difflib.get_close_matches(key.lower().replace("-", "_"), _fields(section), 1, 0.6)
    if close:
        return f"did you mean {close[0]}?"
    homes = [name for name, model in SECTIONS.items() if key in model.model_fields]
    if homes:
        return f"{key} belongs in the section {' or '.join(homes)}"
    if section and key in SECTIONS:
        return f"{key} is a section of its own: write it without indentation"
    return f"the keys here are {', '.join(_fields(section))}"


# Rules over several values. Each gets the document as written, in which anything may be missing or wrong, and
# yields nothing where a value that it needs is not usable: the model has reported that already.


def _section(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name)
    return value if isinstance(value, dict) else {}


def _text(section: dict[str, Any], key: str) -> str | None:
    value = section.get(key)
    return value if isinstance(value, str) else None


def _one_target(document: dict[str, Any]) -> Iterator[Fault]:
    target = document.get("target")
    if not isinstance(target, dict):
        return
    both = target.get("algorithm") is not None and target.get("source") is not None
    if both:
        yield ("target", "source"), "a target is either an algorithm or a source folder", "remove one of them"
    elif target.get("algorithm") is None and target.get("source") is None:
        yield (
            ("target",),
            "the target names no algorithm",
            "write algorithm: owner/name/version, or source: ./folder",
        )


def _no_self_call(document: dict[str, Any]) -> Iterator[Fault]:
    reference = _text(_section(document, "target"), "algorithm") or ""
    name = _text(_section(document, "wrapper"), "name") or ""
    bare = "/".join(reference.removeprefix("algo://").split("/")[:2])
    if name and bare.lower() == name.lower():
        yield (
            ("wrapper", "name"),
            "the wrapper would call itself: it has its target's name",
            f"write for example {name}Batch",
        )


def _list_input(document: dict[str, Any]) -> Iterator[Fault]:
    target = _section(document, "target")
    if target.get("input") != "list":
        return
    size = target.get("batch_size")
    if isinstance(size, int) and size > 1:
        yield (
            ("target", "batch_size"),
            "batch_size sends lists of items, but with input: list one list is one item",
            "remove batch_size or input: list",
        )
    if _section(document, "dispatch").get("on_error") == "raise":
        yield (
            ("dispatch", "on_error"),
            "on_error: raise is about bare lists, and with input: list a bare list is one item",
            "remove on_error or input: list",
        )


def _datastore_by_mode(document: dict[str, Any]) -> Iterator[Fault]:
    mode = _section(document, "wrapper").get("mode")
    store = document.get("datastore")
    if mode == "batch":
        if store is not None:
            yield (
                ("datastore",),
                "mode batch records nothing, so there is no datastore",
                "write mode: both, or remove datastore",
            )
        if _section(document, "record"):
            yield (
                ("record",),
                "mode batch records nothing, so records have no id",
                "write mode: both, or remove record",
            )
    elif mode in ("log", "both") and "datastore" not in document:
        yield (
            ("wrapper", "mode"),
            f"mode {mode} records every item, and there is no datastore",
            "add a section datastore: with url:",
        )
    if mode == "log" and _section(document, "dispatch").get("on_error") == "raise":
        yield (
            ("dispatch", "on_error"),
            "on_error: raise is about bare lists, and in mode log a bare list is one item",
            "remove on_error, or write mode: both",
        )


def _one_url(document: dict[str, Any]) -> Iterator[Fault]:
    store = document.get("datastore")
    if not isinstance(store, dict):
        return
    url, variable = store.get("url"), store.get("url_env")
    if url is not None and variable is not None:
        yield ("datastore", "url_env"), "a datastore has either url or url_env", "remove one of them"
    elif url is None and variable is None:
        yield (
            ("datastore",),
            "the datastore has no url",
            "write url: data://owner/collection, or url_env: VARIABLE",
        )


def _stores(document: dict[str, Any]) -> Iterator[tuple[Path, Store]]:
    """The datastores whose URLs can be read, each with its place."""
    section = _section(document, "datastore")
    copies = section.get("copies")
    written: list[tuple[Path, Any]] = [(("datastore", "url"), section.get("url"))]
    written += [
        (("datastore", "copies", n), url) for n, url in enumerate(copies if isinstance(copies, list) else [])
    ]
    for path, url in written:
        try:
            yield path, parse_store(url if isinstance(url, str) else "")
        except names.Refused:
            continue


def _each_store_once(document: dict[str, Any]) -> Iterator[Fault]:
    seen: set[str | None] = set()
    for path, store in _stores(document):
        if store.url in seen:
            yield path, f"{store.url} is a datastore of this spec already", "remove it from copies"
        seen.add(store.url)


def _key_needs_data(document: dict[str, Any]) -> Iterator[Fault]:
    stores = list(_stores(document))
    first = _section(document, "datastore")
    known = bool(stores) and (stores[0][0] == ("datastore", "url") or "url_env" in first)
    if _text(first, "key_env") and known and not any(store.kind == "data" for _, store in stores):
        yield (
            ("datastore", "key_env"),
            "key_env is the key for a data URL, and there is none",
            "remove key_env",
        )


def _isolated(document: dict[str, Any]) -> Iterator[Fault]:
    if _section(document, "publish").get("network_access") != "isolated":
        return
    for path, store in _stores(document):
        if store.kind != "data" and store.dialect != "sqlite":
            yield (
                path,
                f"with network_access: isolated the wrapper can't reach {store.where}",
                "write network_access: full",
            )
    if _text(_section(document, "datastore"), "url_env"):
        yield (
            ("datastore", "url_env"),
            "with network_access: isolated the wrapper can reach no database",
            "write network_access: full",
        )


def _times(document: dict[str, Any]) -> Iterator[Fault]:
    item = _section(document, "dispatch").get("item_timeout")
    whole = _section(document, "limits").get("timeout")
    if isinstance(item, int) and isinstance(whole, int) and whole < item <= 3000:
        yield (
            ("limits", "timeout"),
            f"a call has {whole} s, less than the {item} s of item_timeout for one item",
            f"write timeout: {min(item * 2, 3000)}, or a shorter item_timeout",
        )


RULES: tuple[Callable[[dict[str, Any]], Iterator[Fault]], ...] = (
    _one_target,
    _no_self_call,
    _list_input,
    _datastore_by_mode,
    _one_url,
    _each_store_once,
    _key_needs_data,
    _isolated,
    _times,
)
"""What ties several values together. A rule more is an entry more."""


def warnings(spec: Spec, tree: Tree | None = None) -> list[Problem]:
    """What is allowed in a spec but likely to surprise, each with its place if the tree is given.

    Args:
        spec: a valid spec.
        tree: the tree that it was read from; without it every place is line 1.
    """
    at = (tree or Tree()).place
    found: list[Problem] = []
    if spec.target.algorithm and not names.parse_reference(spec.target.algorithm).is_full:
        found.append(
            Problem(
                *at(("target", "algorithm")),
                f"{spec.target.algorithm} can change under you: its version is not a full one",
                "write major.minor.revision, such as 1.0.5",
            )
        )
    store = spec.datastore
    if store and store.url and store.store.kind == "data" and not store.key_env:
        found.append(
            Problem(
                *at(("datastore", "url")),
                f"only calls by the owner of {store.url} are recorded: an algorithm acts as its caller",
                "key_env: names a variable that holds the owner's key, if others call too",
            )
        )
    name = spec.wrapper.environment
    if name and not environments.is_tested(name):
        found.append(
            Problem(
                *at(("wrapper", "environment")),
                f"generated code is tested on Python 3.7 to 3.13, not on {name}",
            )
        )
    return found
