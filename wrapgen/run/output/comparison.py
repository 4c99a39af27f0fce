"""Two files compared line by line: what is missing, doubled or altered. Knows no run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

Same = Callable[[bytes | None, bytes | None], bool]
"""Whether a line is what it should be; None stands for no line."""

_Lines = Iterator[tuple[int, bytes | None]]

_INDEX = re.compile(rb'\{\s*(?:"run":\s*"[^"]*",\s*)?"index":\s*(\d+)|(\d+)[,\t]')
"""How a line of an output, an errors file or a table starts that tells its item's index."""


def differences(path: Path, again: Path, same: Same) -> Iterator[tuple[str, str]]:
    """What is wrong in a file, by its kind and in words.

    Args:
        path: the file.
        again: what it should be.
        same: compares two lines.
    """
    if path.suffix.lower() == ".parquet":
        if path.read_bytes() != again.read_bytes():
            yield "altered", f"{path.name} is not what the outcomes make"
        return
    with path.open("rb") as found, again.open("rb") as expected:
        for kind, number in _differences(enumerate(found, start=1), enumerate(expected, start=1), same):
            yield kind, f"line {number:,} of {path.name}"


def same_but_input(line: bytes | None, wanted: bytes | None) -> bool:
    """Whether two lines tell the same failed item; its input may have been corrected."""
    try:
        told, should = ({**json.loads(one or b""), "input": None} for one in (line, wanted))
    except (ValueError, TypeError, RecursionError):
        return line == wanted
    return told == should


def _differences(found: _Lines, expected: _Lines, same: Same) -> Iterator[tuple[str, int]]:
    """What is wrong with which line, by its number; lines that tell an index are compared with their own."""
    end = (0, None)
    (number, line), (place, wanted) = next(found, end), next(expected, end)
    while line is not None or wanted is not None:
        kind = "" if same(line, wanted) else _difference(line, wanted)
        if kind:
            yield kind, place if kind == "missing" else number
        if kind != "missing":
            number, line = next(found, end)
        if kind != "doubled":
            place, wanted = next(expected, end)


def _difference(line: bytes | None, wanted: bytes | None) -> str:
    if line is None or wanted is None:
        return "missing" if line is None else "doubled"
    has, should = _INDEX.match(line), _INDEX.match(wanted)
    if not has or not should:
        return "altered"
    ahead = int(has[1] or has[2]) - int(should[1] or should[2])
    return "missing" if ahead > 0 else "doubled" if ahead else "altered"
