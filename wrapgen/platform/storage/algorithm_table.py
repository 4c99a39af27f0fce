"""The tables of algorithms, versions, builds and secrets. Rights and rules are in the domain."""

from __future__ import annotations

from types import MappingProxyType

from wrapgen.platform.domain.model import Algorithm, Build, Secret, Version
from wrapgen.platform.storage.database import Database
from wrapgen.platform.storage.table import Table


class VersionTable(Table[Version]):
    """Releases, newest first."""

    name, kind, order = "versions", Version, "versions.number DESC"
    query = (
        "SELECT id, algorithm_id, build_id, json_array(major, minor, revision) AS number, callability, "
        "notes, published_at FROM versions"
    )
    joined = MappingProxyType({"number": ""})


class BuildTable(Table[Build]):
    """Builds, newest first; `number` is given by the table, and interpreters are relative to the home."""

    name, kind, order, joined = "builds", Build, "builds.number DESC", MappingProxyType({"number": ""})


class SecretTable(Table[Secret]):
    """Secrets, by variable."""

    name, kind, order = "secrets", Secret, "variable"

    def variables(self, algorithm_id: str) -> dict[str, str]:
        """Names and values of an algorithm's secrets."""
        sql = "SELECT variable, value FROM secrets WHERE algorithm_id = ?"
        return dict(self._database.all(tuple, sql, algorithm_id))

    def revise(self, algorithm_id: str) -> None:
        """Notes that an algorithm's secrets are not what they were."""
        sql = "UPDATE algorithms SET secrets_revision = secrets_revision + 1 WHERE id = ?"
        self._database.execute(sql, algorithm_id)


class AlgorithmTable(Table[Algorithm]):
    """Algorithms, by owner and name, with their versions."""

    name, kind, joined = "algorithms", Algorithm, {"owner": "accounts.name"}
    order = "lower(accounts.name), lower(algorithms.name)"
    query = (
        "SELECT algorithms.*, accounts.name AS owner FROM algorithms JOIN accounts ON accounts.id = owner_id"
    )

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.versions = VersionTable(database)

    def find(self, owner: str, name: str) -> Algorithm | None:
        """The algorithm of two names, in any letter case."""
        sql = f"{self.query} WHERE lower(accounts.name) = lower(?) AND lower(algorithms.name) = lower(?)"
        return self._database.first(Algorithm, sql, owner, name)

    def remove(self, algorithm_id: str) -> list[str]:
        """Removes an algorithm with its versions, builds and secrets; the ids of those builds."""
        with self._database.transaction():
            builds = self._database.all(str, "SELECT id FROM builds WHERE algorithm_id = ?", algorithm_id)
            self.versions.delete(algorithm_id=algorithm_id)
            self.delete(id=algorithm_id)
        return builds
