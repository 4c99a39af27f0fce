"""The tables that belong to no account: source hosts, interpreters, and errors of calls."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from wrapgen.platform.storage.database import Database, as_json


@dataclass(frozen=True)
class StoredScm:
    """A source host: the API's facts about it, and whether it is the default."""

    facts: dict[str, Any]
    chosen: bool


class ScmTable:
    """The external source hosts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def all(self) -> list[StoredScm]:
        """Every host, by id."""
        return self._database.all(StoredScm, "SELECT * FROM scms ORDER BY id")

    def store(self, scm_id: str, stored: StoredScm) -> None:
        """Adds or replaces a host."""
        self._database.insert("scms", instead="REPLACE", id=scm_id, **vars(stored))

    def choose(self, scm_id: str) -> None:
        """Makes one host the default, or none if there is none of that id."""
        self._database.execute("UPDATE scms SET chosen = (id = ?)", scm_id)

    def delete(self, scm_id: str) -> None:
        """Removes a host."""
        self._database.execute("DELETE FROM scms WHERE id = ?", scm_id)


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


class InterpreterTable:
    """What earlier looks at this machine's interpreters showed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, path: str) -> ProbedInterpreter | None:
        """What is known of an executable."""
        return self._database.first(ProbedInterpreter, "SELECT * FROM interpreters WHERE path = ?", path)

    def store(self, probed: ProbedInterpreter) -> None:
        """Remembers a look."""
        self._database.insert("interpreters", instead="REPLACE", **vars(probed))


class ErrorTable:
    """The API's entries of failed calls."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_algorithm(self, algorithm_id: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of an algorithm, newest first, from a moment on (epoch milliseconds)."""
        return self._list("algorithm_id = ?", algorithm_id, since, most)

    def of_account(self, name: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of calls that an account made."""
        return self._list("account = ?", name, since, most)

    def of_owner(self, name: str, since: int, most: int) -> list[dict[str, Any]]:
        """The entries of an account's algorithms, whoever called them."""
        of_owner = (
            "algorithm_id IN (SELECT algorithms.id FROM algorithms JOIN accounts ON accounts.id = owner_id "
            "WHERE accounts.name = ?)"
        )
        return self._list(of_owner, name, since, most)

    def add(self, entries: Iterable[tuple[str, dict[str, Any]]], since: int, most: int) -> None:
        """Adds entries, each with its algorithm's id; keeps the newest, and none from before a moment."""
        with self._database.transaction():
            for algorithm_id, entry in entries:
                self._database.insert(
                    "failures",
                    algorithm_id=algorithm_id,
                    account=entry["billable_to"],
                    created_at=entry["created_at"],
                    entry=as_json(entry),
                )
            self._database.execute("DELETE FROM failures WHERE created_at < ?", since)
            sql = "DELETE FROM failures WHERE number <= (SELECT max(number) FROM failures) - ?"
            self._database.execute(sql, most)

    def forget(self, account: str) -> None:
        """Removes the entries of an account."""
        self._database.execute("DELETE FROM failures WHERE account = ?", account)

    def _list(self, condition: str, value: str, since: int, most: int) -> list[dict[str, Any]]:
        sql = (
            f"SELECT entry FROM failures WHERE {condition} AND created_at >= ? "  # noqa: S608 - fixed texts
            "ORDER BY number DESC LIMIT ?"
        )
        return self._database.all(dict, sql, value, since, most)
