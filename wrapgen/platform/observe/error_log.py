"""The log of failed calls that owners and users can read: at most 200 entries of 7 days per listing
(platform contract, section 9). Adding never makes a call wait: a thread writes them down."""

from __future__ import annotations

import json
import queue
import sqlite3
import sys
import threading
from collections.abc import Callable
from typing import Any

from wrapgen.platform.observe.call_record import CallRecord
from wrapgen.platform.storage.database import Database

ENTRIES = 200
"""Most entries of one listing."""

KEPT_SECONDS = 7 * 24 * 3600
"""How long an entry is kept."""


class ErrorLog:
    """The log of one platform.

    Args:
        database: where it is kept.
        clock: gives epoch seconds.
        most: entries that are kept, the newest.
    """

    def __init__(self, database: Database, clock: Callable[[], float], most: int = 100_000) -> None:
        self._database = database
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
        return self._list("algorithm_id = ?", algorithm_id)

    def of_account(self, name: str) -> list[dict[str, Any]]:
        """The entries of calls that an account made, newest first."""
        return self._list("account = ?", name)

    def of_owner(self, name: str) -> list[dict[str, Any]]:
        """The entries of an account's algorithms, whoever called them, newest first."""
        return self._list(
            "algorithm_id IN (SELECT algorithms.id FROM algorithms JOIN accounts ON accounts.id = owner_id "
            "WHERE accounts.name = ?)",
            name,
        )

    def forget(self, account: str) -> None:
        """Drops the entries of an account that is no more: the next of its name must not see them."""
        self._flush()
        self._database.execute("DELETE FROM failures WHERE account = ?", account)

    def close(self) -> None:
        """Writes what is waiting and ends the thread."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join(timeout=5)

    def _flush(self) -> None:
        written = threading.Event()
        self._waiting.put(written)
        written.wait(timeout=5)

    def _list(self, condition: str, *values: Any) -> list[dict[str, Any]]:
        self._flush()
        rows = self._database.rows(
            f"SELECT entry FROM failures WHERE {condition} AND created_at >= ? "  # noqa: S608 - fixed texts
            "ORDER BY number DESC LIMIT ?",
            *values,
            int((self._clock() - KEPT_SECONDS) * 1000),
            ENTRIES,
        )
        return [json.loads(row["entry"]) for row in rows]

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
            with self._database.transaction():
                for each in records:
                    self._insert(each)
                self._database.execute(
                    "DELETE FROM failures WHERE created_at < ?", int((self._clock() - KEPT_SECONDS) * 1000)
                )
                self._database.execute(
                    "DELETE FROM failures WHERE number <= (SELECT max(number) FROM failures) - ?", self._most
                )
        except sqlite3.Error as error:
            sys.stderr.write(f"warning: {len(records)} entries of the error log are lost: {error}\n")

    def _insert(self, record: CallRecord) -> None:
        owner, _, name = record.algorithm.partition("/")
        entry = {
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
        self._database.execute(
            "INSERT INTO failures (algorithm_id, account, created_at, entry) VALUES (?, ?, ?, ?)",
            record.algorithm_id,
            record.account,
            entry["created_at"],
            json.dumps(entry),
        )
