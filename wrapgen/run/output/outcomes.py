"""The files that a run leaves: outcomes in input order, restored from the spool, and the failed items.

Each is written whole or not at all: to `.part`, then renamed. Memory holds one stretch of the spool.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from wrapgen.files import whole
from wrapgen.run.ledger.spool import Slot, Slots, Stretch
from wrapgen.run.ledger.store import Log
from wrapgen.run.scheduling.replies import Fate

_BYTES = 4_000_000


def blocks(slots: Slots, spool: Log) -> Iterator[tuple[Stretch, bytes]]:
    """Every outcome in run order, as many at once as stand side by side in the spool; at most some MB."""
    for stretch in slots.stretches():
        size = stretch.size
        if size <= _BYTES:
            yield stretch, spool.read(stretch.offset, size)
            continue
        for at, (index, slot) in enumerate(stretch.slots()):
            one = Stretch(index, slot.offset, stretch.places[at : at + 1], stretch.facts[at : at + 1])
            yield one, spool.read(slot.offset, slot.length)


def outcomes(slots: Slots, spool: Log) -> Iterator[tuple[int, Slot, bytes]]:
    """Every outcome one by one in run order: index, slot and spool line."""
    for stretch, block in blocks(slots, spool):
        at = 0
        for index, slot in stretch.slots():
            yield index, slot, block[at : at + slot.length]
            at += slot.length


def write_errors(path: Path, run: str, slots: Slots, spool: Log) -> int:
    """Writes the failed items with run, id, index and try, so that running the file reopens exactly them.

    Returns:
        How many there are; with none, an old file is removed and none is written.
    """
    count = 0
    with whole(path) as file:
        for index, slot, line in outcomes(slots, spool):
            if slot.fate != Fate.FAILED:
                continue
            count += 1
            head = json.dumps({"run": run, "index": index, "try": slot.tries}, separators=(",", ":"))
            # The spool's line is {"index":…,"id":…,"error":…,"input":…}: all but its first member follow.
            file.write(head[:-1].encode("ascii") + line[line.index(b',"id":') :])
    if not count:
        path.unlink(missing_ok=True)
    return count
