"""The platform's one SQLite database: opening, migrating, transactions. No meaning of any table lives here.

One connection behind one lock: management is rare, the paths that calls take are answered from memory, and a
single writer is what SQLite allows anyway. WAL with synchronous=FULL, so that an acknowledged write survives
not only SIGKILL but a power cut.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import msgspec

from wrapgen.errors import NotFound, ServerFault, UsageError
from wrapgen.platform.storage.migrations import MIGRATIONS

T = TypeVar("T")

STORAGE_ERRORS = (sqlite3.Error, ServerFault)
"""What every method may raise when the disk is full, say."""

_PLAIN = (str, int, float, float | None, bytes)
"""Types that a column holds as they are; other values are stored as JSON."""


class Database:
    """A migrated database, safe to use from any thread.

    Args:
        path: the file; made when missing.

    Raises:
        UsageError: the file was written by a newer wrapgen.
        ServerFault: it can't be used, as on a full or damaged disk. So do all methods.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        with _refusals():
            self._connection = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=10
            )
        self._connection.row_factory = sqlite3.Row
        try:
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                self.rows(f"PRAGMA {pragma}")
            self._migrate(path)
        except BaseException:
            self._connection.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside happens or nothing does; nests, the outermost one decides."""
        with self._lock:
            outermost = self._depth == 0
            if outermost:
                self.rows("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
                if outermost:
                    self.rows("COMMIT")
            except BaseException:
                if outermost and self._connection.in_transaction:  # SQLite may have ended it by itself
                    self.rows("ROLLBACK")
                raise
            finally:
                self._depth -= 1

    def execute(self, sql: str, *values: Any) -> int:
        """Runs one statement (in the open transaction, else in its own); the number of rows it changed.

        Raises:
            NotFound: the row that it refers to was deleted since somebody looked.
        """
        with self._lock, _refusals():
            try:
                return self._connection.execute(sql, values).rowcount
            except sqlite3.IntegrityError as error:
                if "FOREIGN KEY" not in str(error):
                    raise
                raise NotFound("what this belongs to was deleted meanwhile") from error

    def all(self, kind: type[T], sql: str, *values: Any) -> list[T]:
        """What a query gives, as values of a class: columns that its fields are named after, or the first."""
        make = _maker(cast(Any, kind))
        return [make(row) for row in self.rows(sql, *values)]

    def first(self, kind: type[T], sql: str, *values: Any) -> T | None:
        """The first value that a query gives, as for `all`; None if there is none."""
        row = self.row(sql, *values)
        found: T | None = _maker(cast(Any, kind))(row) if row is not None else None
        return found

    def rows(self, sql: str, *values: Any) -> list[sqlite3.Row]:
        """All rows that a query gives."""
        with self._lock, _refusals():
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, *values: Any) -> sqlite3.Row | None:
        """The first row that a query gives, or None."""
        with self._lock, _refusals():
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def close(self) -> None:
        """Closes the file; closing again does nothing."""
        with self._lock:
            self._connection.close()

    def _migrate(self, path: Path) -> None:
        with self._lock, _refusals():
            done = int(self._connection.execute("PRAGMA user_version").fetchone()[0])
            if done > len(MIGRATIONS):
                raise UsageError(
                    f"{path} has schema version {done}, this wrapgen knows {len(MIGRATIONS)}",
                    hint="use the wrapgen that wrote it, or newer",
                )
            for number, script in enumerate(MIGRATIONS[done:], start=done + 1):
                # executescript commits what is open, so each script brings its own transaction.
                self._connection.executescript(f"BEGIN; {script}; PRAGMA user_version={number}; COMMIT;")


class _refusals:  # noqa: N801 - reads as what it is, and costs a call nothing
    """Tells what the machine refused SQLite as the platform's own fault."""

    def __enter__(self) -> None:
        """Nothing."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if kind in (sqlite3.OperationalError, sqlite3.DatabaseError) and "no such" not in str(error):
            said = f"the platform's database can't be used: {error}"
            raise ServerFault(said, hint="the disk of the platform's home may be full or damaged") from error


def as_column(value: Any) -> Any:
    """How a value is stored: what SQLite has no type for as JSON."""
    return value if isinstance(value, _PLAIN) else msgspec.json.encode(value).decode()


@cache
def _maker(kind: Any) -> Callable[[sqlite3.Row], Any]:
    """How a row becomes a value of a class."""
    if kind is tuple:
        return tuple
    if kind is dict:
        return lambda row: msgspec.json.decode(row[0], type=kind)
    if kind in _PLAIN:
        return lambda row: kind(row[0])
    readers: dict[str, Callable[[Any], Any]] = {}
    for name, hint in get_type_hints(kind).items():
        if hint in (Path, bool):
            readers[name] = hint
        else:
            readers[name] = (lambda v: v) if hint in _PLAIN else partial(msgspec.json.decode, type=hint)

    def make(row: sqlite3.Row) -> Any:
        return kind(**{name: readers[name](row[name]) for name in row.keys() if name in readers})  # noqa: SIM118

    return make


def iso(seconds: float) -> str:
    """Epoch seconds as the API writes times; the vendor's client insists on the fraction and the final Z
    (algorithmia-python, Algorithmia/datafile.py)."""
    moment = datetime.fromtimestamp(seconds, tz=timezone.utc)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
