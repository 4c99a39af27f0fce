"""The log of failed calls that owners and users can read: at most 200 entries of 7 days per listing
(platform contract, section 9). Adding never makes a call wait: a thread writes them down."""

from __future__ import annotations

import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

from wrapgen.platform.observe.call_record import CallRecord
from wrapgen.platform.storage.database import STORAGE_ERRORS
from wrapgen.platform.storage.platform_tables import ErrorTable

ENTRIES = 200
"""Most entries of one listing."""

KEPT_SECONDS = 7 * 24 * 3600
"""How long an entry is kept."""


class ErrorLog:
    """The log of one platform.

    Args:
        table: where it is kept.
        clock: gives epoch seconds.
        most: entries that are kept, the newest.
    """

    def __init__(self, table: ErrorTable, clock: Callable[[], float], most: int = 100_000) -> None:
        self._table = table
        self._most = most
        self._clock = clock
        self._waiting: queue.SimpleQueue[CallRecord | threading.Event | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="failures", daemon=True)
        self._thread.start()

    def add(self, record: CallRecord) -> None:
        """Adds a failed call; returns at once."""
        self._waiting.put(record)

    def of_algorithm(self, algorithm_id: str) -> list[dict[str, Any]]:
        """The entries of an algorithm, newest first, as the API shows them."""
        self._flush()
        return self._table.of_algorithm(algorithm_id, self._oldest(), ENTRIES)

    def of_account(self, name: str) -> list[dict[str, Any]]:
        """The entries of calls that an account made, newest first."""
        self._flush()
        return self._table.of_account(name, self._oldest(), ENTRIES)

    def of_owner(self, name: str) -> list[dict[str, Any]]:
        """The entries of an account's algorithms, of any caller, newest first."""
        self._flush()
        return self._table.of_owner(name, self._oldest(), ENTRIES)

    def forget(self, account: str) -> None:
        """Drops the entries of an account that is no more: the next of its name must not see them."""
        self._flush()
        self._table.delete(account=account)

    def close(self) -> None:
        """Writes what is waiting and ends the thread."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(timeout=5)

    def _flush(self) -> None:
        written = threading.Event()
        self._waiting.put(written)
        written.wait(timeout=5)

    def _oldest(self) -> int:
        return int((self._clock() - KEPT_SECONDS) * 1000)

    def _write(self) -> None:
        while True:
            batch, last = [self._waiting.get()], False
            while not self._waiting.empty() and len(batch) < 500:
                batch.append(self._waiting.get())
            self._store([each for each in batch if isinstance(each, CallRecord)])
            for each in batch:
                if isinstance(each, threading.Event):
                    each.set()
                last = last or each is None
            if last:
                return

    def _store(self, records: list[CallRecord]) -> None:
        """Writes some down; a database that can't take them costs these entries, never the later ones."""
        try:
            entries = ((each.algorithm_id, _entry(each)) for each in records)
            self._table.add(entries, self._oldest(), self._most)
        except STORAGE_ERRORS as error:
            sys.stderr.write(f"warning: {len(records)} entries of the error log are lost: {error}\n")


def _entry(record: CallRecord) -> dict[str, Any]:
    """A failed call as the API shows it."""
    owner, _, name = record.algorithm.partition("/")
    return {
        "created_at": int(record.ended * 1000),
        "request_id": record.id,
        "input": record.input,
        "error": record.message,
        "error_type": record.error_type,
        "worker": str(record.worker or ""),
        "username": owner,
        "algoname": name,
        "algoversion": record.version,
        "billable_to": record.account,
    }
