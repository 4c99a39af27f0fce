"""Where outcomes wait on the disk until the output is written, and the map from run index to outcome.

The spool is append-only and synced before the ledger points at it. The slots are fixed-width and derived:
they are rebuilt from ledger and spool, and never synced. Both are read in constant memory.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from wrapgen.run.ledger import Disk

_SLOT = struct.Struct("<QIHBB")
_BLOCK = 4096


class Slot(NamedTuple):
    """One item's place: offset and length of its line in the spool, last try, fate (0: none), attempts."""

    offset: int
    length: int
    tries: int
    fate: int
    attempts: int


EMPTY = Slot(0, 0, 0, 0, 0)


class Spool:
    """The outcomes of a run, one JSON line each, in the order in which they came.

    Args:
        path: the file; made if it is missing.
        disk: the effects.
        end: bytes that the ledger knows of; what follows was never counted and is cut off.
    """

    def __init__(self, path: Path, disk: Disk, end: int = 0) -> None:
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        os.ftruncate(self._descriptor, end)
        self.end = end

    def append(self, data: bytes) -> int:
        """Adds whole lines; returns the offset of the first. They count once `sync` has returned."""
        offset = self.end
        self._disk.write(self._descriptor, data)
        self.end += len(data)
        return offset

    def sync(self) -> None:
        """Returns when everything appended is on the disk."""
        self._disk.sync(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """A stretch of the file."""
        return os.pread(self._descriptor, length, offset)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


class Slots:
    """The map from run index to outcome, on disk: 16 bytes an item.

    Args:
        path: the file; emptied if `fresh`.
        fresh: start from nothing.
    """

    def __init__(self, path: Path, *, fresh: bool) -> None:
        flags = os.O_RDWR | os.O_CREAT | (os.O_TRUNC if fresh else 0)
        self._descriptor = os.open(path, flags, 0o644)

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
        offsets = accumulate(lengths, initial=offset)
        packed = [
            _SLOT.pack(at, length, min(tries, 65535), fate, min(tried, 255))
            for at, length, fate, tried in zip(offsets, lengths, fates, attempts, strict=False)
        ]
        if indexes[-1] - indexes[0] + 1 == len(indexes):
            os.pwrite(self._descriptor, b"".join(packed), indexes[0] * _SLOT.size)
            return
        for index, slot in zip(indexes, packed, strict=True):
            os.pwrite(self._descriptor, slot, index * _SLOT.size)

    def sent(self, indexes: Sequence[int], tries: int) -> None:
        """Notes a send whose outcome is not known; what was known before stays."""
        for index in indexes:
            slot = self.get(index)._replace(tries=min(tries, 65535))
            os.pwrite(self._descriptor, _SLOT.pack(*slot), index * _SLOT.size)

    def get(self, index: int) -> Slot:
        """One item's slot; EMPTY where nothing is known."""
        data = os.pread(self._descriptor, _SLOT.size, index * _SLOT.size)
        return Slot(*_SLOT.unpack(data)) if len(data) == _SLOT.size else EMPTY

    def __iter__(self) -> Iterator[Slot]:
        """Every slot in run order, up to the last that was ever written."""
        at = 0
        while data := os.pread(self._descriptor, _SLOT.size * _BLOCK, at):
            yield from map(Slot._make, _SLOT.iter_unpack(data))
            at += len(data)

    def counts(self) -> dict[int, int]:
        """How many items have each fate; 0 counts only those before the last that is known."""
        found: dict[int, int] = {}
        at = 0
        while data := os.pread(self._descriptor, _SLOT.size * _BLOCK, at):
            fates = data[14 :: _SLOT.size]
            for fate in set(fates):
                found[fate] = found.get(fate, 0) + fates.count(fate)
            at += len(data)
        return found

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)
