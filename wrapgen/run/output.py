"""The files that a run leaves: outcomes in input order, restored from the spool, and the failed items.

Each is written whole or not at all: to `.part`, then renamed. Memory holds one stretch of the spool.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO

from wrapgen.run.spool import Slot, Slots, Spool
from wrapgen.run.states import Fate

_STRETCH = 2048
_BYTES = 4_000_000


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block has ended well."""
    part = path.with_name(path.name + ".part")
    with part.open("wb", buffering=1 << 20) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def outcomes(slots: Slots, spool: Spool) -> Iterator[tuple[int, Slot, bytes]]:
    """Every item's index, slot and spool line in run order, those without any outcome left out."""
    pairs = ((index, slot) for index, slot in enumerate(slots) if slot.fate)
    while stretch := list(islice(pairs, _STRETCH)):
        start = 0
        while start < len(stretch):
            end, size = start + 1, stretch[start][1].length
            # Lines that stand side by side in the spool are read at once.
            while end < len(stretch) and size < _BYTES and _adjacent(stretch[end - 1][1], stretch[end][1]):
                size += stretch[end][1].length
                end += 1
            block = spool.read(stretch[start][1].offset, size)
            at = 0
            for index, slot in stretch[start:end]:
                yield index, slot, block[at : at + slot.length]
                at += slot.length
            start = end


def _adjacent(one: Slot, other: Slot) -> bool:
    return one.offset + one.length == other.offset


def write_errors(path: Path, run: str, slots: Slots, spool: Spool) -> int:
    """Writes the failed items with run, id, index and try, so that running the file reopens exactly them.

    Returns:
        How many there are; with none, an old file is removed and none is written.
    """
    count = 0
    with whole(path) as file:
        for index, slot, line in outcomes(slots, spool):
            if slot.fate != Fate.FAILED.value:
                continue
            count += 1
            head = json.dumps({"run": run, "index": index, "try": slot.tries}, separators=(",", ":"))
            # The spool's line is {"index":…,"id":…,"error":…,"input":…}: all but its first member follow.
            file.write(head[:-1].encode("ascii") + line[line.index(b',"id":') :])
    if not count:
        path.unlink(missing_ok=True)
    return count
