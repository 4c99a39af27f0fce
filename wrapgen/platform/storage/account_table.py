"""The tables of accounts, members, keys and browser sessions. Rights and rules are in `domain.accounts`."""

from __future__ import annotations

from typing import Any

from wrapgen.platform.domain.model import ADMIN_KEY, Account, Caller, Key
from wrapgen.platform.storage.database import Database, as_json

_CALLER = """SELECT keys.id AS key_id, admin, permissions, accounts.name AS account, (
    SELECT json_group_array(lower(groups.name)) FROM members
    JOIN accounts AS groups ON groups.id = organization_id WHERE user_id = accounts.id
) AS organizations FROM keys JOIN accounts ON accounts.id = account_id WHERE"""


class AccountTable:
    """The accounts of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def find(self, reference: str) -> Account | None:
        """The account of a name, in any letter case, or an id."""
        sql = "SELECT * FROM accounts WHERE lower(name) = lower(?) OR id = ?"
        return self._database.first(Account, sql, reference, reference)

    def all(self, kind: str) -> list[Account]:
        """All users or all organizations, by name."""
        sql = "SELECT * FROM accounts WHERE kind = ? ORDER BY lower(name)"
        return self._database.all(Account, sql, kind)

    def insert(self, account: Account) -> None:
        """Adds a new one."""
        self._database.insert("accounts", **vars(account))

    def store(self, account: Account) -> None:
        """Replaces what may change."""
        sql = "UPDATE accounts SET details = ? WHERE id = ?"
        self._database.execute(sql, as_json(account.details), account.id)

    def delete(self, account_id: str) -> None:
        """Removes an account with its keys and memberships."""
        self._database.execute("DELETE FROM accounts WHERE id = ?", account_id)

    def owned(self, account_id: str) -> tuple[int, int]:
        """How many algorithms and collections an account has."""
        sql = (
            "SELECT (SELECT count(*) FROM algorithms WHERE owner_id = :1), "
            "(SELECT count(*) FROM collections WHERE owner_id = :1)"
        )
        return self._database.all(tuple, sql, account_id)[0]

    # -- members ---------------------------------------------------------------------------------------

    def members(self, organization_id: str) -> list[tuple[str, str]]:
        """Name and role of each member, by name."""
        sql = (
            "SELECT name, role FROM members JOIN accounts ON accounts.id = user_id "
            "WHERE organization_id = ? ORDER BY lower(name)"
        )
        return self._database.all(tuple, sql, organization_id)

    def add_member(self, organization_id: str, user_id: str, role: str) -> bool:
        """Adds a member; False if there is a membership already."""
        return self._database.insert(
            "members", instead="IGNORE", organization_id=organization_id, user_id=user_id, role=role
        )

    def set_role(self, organization_id: str, user_id: str, role: str) -> None:
        """Changes a member's role."""
        sql = "UPDATE members SET role = ? WHERE organization_id = ? AND user_id = ?"
        self._database.execute(sql, role, organization_id, user_id)

    def remove_member(self, organization_id: str, user_id: str) -> None:
        """Ends a membership, if there is one."""
        sql = "DELETE FROM members WHERE organization_id = ? AND user_id = ?"
        self._database.execute(sql, organization_id, user_id)

    def owned_alone(self, user_id: str) -> str | None:
        """The name of an organization whose only owner is a user."""
        sql = (
            "SELECT name FROM members AS mine JOIN accounts ON accounts.id = organization_id "
            "WHERE user_id = ? AND role = 'owner' AND NOT EXISTS (SELECT 1 FROM members AS other "
            "WHERE other.organization_id = mine.organization_id AND other.role = 'owner' "
            "AND other.user_id <> mine.user_id)"
        )
        return self._database.first(str, sql, user_id)

    # -- keys and sessions -----------------------------------------------------------------------------

    def caller_by_hash(self, digest: str) -> Caller | None:
        """Who the key of a digest stands for."""
        return self._database.first(Caller, f"{_CALLER} hash = ?", digest)

    def caller_by_id(self, key_id: str) -> Caller | None:
        """Who the key of an id stands for."""
        return self._database.first(Caller, f"{_CALLER} keys.id = ?", key_id)

    def keys(self, account_id: str) -> list[Key]:
        """The keys of an account, oldest first."""
        sql = (
            "SELECT keys.*, accounts.name AS account FROM keys JOIN accounts ON accounts.id = account_id "
            "WHERE account_id = ? ORDER BY keys.created_at"
        )
        return self._database.all(Key, sql, account_id)

    def insert_key(self, key: Key, account_id: str, digest: str) -> None:
        """Adds a key, of which only a digest is kept."""
        columns: dict[str, Any] = {**vars(key), "account_id": account_id, "hash": digest}
        del columns["account"]
        self._database.insert("keys", **columns, admin=int(key.kind == ADMIN_KEY))

    def delete_key(self, account_id: str, key_id: str) -> bool:
        """Removes a key with its sessions; whether the account had it."""
        sql = "DELETE FROM keys WHERE id = ? AND account_id = ?"
        return bool(self._database.execute(sql, key_id, account_id))

    def begin_session(self, digest: str, key_id: str, now: float, expires_at: float) -> None:
        """Keeps a session of a key under a token's digest, and forgets those that have expired."""
        with self._database.transaction():
            self._database.execute("DELETE FROM sessions WHERE expires_at <= ?", now)
            self._database.insert("sessions", hash=digest, key_id=key_id, expires_at=expires_at)

    def session(self, digest: str, now: float) -> str | None:
        """The id of the key that a session stands for; None if there is none any more."""
        sql = "SELECT key_id FROM sessions WHERE hash = ? AND expires_at > ?"
        return self._database.first(str, sql, digest, now)

    def end_session(self, digest: str) -> None:
        """Forgets a session, if there is one."""
        self._database.execute("DELETE FROM sessions WHERE hash = ?", digest)
