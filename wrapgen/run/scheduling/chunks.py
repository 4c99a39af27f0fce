"""Chunks: the items of one call, and how many of them fit. Columns instead of objects per item, for speed.

Knows bytes and counts; not what is in an item, not when a chunk is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import NamedTuple

from wrapgen.protocol import CHUNK_AIM
from wrapgen.run.scheduling.grants import Grant

_PER_ITEM = 16
"""Bytes that a comma and an index take beside an item, at most."""


class Entry(NamedTuple):
    """One item on its way into a chunk.

    Fields: run index; the item as it travels (JSON, UTF-8); its id, or None where that is the index; calls of
    the target made for it so far; sends of it so far.
    """

    index: int  # type: ignore[assignment]  # hides a method of tuple that nobody calls
    item: bytes
    id: str | None
    attempts: int = 0
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Chunk:
    """The items of one call, as columns of equal length.

    Args:
        indexes: run index of each item, rising.
        items: each as it travels: JSON, UTF-8.
        ids: one per item, or None where the index is the id.
        attempts: calls of the target made so far, per item.
        tries: sends made so far of the item that was sent most often; the next send is `tries + 1`.
        losses: sends lost at this size.
        refusals: sends that an outage refused at this size.
        suspicions: those of them, at any size, since whose refusal before others had been answered.
        answers_before: answers that the run had had when this chunk was last lost; -1: it never was.
        grant: what this send of it may spend; None: anything.
    """

    indexes: Sequence[int]
    items: Sequence[bytes]
    ids: Sequence[str] | None
    attempts: Sequence[int]
    tries: int = 0
    losses: int = 0
    refusals: int = 0
    suspicions: int = 0
    answers_before: int = -1
    grant: Grant | None = None

    def __len__(self) -> int:
        return len(self.indexes)

    @property
    def contiguous(self) -> bool:
        """Whether the indexes, which always rise, follow each other without a gap."""
        return self.indexes[-1] - self.indexes[0] + 1 == len(self.indexes)

    @property
    def weight(self) -> int:
        """Bytes that the items take on the wire."""
        ids = sum(map(len, self.ids)) * 2 if self.ids else 0
        return sum(map(len, self.items)) + ids + _PER_ITEM * len(self.items)

    def entries(self) -> Iterator[Entry]:
        """The items one by one."""
        ids: Sequence[str | None] = self.ids or [None] * len(self)
        for index, item, id_, attempts in zip(self.indexes, self.items, ids, self.attempts, strict=True):
            yield Entry(index, item, id_, attempts, self.tries)

    def part(self, positions: Sequence[int], attempts: Sequence[int] | None = None) -> Chunk:
        """The items at these positions as a chunk of their own, with new counts of attempts if given."""
        return replace(
            self,
            indexes=[self.indexes[p] for p in positions],
            items=[self.items[p] for p in positions],
            ids=[self.ids[p] for p in positions] if self.ids else None,
            attempts=attempts if attempts is not None else [self.attempts[p] for p in positions],
            losses=0,
            refusals=0,
        )

    def halves(self) -> tuple[Chunk, Chunk]:
        """The two halves; neither is empty if there are two items."""
        middle = len(self) // 2
        return self.part(range(middle)), self.part(range(middle, len(self)))


def gather(entries: Iterable[Entry]) -> Chunk:
    """One chunk of these items, in run order."""
    indexes, items, ids, attempts, tries = zip(*sorted(entries), strict=True)
    straight = indexes[-1] - indexes[0] + 1 == len(indexes)
    return Chunk(
        indexes=range(indexes[0], indexes[-1] + 1) if straight else indexes,
        items=items,
        ids=None if ids[0] is None else ids,
        attempts=attempts,
        tries=max(tries),
    )


class ChunkCutter:
    """Cuts a stream of items into chunks by count and by bytes.

    Args:
        entries: the items, in run order.
        aim: bytes that a chunk's items may take on the wire; one item that is larger goes alone.
    """

    def __init__(self, entries: Iterator[Entry], *, aim: int = CHUNK_AIM) -> None:
        self._entries = entries
        self._aim = aim
        self._next: Entry | None = next(entries, None)

    @property
    def empty(self) -> bool:
        """Whether every item has been taken."""
        return self._next is None

    def take(self, count: int) -> Chunk | None:
        """The next chunk of at most `count` items, or None when there is none left."""
        if self._next is None:
            return None
        taken: list[Entry] = []
        room = self._aim
        for entry in chain([self._next], islice(self._entries, count)):
            room -= len(entry[1]) + _PER_ITEM + (2 * len(entry[2]) if entry[2] else 0)
            taken.append(entry)
            if room < 0:
                break
        over = len(taken) > 1 and (room < 0 or len(taken) > count)
        self._next = taken.pop() if over else next(self._entries, None)
        return gather(taken)
