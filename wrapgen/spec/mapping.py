"""The mapping language of endpoints: what a request takes of items, and where results stand in an answer.

Reads what the spec (and its preset) says into a small tree, and says what is wrong with it. `build.mapping`
turns the tree into Python; nothing reads it when a wrapper runs. Pure values, no files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from wrapgen.spec.names import Refused, Steps, parse_path, shown
from wrapgen.spec.tree import Path

EACH = "$each"
"""The one key of an object that means a list: what is below it, once for each item."""

_VARIABLE = re.compile(r"\$([A-Za-z_]\w*)(.*)\Z", re.DOTALL)
_DOLLARS = re.compile(r"(\$+)\{")
_KNOWN = "$item, $items, $count, $call.key, $result_schema"


@dataclass(frozen=True)
class Ref:
    """A value by its path: of an `item`, the `call`, the `answer`, or a schema; None is every element."""

    root: str
    steps: Steps


@dataclass(frozen=True)
class Text:
    """A text with values inside it."""

    parts: tuple[str | Ref, ...]


@dataclass(frozen=True)
class Each:
    """A list with one element for each item of the request."""

    of: Any


Template: TypeAlias = Any
"""A JSON value in which a `Ref`, a `Text` or an `Each` may stand."""

Report: TypeAlias = Callable[[Path, Refused], None]
"""Takes what is wrong, and where."""


def parse_template(value: Any, path: Path, report: Report, inside: bool = False) -> Template:
    """A request, or a part of it, as a tree.

    Args:
        value: as the spec has it, with `$item.text`, `$items[*].text`, `"${item.text}"` and `$call.key`.
        path: where it stands.
        report: is called for each problem.
        inside: whether it stands below `$each`.
    """
    if isinstance(value, str):
        try:
            return _of_text(value, inside)
        except Refused as refused:
            report(path, refused)
            return None
    if isinstance(value, list):
        return [parse_template(one, (*path, number), report, inside) for number, one in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if EACH not in value:
        return {key: parse_template(one, (*path, key), report, inside) for key, one in value.items()}
    if inside or len(value) > 1:
        said = "stands inside another one" if inside else "has other keys beside it"
        report(path, Refused(f"{EACH} {said}", "write one {$each: ...} where the list belongs"))
    return Each(parse_template(value[EACH], (*path, EACH), report, inside=True))


def _of_text(text: str, inside: bool) -> Template:
    if re.match(r"\$\$+(?![${])", text):
        return _with_values(text[1:], inside)
    match = _VARIABLE.match(text)
    if match:
        return _reference(match[1], match[2], inside)
    if re.match(r"\$(\Z|[.\[])", text):
        hint = f"write $item{text[1:]}" if len(text) > 1 else "write $item"
        raise Refused(f"{shown(text)} is a path into an answer, and there is none yet", hint)
    return _with_values(text, inside)


def _reference(root: str, rest: str, inside: bool) -> Ref | Each:
    if root == "items":
        steps = parse_path("$" + (rest or "[*]"))
        if steps[0] is not None:
            raise Refused("$items is a list", f"write $items[*]{rest}, or $item{rest}")
        if inside:
            raise Refused("below $each there is one item", f"write $item{rest.replace('[*]', '', 1)}")
        return Each(Ref("item", steps[1:]))
    if root == "call":
        if rest != ".key":
            raise Refused(f"a call has no {shown(rest.lstrip('.') or 'value')}", "write $call.key")
        return Ref("call", ("key",))
    if root in ("result_schema", "item_schema", "count") and not rest:
        return Ref(root, ())
    if root != "item":
        raise Refused(
            f"unknown variable ${root}",
            f"there are {_KNOWN}; text that starts with $ is written with two: $${root}",
        )
    return Ref("item", parse_path("$" + rest))


def _with_values(text: str, inside: bool) -> str | Text:
    """Text in which `${item.text}` means a value; before a brace two `$` mean one."""
    parts: list[str | Ref] = [""]
    end = 0
    for match in _DOLLARS.finditer(text):
        if match.start() < end:
            continue
        before = text[end : match.start()] + "$" * (len(match[1]) // 2)
        end = match.end() - 1
        parts[-1] = f"{parts[-1]}{before}"
        if len(match[1]) % 2:
            inner, closed, _ = text[match.end() :].partition("}")
            variable = _VARIABLE.match("$" + inner.strip())
            if not closed or not variable:
                said = f"{shown(text[match.start() :])} is no value in a text"
                raise Refused(said, "write for example ${item.text}; a brace after $$ is only a brace")
            found = _reference(variable[1], variable[2], inside)
            if isinstance(found, Each):
                raise Refused("a text can't hold a list of items", "write ${item.text}")
            parts += [found, ""]
            end = match.end() + len(inner) + 1
    parts[-1] = f"{parts[-1]}{text[end:]}"
    if len(parts) == 1:
        return str(parts[0])
    return Text(tuple(part for part in parts if part != ""))


def walk(template: Template, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every `Ref`, `Text` and `Each` outside of another one, with its place."""
    if isinstance(template, (Ref, Text, Each)):
        yield path, template
    elif isinstance(template, (dict, list)):
        pairs = template.items() if isinstance(template, dict) else enumerate(template)
        for key, one in pairs:
            yield from walk(one, (*path, key))


def takes_lists(template: Template) -> bool:
    """Whether one request carries a list of items."""
    return any(isinstance(one, Each) for _, one in walk(template))


def references(template: Template) -> Iterator[tuple[Path, Ref]]:
    """Every `Ref`, also those inside texts and lists."""
    for path, one in walk(template):
        if isinstance(one, Each):
            yield from ((path, inner) for _, inner in references(one.of))
        elif isinstance(one, Text):
            yield from ((path, part) for part in one.parts if isinstance(part, Ref))
        else:
            yield path, one


def check_scope(template: Template, path: Path, report: Report) -> None:
    """Refuses what is not one value for the whole of a request that carries a list."""
    if not takes_lists(template):
        return
    for where, one in walk(template, path):
        parts = one.parts if isinstance(one, Text) else [one]
        if any(isinstance(part, Ref) and part.root == "item" for part in parts):
            refused = Refused(
                "$item is one item, and this request carries a list of them",
                "write $items[*].text for a value of each, or {$each: ...} around what each item gives",
            )
            report(where, refused)
    for where, one in walk(template, path):
        if isinstance(one, Each) and any(ref.root == "call" for _, ref in references(one.of)):
            report(where, Refused("$call.key is one for the whole request", "write it outside of the list"))


def parse_result(value: Any, path: Path, report: Report) -> Template:
    """Where a result stands in an answer: a path, or an object or list of paths."""
    if isinstance(value, str):
        try:
            return Ref("answer", parse_path(value))
        except Refused as refused:
            report(path, refused)
    elif isinstance(value, dict) and value:
        return {key: parse_result(one, (*path, key), report) for key, one in value.items()}
    elif isinstance(value, list) and value:
        return [parse_result(one, (*path, number), report) for number, one in enumerate(value)]
    else:
        report(path, Refused("a result is a path into the answer", "write for example $.predictions[*]"))
    return None


def check_result(template: Template, path: Path, report: Report, lists: bool) -> None:
    """Refuses a result that can't give one value for each item of a list."""
    found = [(where, one) for where, one in walk(template, path) if isinstance(one, Ref)]
    if not lists or not found or any(None in one.steps for _, one in found):
        return
    where, ref = found[0]
    written = "$" + path_text(ref.steps)
    said = "the request carries a list of items, and this is one value, not one for each"
    report(where, Refused(said, f"write {written}[*], or where in the answer the list of results stands"))


def path_text(steps: Steps) -> str:
    """A path as it is written, without what it starts from."""
    return "".join(map(_step_text, steps))


def _step_text(step: str | int | None) -> str:
    if step is None:
        return "[*]"
    if isinstance(step, int):
        return f"[{step}]"
    return f".{step}" if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", step) else f"['{step}']"


def substituted(value: Any, facts: Mapping[str, Any]) -> Any:
    """A preset's part with `$target.model.name` replaced by what the spec says.

    An entry of an object or list whose value the spec does not say is left out, and so is a list in a list.
    """
    if isinstance(value, str) and value.startswith("$target."):
        return _fact(parse_path("$" + value.removeprefix("$target")), facts)
    if isinstance(value, dict):
        if set(value) == {"$values"} or set(value) == {"$keys"}:
            found = substituted(next(iter(value.values())), facts)
            missing = found is MISSING or not isinstance(found, dict)
            return MISSING if missing else list(found.values() if "$values" in value else found)
        pairs = ((key, substituted(one, facts)) for key, one in value.items())
        return {key: one for key, one in pairs if one is not MISSING}
    if isinstance(value, list):
        return [one for one in (substituted(each, facts) for each in value) if one is not MISSING]
    return value


MISSING: Any = object()
"""What a spec does not say."""


def _fact(steps: Steps, facts: Any) -> Any:
    for step in steps:
        if not isinstance(facts, Mapping) or facts.get(step) is None:
            return MISSING
        facts = facts[step]
    return facts
