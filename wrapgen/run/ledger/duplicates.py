"""Equal items sent once: which item equals an earlier one, and outcomes taken over from that one.

Equal are items of the same bytes on the wire. The map from item to first equal item is on disk, 8 bytes each,
and derived: every session makes its own. Outcomes that were taken over are in spool, ledger and slots like
those that a call brought, so that every reader of a run finds them in their places.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wrapgen.files import open_file
from wrapgen.run.input.scan import Buckets
from wrapgen.run.ledger.ledger import Ledger, digest
from wrapgen.run.ledger.replay import FINAL
from wrapgen.run.ledger.spool import EQUAL, Slots, line_of_equal
from wrapgen.run.ledger.store import Log
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.replies import Fate

_WIDTH = 8
_TOGETHER = 1000
_BYTES = 4_000_000
"""Outcomes, and their bytes, that are taken over at once, at most."""

CORRECTED = b"\0"
"""Ends what is compared of a corrected item: it equals other corrected items only."""


class EqualItems:
    """The first equal item of each item of a run.

    Args:
        folder: for the map, which is made anew.
        slots: of the run, as they stand now.
        corrected: whether the item under an index was corrected by the user.
        trusted: whether what is finished was finished by the wrapper, and of the input, of this session.
    """

    def __init__(
        self, folder: Path, slots: Slots, corrected: Callable[[int], bool], *, trusted: bool
    ) -> None:
        self._folder = folder
        self._slots = slots
        self._corrected = corrected
        self._trusted = trusted
        self._map = open_file(folder / "equal.bin", os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def scan(self, entries: Iterator[Entry], progress: Callable[[int], None]) -> None:
        """Compares every item, on disk.

        Args:
            entries: all items of the run.
            progress: told how many were compared, now and then.
        """
        with TemporaryDirectory(prefix="equal-", dir=self._folder) as name:
            items = Buckets(Path(name), "item")
            for count, entry in enumerate(entries):
                if count % 10_000 == 0:
                    progress(count)
                if (compared := self._compared(entry)) is not None:
                    items.add(compared, entry.index)
            for place, before in items.repeated():
                os.pwrite(self._map, array("Q", [before + 1]).tobytes(), place * _WIDTH)

    def _compared(self, entry: Entry) -> bytes | None:
        """What is compared of an item; None for one that no other may follow.

        A corrected item that failed once more is no answer to one that a user wants to have sent again.
        """
        fate = self._slots.get(entry.index).fate
        if fate in FINAL and not self._trusted:
            return None
        if not self._corrected(entry.index):
            return entry.item
        return None if fate == Fate.FAILED else entry.item + CORRECTED

    def first(self, index: int) -> int | None:
        """The item that this one equals and follows; None for one that is sent itself."""
        data = os.pread(self._map, _WIDTH, index * _WIDTH)
        found = array("Q", data)[0] if len(data) == _WIDTH else 0
        return found - 1 if found else None

    def sent(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """The items that are sent: the first of each kind."""
        return (entry for entry in entries if self.first(entry.index) is None)

    def take_over(
        self, entries: Iterator[Entry], spool: Log, ledger: Ledger, next_seq: int, unix_time: float
    ) -> Iterator[tuple[int, int]]:
        """Gives each open item the outcome of the one that it equals, where that has one.

        Args:
            entries: all items of the run.
            spool, ledger: where outcomes are kept.
            next_seq: the first unused number of an entry.
            unix_time: seconds since 1970, for the ledger's readers.

        Yields:
            How many more succeeded and failed, as soon as that is kept.
        """
        taken: list[tuple[int, int, bytes, int]] = []
        size = 0
        for entry in entries:
            first = self.first(entry.index)
            if first is None or self._slots.get(entry.index).fate in FINAL:
                continue
            known = self._slots.get(first)
            if known.fate not in FINAL:
                continue
            line = line_of_equal(spool.read(known.offset, known.length), entry.index, entry.id)
            taken.append((entry.index, first, line, known.fate))
            size += len(line)
            if len(taken) == _TOGETHER or size > _BYTES:
                yield self._keep(taken, spool, ledger, next_seq, unix_time)
                next_seq, taken, size = next_seq + 1, [], 0
        if taken:
            yield self._keep(taken, spool, ledger, next_seq, unix_time)

    def _keep(
        self,
        taken: list[tuple[int, int, bytes, int]],
        spool: Log,
        ledger: Ledger,
        seq: int,
        unix_time: float,
    ) -> tuple[int, int]:
        indexes, firsts, lines, fates = map(list, zip(*taken, strict=True))
        data = b"".join(lines)
        offset = spool.append(data)
        spool.sync()
        failed = [at for at, fate in enumerate(fates) if fate == Fate.FAILED]
        tries = max(self._slots.get(index).tries for index in indexes)
        entry: dict[str, Any] = {
            "e": "equal",
            "s": seq,
            "w": unix_time,
            "t": tries,
            "i": indexes,
            "of": firsts,
        }
        ledger.append([{**entry, "at": offset, "b": len(data), "h": digest(data), "failed": failed}])
        self._slots.put(indexes, offset, list(map(len, lines)), tries, fates, [EQUAL] * len(taken))
        return len(taken) - len(failed), len(failed)

    def close(self) -> None:
        """Closes the map's file."""
        os.close(self._map)
