"""The tables of collections and connectors. Files are elsewhere; rights and rules are in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrapgen.platform.domain.model import Collection
from wrapgen.platform.storage.table import Table


class CollectionTable(Table[Collection]):
    """Collections, by owner and name."""

    name, kind, joined = "collections", Collection, {"owner": "accounts.name"}
    order = "lower(accounts.name), collections.name"
    query = (
        "SELECT collections.*, accounts.name AS owner FROM collections "
        "JOIN accounts ON accounts.id = owner_id"
    )

    def set_default(self, algorithm_id: str, collection_id: str) -> None:
        """Makes a collection an algorithm's default one."""
        sql = "INSERT OR REPLACE INTO default_collections VALUES (?, ?)"
        self._database.execute(sql, algorithm_id, collection_id)


@dataclass(frozen=True)
class ConnectorSettings:
    """A connector as an account configured it, credentials included; created at epoch seconds."""

    name: str
    settings: dict[str, Any]
    created_at: float


class ConnectorTable(Table[ConnectorSettings]):
    """Connectors, by name."""

    name, kind, order = "connectors", ConnectorSettings, "connectors.name"
