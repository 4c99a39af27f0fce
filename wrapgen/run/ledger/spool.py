"""Where outcomes wait on the disk until the output is written, and the map from run index to outcome.

The spool is append-only and synced before the ledger points at it. The slots are fixed-width and derived:
they are rebuilt from ledger and spool, and never synced. Both are read in constant memory.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, repeat
from operator import add, and_, rshift
from pathlib import Path
from typing import Any, NamedTuple

from wrapgen.errors import RunError
from wrapgen.files import open_file
from wrapgen.run.ledger.ledger import digest
from wrapgen.run.ledger.store import Log
from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import Fate, Lines, Outcome

_WIDTH = 16
_BLOCK = 4096
_OFFSET, _LENGTH, _BYTE = (1 << 48) - 1, (1 << 32) - 1, 255
"""A slot is two words: offset (48 bits) and tries (16); length (32), fate (8) and attempts (8)."""

_FATE = _BYTE << 32

_MOST_TRIES = (1 << 16) - 1

EQUAL = _BYTE
"""The attempts of an outcome that was taken over from an equal item, where slots were filled by a replay."""


class Slot(NamedTuple):
    """One item's place: offset and length of its line in the spool, last try, fate (0: none), attempts."""

    offset: int
    length: int
    tries: int
    fate: int
    attempts: int


EMPTY = Slot(0, 0, 0, 0, 0)


class Stretch(NamedTuple):
    """Items whose lines stand side by side in the spool: first index, first offset, the slots' words."""

    first: int
    offset: int
    places: Sequence[int]
    facts: Sequence[int]

    @property
    def size(self) -> int:
        """Bytes of all lines together."""
        return (self.places[-1] & _OFFSET) + (self.facts[-1] & _LENGTH) - self.offset

    @property
    def fates(self) -> set[int]:
        """The fates that occur."""
        return {word & _BYTE for word in set(map(rshift, self.facts, repeat(32)))}

    def slots(self) -> Iterator[tuple[int, Slot]]:
        """Each item's index and slot."""
        for index, (place, facts) in enumerate(zip(self.places, self.facts, strict=True), start=self.first):
            yield index, _slot(place, facts)


class Slots:
    """The map from run index to outcome, on disk: 16 bytes an item.

    Args:
        path: the file; emptied if `fresh`.
        fresh: start from nothing.
    """

    def __init__(self, path: Path, *, fresh: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if fresh else 0)
        self._descriptor = open_file(path, flags)

    def put(
        self,
        indexes: Sequence[int],
        offset: int,
        lengths: Sequence[int],
        tries: int,
        fates: Sequence[int],
        attempts: Sequence[int],
    ) -> None:
        """Notes a chunk's outcomes, whose lines stand one after another in the spool from `offset`."""
        words = array("Q", bytes(_WIDTH * len(indexes)))
        start = offset | min(tries, _MOST_TRIES) << 48
        words[0::2] = array("Q", list(accumulate(lengths, initial=start))[:-1])
        # Most chunks are all results without a failed attempt: one word to add, whatever their number.
        if len(set(fates)) == len(set(attempts)) == 1:
            kind = fates[0] << 32 | min(attempts[0], _BYTE) << 40
            words[1::2] = array("Q", [length | kind for length in lengths])
        else:
            several = zip(lengths, fates, attempts, strict=True)
            words[1::2] = array("Q", [n | fate << 32 | min(tried, _BYTE) << 40 for n, fate, tried in several])
        data = words.tobytes()
        if indexes[-1] - indexes[0] + 1 == len(indexes):
            os.pwrite(self._descriptor, data, indexes[0] * _WIDTH)
            return
        for at, index in enumerate(indexes):
            os.pwrite(self._descriptor, data[at * _WIDTH : (at + 1) * _WIDTH], index * _WIDTH)

    def sent(self, indexes: Sequence[int], tries: int) -> None:
        """Notes a send whose outcome is not known; what was known before stays."""
        for index in indexes:
            slot = self.get(index)
            self.put([index], slot.offset, [slot.length], tries, [slot.fate], [slot.attempts])

    def reopen(self, index: int) -> None:
        """Forgets a failed item's outcome; one try more may stand in the record of why it was given up."""
        self.put([index], 0, [0], self.get(index).tries + 1, [0], [0])

    def get(self, index: int) -> Slot:
        """One item's slot; EMPTY where nothing is known."""
        data = os.pread(self._descriptor, _WIDTH, index * _WIDTH)
        return _slot(*array("Q", data)) if len(data) == _WIDTH else EMPTY

    def stretches(self) -> Iterator[Stretch]:
        """Every item with an outcome in run order, as many together as stand side by side in the spool."""
        for first, words in self._blocks():
            places, facts = words[0::2], words[1::2]
            ends = map(add, places, map(and_, facts, repeat(_LENGTH)))
            # Where a line does not start at the end of the one before it, a new stretch begins.
            pairs = enumerate(zip(places[1:], ends, facts, strict=False), start=1)
            breaks = [at for at, (place, end, before) in pairs if place != end or not before & _FATE]
            for start, end in zip([0, *breaks], [*breaks, len(facts)], strict=True):
                if facts[start] >> 32 & _BYTE:
                    yield Stretch(first + start, places[start] & _OFFSET, places[start:end], facts[start:end])

    @property
    def size(self) -> int:
        """Items that have a place: one more than the highest index."""
        return os.fstat(self._descriptor).st_size // _WIDTH

    def count(self) -> tuple[int, int, int]:
        """How many items succeeded and failed, and how many of both took over the outcome of an equal one."""
        found: Counter[int] = Counter()
        for _, words in self._blocks():
            found.update(map(rshift, words[1::2], repeat(32)))
        fates: Counter[int] = Counter()
        for fate_and_attempts, count in found.items():
            fates[fate_and_attempts & _BYTE] += count
        equal = sum(found[EQUAL << 8 | fate] for fate in (Fate.OK, Fate.FAILED))
        return fates[Fate.OK], fates[Fate.FAILED], equal

    def _blocks(self) -> Iterator[tuple[int, array[int]]]:
        """The words of all slots and the index of their first; what no item of a shard is in is left out."""
        at = 0
        with suppress(OSError, AttributeError):  # there is none, or the system can't say
            at = os.lseek(self._descriptor, 0, os.SEEK_DATA) // _WIDTH * _WIDTH
        while data := os.pread(self._descriptor, _WIDTH * _BLOCK, at):
            yield at // _WIDTH, array("Q", data)
            at += len(data)

    def close(self) -> None:
        """Closes the file."""
        with suppress(OSError):  # it is made again from ledger and spool
            os.close(self._descriptor)


def _slot(place: int, facts: int) -> Slot:
    return Slot(place & _OFFSET, facts & _LENGTH, place >> 48, facts >> 32 & _BYTE, facts >> 40 & _BYTE)


def outcome_lines(chunk: Chunk, outcomes: list[Outcome]) -> Lines:
    """A chunk's outcomes as the spool keeps them, and the length of each.

    A line is the output's own; that of an item that did not succeed holds the item too.
    """
    ok = Fate.OK
    return _together(
        [
            f'{{"index":{index},"id":"{id_}","result":{body}}}\n'
            if fate is ok
            else f'{{"index":{index},"id":"{id_}","error":{body},"input":{item.decode()}}}\n'
            for index, id_, item, (fate, body, _) in zip(*_names(chunk), chunk.items, outcomes, strict=True)
        ]
    )


def line_of_equal(line: bytes, index: int, id_: str | None) -> bytes:
    """An item's line as that of an equal one under another index and id; a quote within an id is escaped."""
    at = min(filter(lambda at: at >= 0, (line.find(b'","result":'), line.find(b'","error":'))))
    name = str(index) if id_ is None else json.dumps(id_)[1:-1]
    return f'{{"index":{index},"id":"{name}'.encode() + line[at:]


def result_lines(chunk: Chunk, results: list[str]) -> Lines:
    """The same where all are results."""
    columns = zip(*_names(chunk), results, strict=True)
    return _together([f'{{"index":{index},"id":"{id_}","result":{body}}}\n' for index, id_, body in columns])


def _names(chunk: Chunk) -> tuple[list[str], list[str]]:
    """Each item's index and its id as they stand in a line, the id between its quotes."""
    indexes = list(map(str, chunk.indexes))
    return indexes, indexes if chunk.ids is None else [json.dumps(id_)[1:-1] for id_ in chunk.ids]


def _together(lines: list[str]) -> Lines:
    data = "".join(lines).encode()
    lengths = list(map(len, lines))
    if sum(lengths) != len(data):
        lengths = [len(line.encode()) for line in lines]
    return data, lengths


def is_intact(spool: Log, entry: dict[str, Any]) -> bool:
    """Whether the spool holds the bytes that an entry points at; one without a digest is believed."""
    if "h" not in entry:
        return True
    return _within(spool, entry) and digest(spool.read(entry["at"], entry["b"])) == entry["h"]


def _within(spool: Log, entry: dict[str, Any]) -> bool:
    return entry["at"] >= 0 and entry["b"] >= 0 and bool(entry["at"] + entry["b"] <= spool.size)


def spooled(spool: Log, entry: dict[str, Any]) -> list[bytes]:
    """The lines of outcomes that an entry of the ledger points at.

    Raises:
        RunError: the spool does not hold them.
    """
    if not _within(spool, entry):
        raise not_in_spool()
    return spool.read(entry["at"], entry["b"]).splitlines(keepends=True)


def not_in_spool() -> RunError:
    """What says that ledger and spool do not belong together."""
    return RunError("the spool does not hold what the ledger points at", hint="start over with --fresh")
