"""The tables of collections and connectors. Files are elsewhere; rights and rules are in the domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrapgen.platform.domain.model import Collection
from wrapgen.platform.storage.database import Database, as_json

_COLLECTION = (
    "SELECT collections.*, accounts.name AS owner FROM collections JOIN accounts ON accounts.id = owner_id"
)


class CollectionTable:
    """The collections of one database, and which of them are default ones of algorithms."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def find(self, owner: str, name: str) -> Collection | None:
        """The collection of a name; its owner as registered."""
        sql = f"{_COLLECTION} WHERE accounts.name = ? AND collections.name = ?"
        return self._database.first(Collection, sql, owner, name)

    def of_owner(self, owner: str, after: str = "") -> list[Collection]:
        """An account's collections, by name, from behind one."""
        sql = f"{_COLLECTION} WHERE accounts.name = ? AND collections.name > ? ORDER BY collections.name"
        return self._database.all(Collection, sql, owner, after)

    def all(self) -> list[Collection]:
        """Every collection, by owner and name."""
        sql = f"{_COLLECTION} ORDER BY lower(accounts.name), collections.name"
        return self._database.all(Collection, sql)

    def insert(self, made: Collection, owner_id: str, now: float) -> None:
        """Adds a collection."""
        facts = {key: value for key, value in vars(made).items() if key != "owner"}
        self._database.insert("collections", **facts, owner_id=owner_id, created_at=now)

    def set_readers(self, collection_id: str, readers: tuple[str, ...]) -> None:
        """Replaces a collection's read ACL."""
        sql = "UPDATE collections SET readers = ? WHERE id = ?"
        self._database.execute(sql, as_json(readers), collection_id)

    def delete(self, collection_id: str) -> bool:
        """Removes a collection; whether it was there."""
        return bool(self._database.execute("DELETE FROM collections WHERE id = ?", collection_id))

    def set_default(self, algorithm_id: str, collection_id: str) -> None:
        """Makes a collection an algorithm's default one."""
        self._database.insert(
            "default_collections",
            instead="REPLACE",
            algorithm_id=algorithm_id,
            collection_id=collection_id,
        )


@dataclass(frozen=True)
class ConnectorSettings:
    """A connector as an account configured it, credentials included; created at epoch seconds."""

    name: str
    settings: dict[str, Any]
    created_at: float


class ConnectorTable:
    """The connectors of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def of_account(self, account_id: str) -> list[ConnectorSettings]:
        """An account's connectors, by name."""
        sql = "SELECT * FROM connectors WHERE account_id = ? ORDER BY name"
        return self._database.all(ConnectorSettings, sql, account_id)

    def store(self, account_id: str, made: ConnectorSettings) -> None:
        """Adds or replaces a connector."""
        self._database.insert("connectors", instead="REPLACE", account_id=account_id, **vars(made))

    def delete(self, account_id: str, name: str) -> bool:
        """Removes a connector; whether it was there."""
        sql = "DELETE FROM connectors WHERE account_id = ? AND name = ?"
        return bool(self._database.execute(sql, account_id, name))
