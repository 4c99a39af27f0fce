"""Users, keys and lists of errors: what is looked after with the admin key, where there is one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from wrapgen.client.transport import Transport
from wrapgen.errors import ServerFault
from wrapgen.protocol import dumps

PAGE = 50
"""Entries asked for at a time (platform contract, section 1)."""


class AccountCalls:
    """The account calls of a platform; every value is the API's own object."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def users(self) -> Iterator[dict[str, Any]]:
        """Every user."""
        return self._pages("/v1/users")

    def organizations(self) -> Iterator[dict[str, Any]]:
        """Every organization."""
        return self._pages("/v1/organizations")

    def members(self, organization: str) -> Iterator[dict[str, Any]]:
        """The members of an organization, with their roles."""
        return self._pages(f"/v1/organizations/{quote(organization)}/members")

    def add_user(self, name: str, email: str, fullname: str = "") -> dict[str, Any]:
        """Registers a user.

        Raises:
            Conflict: the name or the address is taken.
        """
        fields = {"username": name, "email": email, "fullname": fullname}
        return self._object("POST", "/v1/users", fields)

    def remove_user(self, name: str) -> None:
        """Removes a user with its keys.

        Raises:
            NotFound: there is none of that name.
            Conflict: it still owns algorithms or data.
        """
        self._transport.request("DELETE", f"/v1/users/{quote(name)}", key=self._key())

    def keys(self, account: str, *, organization: bool = False) -> list[dict[str, Any]]:
        """The keys of a user or an organization, without the keys themselves."""
        return self._list(f"{_place(account, organization)}/keys")

    def add_key(
        self,
        account: str,
        *,
        label: str,
        admin: bool,
        permissions: Mapping[str, Any],
        organization: bool = False,
    ) -> dict[str, Any]:
        """Makes a key for a user or an organization; its `api_key` is told this once.

        Args:
            account: the name.
            label: what it is for.
            admin: an admin key instead of a standard one.
            permissions: the API's `allow_data` and so on; what is not named is allowed.
            organization: whether the name is an organization's.

        Raises:
            NotFound: there is no such user, or organization.
        """
        fields: dict[str, Any] = {"key_label": label, "permissions": dict(permissions)}
        if admin:
            fields["key_type"] = "PlatformAdminKey"
        place = _place(account, organization) if organization else f"/v1/admin/users/{quote(account)}"
        return self._object("POST", f"{place}/keys", fields)

    def remove_key(self, account: str, key_id: str, *, organization: bool = False) -> None:
        """Revokes a key of a user or an organization at once.

        Raises:
            NotFound: the account has no such key.
        """
        path = f"{_place(account, organization)}/keys/{quote(key_id)}"
        self._transport.request("DELETE", path, key=self._key())

    def algorithms(self, account: str) -> list[dict[str, Any]]:
        """The algorithms of a user or an organization."""
        return self._list(f"/v1/users/{quote(account)}/algorithms")

    def errors(self, algorithm: str) -> list[dict[str, Any]]:
        """The failed calls of `owner/name`, newest first; for its owners, with their own key."""
        owner, _, name = algorithm.partition("/")
        path = f"/v1/algorithms/{quote(owner)}/{quote(name.partition('/')[0])}/errors"
        return _entries(self._transport.json("GET", path), path)

    def connectors(self, account: str) -> list[dict[str, Any]]:
        """An account's connectors to other storage, without secrets; a platform of ours only."""
        path = f"/v1/admin/users/{quote(account)}/connectors"
        found = self._transport.json("GET", path, key=self._key())
        return _entries(found.get("results") if isinstance(found, dict) else None, path)

    def add_connector(self, account: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an account a connector (`s3` or `s3+LABEL`), or replaces it."""
        path = f"/v1/admin/users/{quote(account)}/connectors/{quote(name)}"
        return self._object("PUT", path, settings)

    def remove_connector(self, account: str, name: str) -> None:
        """Takes a connector away.

        Raises:
            NotFound: the account has none of that name.
        """
        path = f"/v1/admin/users/{quote(account)}/connectors/{quote(name)}"
        self._transport.request("DELETE", path, key=self._key())

    def _key(self) -> str | None:
        return self._transport.connection.admin_key

    def _list(self, path: str) -> list[dict[str, Any]]:
        return _entries(self._transport.json("GET", path, key=self._key()), path)

    def _object(self, method: str, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        found = self._transport.json(
            method, path, body=dumps(fields), content_type="application/json", key=self._key()
        )
        if not isinstance(found, dict):
            raise ServerFault(f"{method} {path}: the platform answered no object")
        return found

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        marker: str | None = None
        while True:
            query = {"limit": PAGE, "marker": marker}
            page = self._transport.json("GET", path, query=query, key=self._key())
            if not isinstance(page, dict):
                raise ServerFault(f"GET {path}: the platform answered no page")
            yield from _entries(page.get("results"), path)
            following = page.get("marker")
            if not following or following == marker:
                return
            marker = str(following)


def _place(account: str, organization: bool) -> str:
    return f"/v1/{'organizations' if organization else 'users'}/{quote(account)}"


def _entries(found: Any, path: str) -> list[dict[str, Any]]:
    if not isinstance(found, list):
        raise ServerFault(f"GET {path}: the platform answered no list")
    return [entry for entry in found if isinstance(entry, dict)]
