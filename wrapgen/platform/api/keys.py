"""Endpoints of the keys of users and organizations (platform contract, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from wrapgen.errors import BadRequest, NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.api.accounts import ORGANIZATION, USER
from wrapgen.platform.api.endpoint import Ask, endpoint
from wrapgen.platform.domain.model import ADMIN_KEY, STANDARD_KEY, Account, Key, Permissions
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

PATTERN = 300
"""Most characters of an entry of a key's list: two names, and what stands around them."""

KeyKind = Literal["AlgorithmKey", "ManagementKey", "PlatformAdminKey"]


class KeyPermissions(Struct):
    """What a key may do; what a request does not mention is allowed."""

    allow_data: bool | None = True
    allow_data_write: bool | None = True
    allow_algo: bool | None = True
    allow_web_algo: bool | None = True
    referer_host: str | None = ""
    allow_algo_management: bool | None = True
    algo_acl: list[Annotated[str, Meta(pattern="^algo://", max_length=PATTERN)]] = msgspec.field(
        default_factory=lambda: ["algo://*"]
    )


class KeyFields(Struct):
    """What a request says of a new key."""

    key_label: str | None = None
    key_type: KeyKind | Literal[""] | None = None
    permissions: KeyPermissions | None = None


class KeyObject(Struct, omit_defaults=True, kw_only=True):
    """A key; the key itself only in the answer that makes it."""

    id: str
    username: str
    key_label: str
    created_at: str
    api_key_mask: str
    key_type: str
    permissions: dict[str, bool | str | list[str]]
    api_key: str = ""


class KeyApi:
    """Keys."""

    def __init__(self, platform: Platform) -> None:
        self._accounts = platform.state.accounts
        self._most = platform.bounds.key_patterns

    @endpoint("GET", f"{USER}/keys", who=auth.person)
    def keys(self, ask: Ask) -> list[KeyObject]:
        """Lists the keys of a user."""
        return [_key(key) for key in self._accounts.keys(self._account(ask).name)]

    @endpoint("GET", f"{ORGANIZATION}/keys", who=auth.person)
    def organization_keys(self, ask: Ask) -> list[KeyObject]:
        """Lists the keys of an organization."""
        return self.keys(ask)

    @endpoint("POST", f"{USER}/keys", who=auth.person)
    @endpoint("POST", "/v1/admin/users/{user}/keys", who=auth.admin)
    def create_key(self, ask: Ask, body: KeyFields) -> KeyObject:
        """Makes a key; the reply is the only place where it is told."""
        account, kind = self._account(ask), body.key_type or STANDARD_KEY
        permissions = _permissions(body.permissions, self._most) if body.permissions else Permissions()
        if kind == ADMIN_KEY and not ask.caller.admin:
            raise NotAuthorized("only an admin key makes admin keys")
        label = body.key_label or ""
        key, made = self._accounts.create_key(account.name, label=label, kind=kind, permissions=permissions)
        return msgspec.structs.replace(_key(made), api_key=key)

    @endpoint("POST", f"{ORGANIZATION}/members/{{user}}/keys", who=auth.admin, status=201)
    @endpoint("POST", f"{ORGANIZATION}/keys", who=auth.person, status=201)
    def create_organization_key(self, ask: Ask, body: KeyFields) -> KeyObject:
        """Makes a key of an organization, or of a member of one."""
        return self.create_key(ask, body)

    @endpoint("DELETE", f"{USER}/keys/{{key}}", who=auth.person)
    @endpoint("DELETE", f"{ORGANIZATION}/keys/{{key}}", who=auth.person)
    def revoke_key(self, ask: Ask) -> None:
        """Revokes a key at once."""
        self._accounts.revoke_key(self._account(ask).name, ask["key"])

    def _account(self, ask: Ask) -> Account:
        """Whose keys the path means. A restricted key makes none: they could do more than it may."""
        if not ask.caller.admin and ask.caller.permissions != Permissions():
            raise NotAuthorized("a restricted API key can't handle keys")
        words = ask.request.path_params
        group = self._accounts.seen_by(ask.caller, words["org"], "organization") if "org" in words else None
        if "user" in words:
            return self._accounts.seen_by(ask.caller, words["user"], "user")
        assert group is not None
        return group


APIS = (KeyApi,)


def _key(key: Key) -> KeyObject:
    rights = key.permissions
    return KeyObject(
        id=key.id,
        username=key.account,
        key_label=key.label,
        created_at=iso(key.created_at),
        api_key_mask=key.mask,
        key_type=key.kind,
        permissions={
            "allow_data": rights.data_read,
            "allow_data_write": rights.data_write,
            "allow_algo": rights.native,
            "allow_web_algo": rights.web,
            "referer_host": rights.referrer,
            "allow_algo_management": rights.manage,
            "algo_acl": list(rights.algorithms),
        },
    )


def _permissions(asked: KeyPermissions, most: int) -> Permissions:
    """A key's restrictions from the API's object.

    Raises:
        BadRequest: the list has more than `most` entries.
    """
    if len(asked.algo_acl) > most:
        raise BadRequest(f"algo_acl has at most {most} entries (key-patterns) of {PATTERN} characters")
    return Permissions(
        algorithms=tuple(asked.algo_acl),
        data_read=asked.allow_data is True,
        data_write=asked.allow_data_write is True and asked.allow_data is True,
        manage=asked.allow_algo_management is True,
        native=asked.allow_algo is True,
        web=asked.allow_web_algo is True,
        referrer=asked.referer_host or "",
    )
