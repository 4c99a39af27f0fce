"""The tables of algorithms, versions, builds and secrets. Rights and rules are in the domain."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from wrapgen.platform.domain.model import Algorithm, Build, Secret, Version
from wrapgen.platform.storage.database import Database, as_json

_ALGORITHM = (
    "SELECT algorithms.*, accounts.name AS owner FROM algorithms JOIN accounts ON accounts.id = owner_id"
)
_VERSION = (
    "SELECT id, algorithm_id, build_id, json_array(major, minor, revision) AS number, callability, notes, "
    "published_at FROM versions WHERE algorithm_id = ? ORDER BY versions.number DESC"
)


class AlgorithmTable:
    """The algorithms and versions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def find(self, owner: str, name: str) -> Algorithm | None:
        """The algorithm of two names, in any letter case."""
        sql = f"{_ALGORITHM} WHERE lower(accounts.name) = lower(?) AND lower(algorithms.name) = lower(?)"
        return self._database.first(Algorithm, sql, owner, name)

    def by_id(self, algorithm_id: str) -> Algorithm | None:
        """The algorithm of an id, in any letter case."""
        return self._database.first(Algorithm, f"{_ALGORITHM} WHERE algorithms.id = ?", algorithm_id.lower())

    def all(self) -> list[Algorithm]:
        """Every algorithm, by owner and name."""
        sql = f"{_ALGORITHM} ORDER BY lower(accounts.name), lower(algorithms.name)"
        return self._database.all(Algorithm, sql)

    def insert(self, algorithm: Algorithm, owner_id: str) -> None:
        """Adds a new one."""
        columns = {**vars(algorithm), "owner_id": owner_id}
        del columns["owner"]
        self._database.insert("algorithms", **columns)

    def store(self, algorithm: Algorithm) -> None:
        """Replaces what may change."""
        self._database.execute(
            "UPDATE algorithms SET details = ?, settings = ?, sample_input = ? WHERE id = ?",
            as_json(algorithm.details),
            as_json(algorithm.settings),
            algorithm.sample_input,
            algorithm.id,
        )

    def delete(self, algorithm_id: str) -> list[str]:
        """Removes an algorithm with its versions, builds and secrets; the ids of those builds."""
        with self._database.transaction():
            builds = self._database.all(str, "SELECT id FROM builds WHERE algorithm_id = ?", algorithm_id)
            self._database.execute("DELETE FROM versions WHERE algorithm_id = ?", algorithm_id)
            self._database.execute("DELETE FROM algorithms WHERE id = ?", algorithm_id)
        return builds

    def versions(self, algorithm_id: str) -> list[Version]:
        """All versions of an algorithm, newest first."""
        return self._database.all(Version, _VERSION, algorithm_id)

    def insert_version(self, version: Version) -> None:
        """Adds a release."""
        columns = dict(vars(version))
        major, minor, revision = columns.pop("number")
        self._database.insert("versions", **columns, major=major, minor=minor, revision=revision)


class BuildTable:
    """The builds of one database; their interpreters are kept relative to the home."""

    def __init__(self, database: Database, home: Path) -> None:
        self._database = database
        self._home = home

    def get(self, algorithm_id: str, build_id: str) -> Build | None:
        """One build of an algorithm."""
        found = self._all("algorithm_id = ? AND id = ?", algorithm_id, build_id)
        return found[0] if found else None

    def of_algorithm(self, algorithm_id: str) -> list[Build]:
        """All builds of an algorithm, newest first."""
        return self._all("algorithm_id = ?", algorithm_id)

    def of_commit(self, algorithm_id: str, git_hash: str) -> list[Build]:
        """The builds of a commit, newest first."""
        return self._all("algorithm_id = ? AND git_hash = ?", algorithm_id, git_hash)

    def with_status(self, status: str) -> list[Build]:
        """The builds of a status, newest first."""
        return self._all("status = ?", status)

    def insert(self, build: Build) -> None:
        """Adds a build, whose number is given here.

        Raises:
            NotFound: its algorithm was deleted meanwhile.
        """
        columns = dict(vars(build))
        del columns["number"], columns["interpreter"]
        self._database.insert("builds", **columns)

    def finish(self, build_id: str, status: str, finished_at: float) -> None:
        """Notes how a build ended."""
        sql = "UPDATE builds SET status = ?, finished_at = ? WHERE id = ?"
        self._database.execute(sql, status, finished_at, build_id)

    def set_interpreter(self, build_id: str, interpreter: Path) -> None:
        """Notes which Python runs a build."""
        place = str(interpreter.relative_to(self._home))
        self._database.execute("UPDATE builds SET interpreter = ? WHERE id = ?", place, build_id)

    def _all(self, condition: str, *values: str) -> list[Build]:
        sql = f"SELECT * FROM builds WHERE {condition} ORDER BY number DESC"  # noqa: S608 - fixed texts
        found = self._database.all(Build, sql, *values)
        return [replace(each, interpreter=self._home / each.interpreter) for each in found]


class SecretTable:
    """The secrets of one database, as changes of their algorithms."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def variables(self, algorithm_id: str) -> dict[str, str]:
        """Names and values of an algorithm's secrets."""
        sql = "SELECT variable, value FROM secrets WHERE algorithm_id = ?"
        return dict(self._database.all(tuple, sql, algorithm_id))

    def of_algorithm(self, algorithm_id: str) -> list[Secret]:
        """An algorithm's secrets, by variable."""
        sql = "SELECT * FROM secrets WHERE algorithm_id = ? ORDER BY variable"
        return self._database.all(Secret, sql, algorithm_id)

    def insert(self, secret: Secret, value: str) -> bool:
        """Adds a secret; False if there is one for its variable."""
        return self._database.insert("secrets", instead="IGNORE", **vars(secret), value=value)

    def store(self, secret: Secret, value: str | None) -> None:
        """Replaces a secret's facts, and its value unless None."""
        self._database.execute(
            "UPDATE secrets SET value = coalesce(?, value), short_name = ?, description = ?, modified_at = ? "
            "WHERE id = ?",
            *(value, secret.short_name, secret.description, secret.modified_at, secret.id),
        )

    def delete(self, secret_id: str) -> None:
        """Removes a secret."""
        self._database.execute("DELETE FROM secrets WHERE id = ?", secret_id)

    def revise(self, algorithm_id: str) -> None:
        """Notes that an algorithm's secrets are not what they were."""
        sql = "UPDATE algorithms SET secrets_revision = secrets_revision + 1 WHERE id = ?"
        self._database.execute(sql, algorithm_id)
