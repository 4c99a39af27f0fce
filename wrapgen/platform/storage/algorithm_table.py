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

    def has_public(self, algorithm_id: str) -> bool:
        """Whether a version of an algorithm may be seen by everybody."""
        return self.first(algorithm_id=algorithm_id, callability="public") is not None

    def highest(
        self, algorithm_id: str, most: int, callability: str | None = None, major: int | None = None
    ) -> list[Version]:
        """So many versions of an algorithm, the highest number first; of one callability or one major."""
        sql = (
            f"{self.query} WHERE algorithm_id = ? AND coalesce(callability = ?, 1) "
            "AND coalesce(major = ?, 1) ORDER BY major DESC, minor DESC, revision DESC LIMIT ?"
        )
        return self._database.all(Version, sql, algorithm_id, callability, major, most)


_LISTED = (
    "FROM builds LEFT JOIN versions AS v ON v.build_id = builds.id WHERE builds.algorithm_id = ? "
    "AND coalesce((v.id IS NOT NULL) = ?, 1) AND (? IS NULL OR v.callability = ?)"
)


class BuildTable(Table[Build]):
    """Builds, newest first; `number` is given by the table, and interpreters are relative to the home."""

    name, kind, order, joined = "builds", Build, "builds.number DESC", MappingProxyType({"number": ""})

    def page(
        self,
        algorithm_id: str,
        last: str | None,
        count: int,
        published: bool | None = None,
        callability: str | None = None,
    ) -> list[Build] | None:
        """So many builds of an algorithm after one, newest first; None if there is no such one.

        Args:
            algorithm_id: whose.
            last: the id of the build before them; None for the newest.
            count: at most so many.
            published: only those that became a version, or only those that did not.
            callability: only those that became a version of this.
        """
        where = (algorithm_id, published, callability, callability)
        before: int | None = None
        if last is not None:
            sql = f"SELECT builds.number {_LISTED} AND builds.id = ?"
            before = self._database.first(int, sql, *where, last)
            if before is None:
                return None
        sql = (
            f"SELECT builds.* {_LISTED} AND builds.number < coalesce(?, builds.number + 1) "
            "ORDER BY builds.number DESC LIMIT ?"
        )
        return self._database.all(Build, sql, *where, before, count)

    def named(self, algorithm_id: str, reference: str, callability: str | None = None) -> Build | None:
        """The newest build of an algorithm that a commit or a version's number names."""
        sql = (
            f"SELECT builds.* {_LISTED} AND ? IN (builds.git_hash, "
            "v.major || '.' || v.minor || '.' || v.revision) ORDER BY builds.number DESC LIMIT 1"
        )
        return self._database.first(Build, sql, algorithm_id, None, callability, callability, reference)


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

    def of(self, owner: str) -> list[Algorithm]:
        """The algorithms of one owner, in any letter case."""
        sql = f"{self.query} WHERE lower(accounts.name) = lower(?) ORDER BY {self.order}"
        return self._database.all(Algorithm, sql, owner)

    def remove(self, algorithm_id: str) -> list[str]:
        """Removes an algorithm with its versions, builds and secrets; the ids of those builds."""
        with self._database.transaction():
            builds = self._database.all(str, "SELECT id FROM builds WHERE algorithm_id = ?", algorithm_id)
            self.versions.delete(algorithm_id=algorithm_id)
            self.delete(id=algorithm_id)
        return builds
