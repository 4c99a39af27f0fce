"""How an output is written from the spool: which lines, in which format. A layout is a function of its own.

A failed item is never left out and never looks like a result: in its place stands an error.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from wrapgen.run.output import blocks, outcomes, whole
from wrapgen.run.spool import Slots, Spool
from wrapgen.run.states import Fate

Layout = Callable[[Path, Slots, Spool], None]
"""Writes an output, whole or not at all."""

_RESULT = b',"result":'


def keyed(path: Path, slots: Slots, spool: Spool) -> None:
    """JSON Lines of `{"index", "id", "result"}` or `{"index", "id", "error"}`: the spool's own lines."""
    with whole(path) as file:
        for stretch, block in blocks(slots, spool):
            if stretch.fates == {Fate.OK}:
                file.write(block)
                continue
            at = 0
            for _, slot in stretch.slots():
                line = block[at : at + slot.length]
                file.write(line if slot.fate == Fate.OK else _without_input(line))
                at += slot.length


def bare(path: Path, slots: Slots, spool: Spool) -> None:
    """JSON Lines of results as they came; `{"$error": {...}}` for a failed item, as in a batch."""
    with whole(path) as file:
        for _, slot, line in outcomes(slots, spool):
            if slot.fate == Fate.OK:
                # No string can hold this text: its quotes would be escaped.
                file.write(line[line.index(_RESULT) + len(_RESULT) : -2] + b"\n")
            else:
                file.write(_json({"$error": json.loads(line)["error"]}))


def _without_input(line: bytes) -> bytes:
    content = json.loads(line)
    del content["input"]
    return _json(content)


def _json(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


LAYOUTS: dict[str, Layout] = {"keyed": keyed, "bare": bare}
"""Name to layout, for JSON Lines."""
