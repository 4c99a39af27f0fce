"""Users, organizations and who a key stands for. Knows nothing of HTTP, algorithms or data.

Keys are stored as SHA-256 digests: they are long random strings, so a slow password hash would only slow
down every call. `caller` answers from memory.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import string
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.domain.model import (
    ADMIN_KEY,
    FIRST_ACCOUNT,
    STANDARD_KEY,
    Account,
    Caller,
    Key,
    Permissions,
)
from wrapgen.platform.storage.account_table import AccountTable

NAME = re.compile(r"(?!(?i:temp|perm)\Z)[A-Za-z][A-Za-z0-9_]{0,29}\Z")
"""What accounts may be called (platform contract, section 9); data paths give two names another meaning."""

ORGANIZATION_TYPES = {
    name: str(uuid.uuid5(uuid.NAMESPACE_URL, f"wrapgen:organization-type:{name}"))
    for name in ("basic", "legacy", "pro")
}
"""Name and id of each organization type; the same on every platform of ours."""

ROLES = ("member", "owner")
"""What a member of an organization may be; both act for it, and it never goes without an owner."""

_ALPHABET = string.ascii_letters + string.digits


class Accounts:
    """The accounts of one platform.

    Args:
        table: where they are kept.
        clock: gives epoch seconds.
    """

    def __init__(self, table: AccountTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._callers: dict[str, Caller] = {}
        self.changes = 0  # rises after whatever may have taken a right from somebody
        self._lock = threading.Lock()

    # -- keys ------------------------------------------------------------------------------------------

    def caller(self, key: str) -> Caller:
        """Who a key stands for.

        Raises:
            NotAuthorized: there is no such key, or it was revoked (status 401).
        """
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
        return self._callers.get(digest) or self._caller(digest, self._table.keys.caller_by_hash)

    def caller_of(self, key_id: str) -> Caller:
        """Whose key has an id; for those who showed the key before.

        Raises:
            NotAuthorized: it was revoked.
        """
        return self._callers.get(key_id) or self._caller(key_id, self._table.keys.caller_by_id)

    def _caller(self, place: str, look: Callable[[str], Caller | None]) -> Caller:
        with self._lock:
            found = look(place)
            if found is None:
                raise NotAuthorized("invalid API key", reason="invalid-key")
            self._callers[place] = found
            return found

    def create_key(
        self,
        account: str,
        *,
        label: str = "",
        kind: str = STANDARD_KEY,
        permissions: Permissions | None = None,
    ) -> tuple[str, Key]:
        """Makes a key; the only time that the key itself is told.

        Raises:
            NotFound: there is no such account.
        """
        owner = self.get(account)
        key = "sim" + "".join(secrets.choice(_ALPHABET) for _ in range(25))
        made = Key(
            id=str(uuid.uuid4()),
            account=owner.name,
            label=label,
            kind=kind,
            mask=key[:6] + "…" + key[-2:],
            permissions=permissions or Permissions(),
            created_at=self._clock(),
        )
        digest = hashlib.sha256(key.encode()).hexdigest()
        self._table.keys.insert(made, account_id=owner.id, hash=digest, admin=int(kind == ADMIN_KEY))
        return key, made

    def keys(self, account: str) -> list[Key]:
        """The keys of an account, oldest first.

        Raises:
            NotFound: there is no such account.
        """
        return self._table.keys.all(account_id=self.get(account).id)

    def revoke_key(self, account: str, key_id: str) -> None:
        """Revokes a key at once.

        Raises:
            NotFound: the account has no key of that id.
        """
        owner = self.get(account)
        with self._changing():
            if not self._table.keys.delete(id=key_id, account_id=owner.id):
                raise NotFound(f"{owner.name} has no key {key_id}")

    # -- accounts --------------------------------------------------------------------------------------

    def get(self, reference: str, kind: str | None = None) -> Account:
        """The account of a name (in any letter case) or id.

        Args:
            reference: name or UUID.
            kind: `user` or `organization` to accept only that.

        Raises:
            NotFound: there is none.
        """
        found = self._table.find(reference)
        if found is None or kind not in (None, found.kind):
            what = kind or "user"
            raise NotFound(f"no such {what}: {reference}", reason=f"no-such-{what}")
        return found

    def seen_by(self, caller: Caller, reference: str, kind: str | None = None) -> Account:
        """An account that a caller may look at: for an admin key any, for others their own and their groups.

        Raises:
            NotFound, NotAuthorized: there is none, or it is another's.
        """
        found = self.get(reference, kind)
        if caller.admin or caller.account == found.name:
            return found
        if found.kind == "user":
            raise NotAuthorized(f"403: {found.name} is not your account")
        if not caller.owns(found.name):
            raise NotAuthorized(f"403: you are no member of {found.name}")
        return found

    def by_external_id(self, external_id: str) -> Account:
        """The organization that another system knows under an id.

        Raises:
            NotFound: there is none.
        """
        for group in self.all("organization"):
            if group.details.get("external_id") == external_id:
                return group
        raise NotFound(f"no organization has the external id {external_id}", reason="no-such-organization")

    def all(self, kind: str) -> list[Account]:
        """All users or all organizations, by name."""
        return self._table.all(kind=kind)

    def page(self, kind: str, after: str | None, count: int) -> list[Account] | None:
        """So many of them, those after the account of an id; None if there is no such account."""
        return self._table.page(kind, after, count)

    def create(self, kind: str, name: str, details: dict[str, Any], *, founder: str = "") -> Account:
        """Registers a user, or an organization with the user who founds it as its owner.

        Raises:
            BadRequest: the name is not a possible one.
            Conflict: the name is taken, or what else has to be unique.
        """
        if not NAME.match(name):
            raise BadRequest(
                f"{name!r} can't be the name of a {kind}",
                hint="letters, digits and _ after a letter, at most 30 characters",
            )
        made = Account(str(uuid.uuid4()), kind, name, details, self._clock())
        with self._changing():
            if self._table.find(name) is not None:
                raise Conflict(f"the name {name} is taken", reason=f"{kind}-exists")
            self._refuse_taken(made)
            self._table.insert(made)
            owner = self._table.find(founder) if founder else None
            if owner is not None and owner.kind == "user":
                self._table.members.insert(organization_id=made.id, user_id=owner.id, role="owner")
        return made

    def update(self, account: Account, details: dict[str, Any]) -> Account:
        """Replaces the given fields of an account's details.

        Raises:
            Conflict: another has what has to be unique.
        """
        changed = replace(account, details={**account.details, **details})
        with self._table.transaction():
            self._refuse_taken(changed)
            self._table.update(account.id, details=changed.details)
        return changed

    def delete(self, account: Account) -> None:
        """Removes an account with its keys and memberships.

        Raises:
            Conflict: it is the home's own, still owns algorithms or data, or is an organization's last owner.
        """
        with self._changing():
            self._refuse_last_owner(account)
            algorithms, collections = self._table.owned(account.id)
            if algorithms or collections:
                raise Conflict(
                    f"{account.name} still owns {algorithms} algorithms and {collections} data collections",
                    hint="delete those first",
                )
            if account.name == FIRST_ACCOUNT:
                hint = "commands on its machine act with the keys of this user"
                raise Conflict(f"{FIRST_ACCOUNT} belongs to this platform, and stays", hint=hint)
            self._table.delete(id=account.id)

    # -- members ---------------------------------------------------------------------------------------

    def add_member(self, organization: str, user: str, role: str | None = None) -> bool:
        """Makes a user a member; whether that is new.

        Args:
            organization, user: names or ids.
            role: one of ROLES; None leaves a member's role, and makes others `member`.

        Raises:
            BadRequest: there is no such role.
            NotFound: there is no such organization or user.
            Conflict: the organization's last owner would be one no more.
        """
        if role not in (None, *ROLES):
            hint = f"one of {', '.join(ROLES)}"
            raise BadRequest(f"no role {role[:40]!r}", hint=hint)
        group, person = self.get(organization, "organization"), self.get(user, "user")
        with self._changing():
            named = {"organization_id": group.id, "user_id": person.id}
            if self._table.members.insert(instead="IGNORE", **named, role=role or "member"):
                return True
            if role == "member":
                self._refuse_without_owner(group, person)
            if role is not None:
                self._table.members.insert(instead="REPLACE", **named, role=role)
        return False

    def remove_member(self, organization: str, user: str) -> None:
        """Ends a membership; there may have been none.

        Raises:
            NotFound: there is no such organization or user.
            Conflict: the user is the organization's last owner.
        """
        group, person = self.get(organization, "organization"), self.get(user, "user")
        with self._changing():
            self._refuse_without_owner(group, person)
            self._table.members.delete(organization_id=group.id, user_id=person.id)

    def _refuse_without_owner(self, group: Account, person: Account) -> None:
        if [name for name, role in self.members(group.name) if role == "owner"] == [person.name]:
            message = f"{person.name} is the last owner of {group.name}"
            raise Conflict(message, hint="make another member an owner first", reason="last-owner")

    def members(self, organization: str) -> list[tuple[str, str]]:
        """Name and role of each member, by name.

        Raises:
            NotFound: there is no such organization.
        """
        group = self.get(organization, "organization")
        return self._table.members.all(organization_id=group.id)

    def _refuse_taken(self, made: Account) -> None:
        """Refuses an e-mail address, in any letter case, or an external id that another account has."""
        name = "email" if made.kind == "user" else "external_id"
        value = made.details.get(name)
        if not value:
            return
        for other in self._table.with_detail(name, value):
            if other.kind != made.kind:
                continue
            there = other.details.get(name) or ""
            same = there.casefold() == value.casefold() if name == "email" else there == value
            if same and other.id != made.id:
                what = {"email": "e-mail address", "external_id": "external id"}[name]
                reason = "email-exists" if name == "email" else "organization-exists"
                raise Conflict(f"the {what} {value} is taken", reason=reason)

    def _refuse_last_owner(self, account: Account) -> None:
        alone = self._table.owned_alone(account.id)
        if alone:
            message = f"{account.name} is the last owner of {alone}"
            hint = "make another member its owner, or delete it, first"
            raise Conflict(message, hint=hint, reason="last-owner")

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """A transaction after which no remembered caller is trusted any more."""
        try:
            with self._table.transaction():
                yield
        finally:
            with self._lock:
                self._callers.clear()
                self.changes += 1
