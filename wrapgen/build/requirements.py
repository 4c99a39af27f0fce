"""What a wrapper needs installed: everything that it imports, and what an inline target's author asks for."""

from __future__ import annotations

import re
from functools import cache
from typing import TypeAlias

from wrapgen.build import plan
from wrapgen.build.requirement_lines import RequirementLine, author_lines, canonical
from wrapgen.files import CLIENT
from wrapgen.spec import Spec
from wrapgen.spec.load import source_error

_SPECIFIERS = re.compile(r"[A-Za-z0-9._-]+\s*\(?\s*((?:(?:[<>=!~]=?=?)\s*[\w.*+!-]+\s*,?\s*)*)\)?")
_BOUND = re.compile(r"([<>=!~]=?=?)\s*([\w.*+!-]+)")
_WIDTH = 6
"""Numbers of a version that are compared."""

Bound: TypeAlias = tuple[tuple[int, ...], bool]
"""A version, and whether it is allowed itself."""


def lines(spec: Spec) -> list[str]:
    """The lines of requirements.txt; those of an inline target's own come last, as its author wrote them.

    Raises:
        SpecError: what its author asks for can't be had beside what the wrapper needs.
    """
    return _merged(spec)[0]


def replaced(spec: Spec) -> list[str]:
    """What is left out of an inline target's requirements, a sentence each."""
    return _merged(spec)[1]


def _needed(spec: Spec) -> list[str]:
    needed = list(CLIENT)
    stores = [line for store in plan.stores(spec) for line in store.requirements]
    if plan.has_schemas(spec):
        needed += ["jsonschema>=4.0,<5", "jsonschema-specifications>=2023.3.6; python_version >= '3.8'"]
    if plan.signs(spec) and "botocore>=1.29" not in stores:
        needed.append("botocore>=1.29")
    return list(dict.fromkeys([*needed, *stores]))


def _merged(spec: Spec) -> tuple[list[str], list[str]]:
    """The wrapper's lines and the author's, one for each project that both name; and what was left out."""
    theirs, told = author_lines(spec), []
    ours = {_project(line): line for line in _needed(spec)}
    hashed = any("--hash=" in line.text or line.text == "--require-hashes" for line in theirs)
    for line in theirs[:]:
        own = ours.get(line.project, "")
        if not own:
            continue
        if _exclude_each_other(own, line.text):
            told.append(_left_out(spec, line, own, hashed=hashed))
            theirs.remove(line)
        elif not line.constraint and hashed:
            ours[line.project] = ""  # a pinned line with its hashes says it all
        elif not line.constraint and (bounds := _specifiers(line.text)) is not None:
            ours[line.project] += f",{bounds}" if bounds and bounds not in own else ""
            theirs.remove(line)
    kept = [line for line in ours.values() if line]
    if hashed and kept:
        said = f"requirements.txt asks for hashes, and the wrapper also needs {', '.join(kept)}"
        raise source_error(spec, said, "add these with their hashes")
    return kept + [line.text for line in theirs if not line.constraint], told


def _left_out(spec: Spec, line: RequirementLine, own: str, *, hashed: bool) -> str:
    """Says that a line of the vendor's client gives way to the wrapper's; nothing else does.

    Raises:
        SpecError: it can't give way.
    """
    if line.project not in map(_project, CLIENT[:2]) or line.constraint or hashed:
        said = f"{line.place}: {line.text}, and the wrapper needs {own}: no version is both"
        raise source_error(spec, said, f"widen it to a version of {own}")
    return f"{line.place}: {line.text} is left out: the wrapper needs {own}"


@cache
def _project(line: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", line)
    return canonical(match[0]) if match else ""


def _specifiers(text: str) -> str | None:
    """The bounds of a plain requirement, such as `>=1,<2`; None if it has a marker, an address or more."""
    match = _SPECIFIERS.fullmatch(text.strip())
    return re.sub(r"\s+", "", match[1]).strip(",") if match else None


def _exclude_each_other(first: str, second: str) -> bool:
    """Whether the bounds of two requirements of one project leave no version between them."""
    second = second.partition(";")[0].partition(" --")[0]
    lowest, highest = ((0,) * _WIDTH, True), ((1 << 62,) * _WIDTH, True)
    for operator, version in _BOUND.findall(first) + ([] if "@" in second else _BOUND.findall(second)):
        low, high = _range(operator, version)
        if low and (low[0], not low[1]) > (lowest[0], not lowest[1]):
            lowest = low
        if high and (high[0], high[1]) < (highest[0], highest[1]):
            highest = high
    return lowest[0] > highest[0] or (lowest[0] == highest[0] and not (lowest[1] and highest[1]))


def _range(operator: str, version: str) -> tuple[Bound | None, Bound | None]:
    """The lowest and highest version that one bound allows, each with whether it is allowed itself."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[^\d.]", version.rpartition("!")[2])[0])]
    if not numbers or operator == "!=":
        return None, None
    exact = (*numbers, *[0] * _WIDTH)[:_WIDTH]
    if operator == "~=" or version.endswith(".*"):
        kept = numbers[:-1] or numbers if operator == "~=" else numbers
        after = (*kept[:-1], kept[-1] + 1, *[0] * _WIDTH)[:_WIDTH]
        return (exact, True), (after, False)
    low = (exact, operator != ">") if operator[0] in ">=" else None
    high = (exact, operator != "<") if operator[0] in "<=" else None
    return low, high
