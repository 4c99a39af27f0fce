"""Failed items that a user corrected: they go again in the run that they failed in, and into its output.

The corrected items are kept in the run's folder before anything is sent, so that the run goes on without the
file that they came from, which may be the run's own file of failed items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.input.items import Reopened
from wrapgen.run.ledger.ledger import digest
from wrapgen.run.ledger.spool import EQUAL, Slots
from wrapgen.run.ledger.store import CORRECTIONS, Log, StateStore
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.replies import Fate

_TOGETHER = 1000
"""Items that one entry of the ledger reopens, at most."""


class Corrections:
    """The corrected items of a run, by index, on disk.

    Args:
        store: where the run is kept.
    """

    def __init__(self, store: StateStore) -> None:
        self._store = store
        self._places: dict[int, tuple[int, int]] = {}

    def __contains__(self, index: int) -> bool:
        """Whether the item under an index was corrected."""
        return index in self._places

    def load(self, entries: list[dict[str, Any]]) -> None:
        """Finds the items that earlier sessions kept; those that do not match their digest are left out.

        Args:
            entries: the ledger's, of the kind `reopened`.
        """
        for entry in entries:
            data = self._read(entry["at"], entry["b"])
            if digest(data) != entry["h"]:
                continue
            at = entry["at"]
            for index, line in zip(entry["i"], data.splitlines(keepends=True), strict=True):
                self._places[index] = (at, len(line))
                at += len(line)

    def reopen(self, items: Reopened, slots: Slots, spool: Log) -> Iterator[dict[str, Any]]:
        """Keeps the items of a file of failed items, and opens them again; the entries that say so.

        An item that has a result by now is left alone, so that the same command can be given again.

        Raises:
            RunError: the run has no such item.
        """
        some: list[Entry] = []
        failed, equal = 0, 0
        for entry in items.entries():
            slot = slots.get(entry.index)
            if slot.fate == Fate.FAILED:
                known = json.loads(spool.read(slot.offset, slot.length))["id"]
                if known != entry.id:
                    raise RunError(f"{items.name}: item {entry.index} of the run is {known}, not {entry.id}")
            elif not slot.tries:
                raise RunError(f"{items.name}: item {entry.index} has not failed in this run")
            if slot.fate == Fate.OK or (slot.fate != Fate.FAILED and self.item(entry.index) == entry.item):
                continue
            if slot.fate == Fate.FAILED:
                slots.reopen(entry.index)
                failed += 1
                equal += slot.attempts == EQUAL
            some.append(entry)
            if len(some) == _TOGETHER:
                yield self._kept(some, failed, equal)
                some, failed, equal = [], 0, 0
        if some:
            yield self._kept(some, failed, equal)

    def _kept(self, entries: list[Entry], failed: int, equal: int) -> dict[str, Any]:
        lines = [entry.item + b"\n" for entry in entries]
        data = b"".join(lines)
        with closing(self._store.open(CORRECTIONS, write=True)) as log:
            at = log.append(data)
            log.sync()
        indexes = [entry.index for entry in entries]
        place = {"at": at, "b": len(data), "h": digest(data)}
        found = {"e": "reopened", "i": indexes, "failed": failed, "equal": equal, **place}
        self.load([found])
        return found

    def item(self, index: int) -> bytes | None:
        """The corrected item under an index, as it travels; None where there is none."""
        place = self._places.get(index)
        return None if place is None else self._read(*place).rstrip(b"\n")

    def apply(self, entries: Iterator[Entry]) -> Iterator[Entry]:
        """A run's items, those that were corrected in place of the original ones."""
        if not self._places:
            return entries
        return (
            entry._replace(item=self.item(entry.index) or entry.item)
            if entry.index in self._places
            else entry
            for entry in entries
        )

    def _read(self, at: int, size: int) -> bytes:
        with closing(self._store.open(CORRECTIONS)) as log:
            return log.read(at, size)
