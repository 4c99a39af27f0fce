"""The rows of algorithms and versions, as values: reading and storing. Rights and rules are elsewhere."""

from __future__ import annotations

import json
from dataclasses import dataclass
from sqlite3 import Row
from typing import Any

from wrapgen.platform.building.builds import Build
from wrapgen.platform.domain.versions import Version
from wrapgen.platform.storage.database import Database

_SELECT = (
    "SELECT algorithms.*, accounts.name AS owner FROM algorithms JOIN accounts ON accounts.id = owner_id"
)


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Args:
        id: UUID, never changes.
        owner, name: as they were registered.
        details: the API's `label`, `summary`, `tagline`.
        settings: the API's settings, complete; `algorithm_environment` is an environment's id.
        sample_input: shown to users.
        first_commit: the template's commit, which nobody asked to build.
        secrets_revision: rises with every change of a secret.
        created_at: epoch seconds.
    """

    id: str
    owner: str
    name: str
    details: dict[str, Any]
    settings: dict[str, Any]
    sample_input: str
    first_commit: str
    secrets_revision: int
    created_at: float


@dataclass(frozen=True)
class Released:
    """A build with the version it was released as, if it was."""

    build: Build
    version: Version | None


class AlgorithmTable:
    """The algorithms and versions of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, owner: str, name: str) -> Algorithm | None:
        """The algorithm of two names, in any letter case."""
        row = self._database.row(
            f"{_SELECT} WHERE lower(accounts.name) = lower(?) AND lower(algorithms.name) = lower(?)",
            owner,
            name,
        )
        return _algorithm(row) if row else None

    def by_id(self, algorithm_id: str) -> Algorithm | None:
        """The algorithm of an id, in any letter case."""
        row = self._database.row(f"{_SELECT} WHERE algorithms.id = ?", algorithm_id.lower())
        return _algorithm(row) if row else None

    def all(self) -> list[Algorithm]:
        """Every algorithm, by owner and name."""
        rows = self._database.rows(f"{_SELECT} ORDER BY lower(accounts.name), lower(algorithms.name)")
        return [_algorithm(row) for row in rows]

    def insert(self, algorithm: Algorithm, owner_id: str) -> None:
        """Adds a new one."""
        self._database.execute(
            "INSERT INTO algorithms VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            algorithm.id,
            owner_id,
            algorithm.name,
            json.dumps(algorithm.details),
            json.dumps(algorithm.settings),
            algorithm.sample_input,
            algorithm.first_commit,
            algorithm.secrets_revision,
            algorithm.created_at,
        )

    def store(self, algorithm: Algorithm) -> None:
        """Replaces what may change."""
        self._database.execute(
            "UPDATE algorithms SET details = ?, settings = ?, sample_input = ? WHERE id = ?",
            json.dumps(algorithm.details),
            json.dumps(algorithm.settings),
            algorithm.sample_input,
            algorithm.id,
        )

    def delete(self, algorithm_id: str) -> list[str]:
        """Removes an algorithm with its versions, builds and secrets; the ids of those builds."""
        with self._database.transaction():
            rows = self._database.rows("SELECT id FROM builds WHERE algorithm_id = ?", algorithm_id)
            self._database.execute("DELETE FROM versions WHERE algorithm_id = ?", algorithm_id)
            self._database.execute("DELETE FROM algorithms WHERE id = ?", algorithm_id)
        return [row["id"] for row in rows]

    def versions(self, algorithm_id: str) -> list[Version]:
        """All versions of an algorithm, newest first."""
        rows = self._database.rows(
            "SELECT * FROM versions WHERE algorithm_id = ? ORDER BY number DESC", algorithm_id
        )
        return [_version(row) for row in rows]

    def insert_version(self, version: Version) -> None:
        """Adds a release."""
        self._database.execute(
            "INSERT INTO versions (id, algorithm_id, build_id, major, minor, revision, callability, notes, "
            "published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            version.id,
            version.algorithm_id,
            version.build_id,
            *version.number,
            version.callability,
            json.dumps(version.notes),
            version.published_at,
        )


def _algorithm(row: Row) -> Algorithm:
    return Algorithm(
        id=row["id"],
        owner=row["owner"],
        name=row["name"],
        details=json.loads(row["details"]),
        settings=json.loads(row["settings"]),
        sample_input=row["sample_input"],
        first_commit=row["first_commit"],
        secrets_revision=row["secrets_revision"],
        created_at=row["created_at"],
    )


def _version(row: Row) -> Version:
    return Version(
        id=row["id"],
        algorithm_id=row["algorithm_id"],
        build_id=row["build_id"],
        number=(row["major"], row["minor"], row["revision"]),
        callability=row["callability"],
        notes=json.loads(row["notes"]),
        published_at=row["published_at"],
    )
