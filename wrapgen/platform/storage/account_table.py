"""The tables of accounts, members, keys and browser sessions. Rights and rules are in `domain.accounts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrapgen.platform.domain.model import Account, Caller, Key
from wrapgen.platform.storage.database import Database
from wrapgen.platform.storage.table import Table

_CALLER = """SELECT keys.id AS key_id, admin, permissions, accounts.name AS account, (
    SELECT json_group_array(lower(groups.name)) FROM members
    JOIN accounts AS groups ON groups.id = organization_id WHERE user_id = accounts.id
) AS organizations FROM keys JOIN accounts ON accounts.id = account_id WHERE"""

_OWNED = """SELECT (SELECT count(*) FROM algorithms WHERE owner_id = :1),
(SELECT count(*) FROM collections WHERE owner_id = :1)"""

_OWNED_ALONE = """SELECT name FROM members AS mine JOIN accounts ON accounts.id = organization_id
WHERE user_id = ? AND role = 'owner' AND NOT EXISTS (SELECT 1 FROM members AS other
WHERE other.organization_id = mine.organization_id AND other.role = 'owner'
AND other.user_id <> mine.user_id)"""

_NAME = "SELECT name FROM accounts WHERE id = ? AND kind = ?"

_WITH_EMAIL = """SELECT * FROM accounts WHERE lower(json_extract(details, '$.email')) = ?
UNION SELECT * FROM accounts WHERE json_extract(details, '$.email') GLOB '*[^ -~]*'"""

_WITH_EXTERNAL_ID = "SELECT * FROM accounts WHERE json_extract(details, '$.external_id') = ?"


@dataclass(frozen=True)
class StoredSession:
    """A browser that is signed in with a key until a moment, in epoch seconds."""

    key_id: str
    expires_at: float


class MemberTable(Table[Any]):
    """Name and role of members of organizations."""

    name, kind, order = "members", tuple, "lower(accounts.name)"
    query = "SELECT accounts.name, role FROM members JOIN accounts ON accounts.id = user_id"


class KeyTable(Table[Key]):
    """Keys, of which digests are kept."""

    name, kind, order, joined = "keys", Key, "keys.created_at", {"account": "accounts.name"}
    query = "SELECT keys.*, accounts.name AS account FROM keys JOIN accounts ON accounts.id = account_id"

    def caller_by_hash(self, digest: str) -> Caller | None:
        """Whose key has a digest."""
        return self._database.first(Caller, f"{_CALLER} hash = ?", digest)

    def caller_by_id(self, key_id: str) -> Caller | None:
        """Whose key has an id."""
        return self._database.first(Caller, f"{_CALLER} keys.id = ?", key_id)


class SessionTable(Table[StoredSession]):
    """Sessions, under digests of their tokens."""

    name, kind = "sessions", StoredSession

    def expire(self, now: float) -> None:
        """Forgets sessions that have expired."""
        self._database.execute("DELETE FROM sessions WHERE expires_at <= ?", now)


class AccountTable(Table[Account]):
    """Accounts, with their members, keys and sessions."""

    name, kind, order = "accounts", Account, "lower(accounts.name)"

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.members, self.keys = MemberTable(database), KeyTable(database)
        self.sessions = SessionTable(database)

    def find(self, reference: str) -> Account | None:
        """The account of a name, in any letter case, or an id."""
        sql = "SELECT * FROM accounts WHERE lower(name) = lower(?) OR id = ?"
        return self._database.first(Account, sql, reference, reference)

    def page(self, kind: str, after: str | None, count: int) -> list[Account] | None:
        """So many accounts of a kind by name, those after the one of an id; None if there is no such one."""
        last = "" if after is None else self._database.first(str, _NAME, after, kind)
        if last is None:
            return None
        sql = "SELECT * FROM accounts WHERE kind = ? AND lower(name) > lower(?) ORDER BY lower(name) LIMIT ?"
        return self._database.all(Account, sql, kind, last, count)

    def with_detail(self, name: str, value: str) -> list[Account]:
        """The accounts that may have this `email`, in any letter case, or this `external_id`.

        SQLite knows the case of ASCII only: addresses with other characters are all among them.
        """
        if name == "external_id":
            return self._database.all(Account, _WITH_EXTERNAL_ID, value)
        return self._database.all(Account, _WITH_EMAIL, value.casefold())

    def owned(self, account_id: str) -> tuple[int, int]:
        """How many algorithms and collections an account has."""
        return self._database.all(tuple, _OWNED, account_id)[0]

    def owned_alone(self, user_id: str) -> str | None:
        """The name of an organization whose only owner is a user."""
        return self._database.first(str, _OWNED_ALONE, user_id)
