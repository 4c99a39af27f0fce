"""The tables that belong to no account: source hosts, interpreters, and errors of calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wrapgen.platform.storage.table import Table


@dataclass(frozen=True)
class StoredScm:
    """A source host: its id, the API's facts about it, and whether it is the default."""

    id: str
    facts: dict[str, Any]
    chosen: bool


class ScmTable(Table[StoredScm]):
    """External source hosts, by id."""

    name, kind, order = "scms", StoredScm, "id"

    def choose(self, scm_id: str) -> None:
        """Makes one host the default, or none if there is none of that id."""
        self._database.execute("UPDATE scms SET chosen = (id = ?)", scm_id)


@dataclass(frozen=True)
class ProbedInterpreter:
    """What a look at an executable showed.

    Args:
        path: where it was found.
        fingerprint: of the file.
        version: `3.8.18`; empty if it can't be used.
        executable: the interpreter itself.
    """

    path: str
    fingerprint: str
    version: str
    executable: str


class InterpreterTable(Table[ProbedInterpreter]):
    """What earlier looks at this machine's interpreters showed."""

    name, kind = "interpreters", ProbedInterpreter


class ErrorTable(Table[dict[str, Any]]):
    """The API's entries of failed calls."""

    name = "failures"

    def of_algorithm(self, algorithm_id: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of an algorithm, newest first, from a moment on (epoch milliseconds)."""
        return self._list("algorithm_id = ?", algorithm_id, since, most)

    def of_account(self, name: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of calls that an account made."""
        return self._list("account = ?", name, since, most)

    def of_owner(self, name: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of an account's algorithms, of any caller."""
        of_owner = (
            "algorithm_id IN (SELECT algorithms.id FROM algorithms JOIN accounts ON accounts.id = owner_id "
            "WHERE accounts.name = ?)"
        )
        return self._list(of_owner, name, since, most)

    def add(self, entries: Iterable[tuple[str, dict[str, Any]]], since: int, most: int) -> None:
        """Adds entries, each with its algorithm's id; keeps the newest, and none from before a moment."""
        with self._database.transaction():
            for algorithm_id, entry in entries:
                account, created_at = entry["billable_to"], entry["created_at"]
                self.insert(algorithm_id=algorithm_id, account=account, created_at=created_at, entry=entry)
            # They come in order of time: what is old is read from the oldest on, and no newer one.
            first_kept = "SELECT number FROM failures WHERE created_at >= ? ORDER BY number LIMIT 1"
            self._database.execute(f"DELETE FROM failures WHERE number < ({first_kept})", since)  # noqa: S608
            sql = "DELETE FROM failures WHERE number <= (SELECT max(number) FROM failures) - ?"
            self._database.execute(sql, most)

    def _list(self, condition: str, value: str, since: int, most: int) -> list[dict[str, Any]]:
        sql = (
            f"SELECT entry FROM failures WHERE {condition} AND created_at >= ? "  # noqa: S608 - fixed texts
            "ORDER BY number DESC LIMIT ?"
        )
        return self._database.all(dict, sql, value, since, most)
