"""Records brought together, one per key, in bounded memory: a private SQLite database that spills to disk."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from wrapgen.records.record import FINAL, RESULT, RETRYABLE, RecordRank, fields_of

_TABLE = """
CREATE TABLE record (
    run BLOB NOT NULL, id BLOB NOT NULL, position INTEGER NOT NULL,
    rank INTEGER NOT NULL, tries INTEGER NOT NULL, line BLOB NOT NULL,
    PRIMARY KEY (run, id)
)
"""

# Between equal ranks the bytes decide, so that the outcome does not depend on the order of reading.
_MERGE = """
INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run, id) DO UPDATE SET
    position = excluded.position, rank = excluded.rank, tries = excluded.tries, line = excluded.line
WHERE (excluded.rank, excluded.tries, excluded.line) > (rank, tries, line)
"""

_CACHE_KIB = 64 * 1024
"""Memory that SQLite may keep before it spills to its temporary file."""


@dataclass(frozen=True)
class RecordCounts:
    """How many keys have which outcome."""

    results: int
    errors: int
    retryable: int

    @property
    def keys(self) -> int:
        """All of them."""
        return self.results + self.errors + self.retryable


class Collected:
    """The best record of each key. A context manager: its temporary file goes with it. Not for two threads.

    Attributes:
        lines: records that were added, superseded ones included.
    """

    def __init__(self) -> None:
        # An empty name is SQLite's own for a temporary file that it deletes itself.
        self._database = sqlite3.connect("", isolation_level=None)
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute(_TABLE)
        self.lines = 0

    def __enter__(self) -> Collected:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.close()

    def add(self, records: Iterable[tuple[RecordRank, bytes]]) -> None:
        """Brings in records with their lines, in any order; each key keeps its best."""
        rows = [(_run(s.run), _bytes(s.id), s.position, s.rank, s.tries, line) for s, line in records]
        self._database.execute("BEGIN")
        self._database.executemany(_MERGE, rows)
        self._database.execute("COMMIT")
        self.lines += len(rows)

    def tally(self) -> RecordCounts:
        """The outcomes of all keys."""
        counts = dict(self._database.execute("SELECT rank, count(*) FROM record GROUP BY rank").fetchall())
        return RecordCounts(counts.get(RESULT, 0), counts.get(FINAL, 0), counts.get(RETRYABLE, 0))

    def runs(self) -> dict[str | None, int]:
        """How many keys each run has; None means records without a run."""
        rows = self._database.execute("SELECT run, count(*) FROM record GROUP BY run ORDER BY run").fetchall()
        return {_run_back(run): count for run, count in rows}

    def ordered(self) -> Iterator[bytes]:
        """The best line of each key, by run, then index, then id."""
        query = "SELECT line FROM record ORDER BY run, position, id"
        return (row[0] for row in self._database.execute(query))

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(fields_of, self.ordered())

    def get(self, run: str | None, key: str) -> dict[str, Any] | None:
        """The best record of one key; None when there is none."""
        query = "SELECT line FROM record WHERE run = ? AND id = ?"
        row = self._database.execute(query, (_run(run), _bytes(key))).fetchone()
        return None if row is None else fields_of(row[0])


def _bytes(text: str) -> bytes:
    # Ids may hold what SQLite's text can't: NULs and lone surrogates.
    return text.encode("utf-8", "surrogatepass")


def _run(run: str | None) -> bytes:
    # A run's name is never empty, so the empty text means none; NULLs would not count as equal.
    return _bytes(run or "")


def _run_back(name: bytes) -> str | None:
    return name.decode("utf-8", "surrogatepass") or None
