"""Users, organizations, keys, connectors and lists of errors; most take the admin key of a local home."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from wrapgen.client.api import ApiCalls
from wrapgen.errors import Conflict, NoCredentials, NotFound
from wrapgen.references import Reference


class AccountCalls(ApiCalls):
    """The account calls of a platform, made with the admin key where the connection has one."""

    def users(self) -> Iterator[dict[str, Any]]:
        """Every user."""
        return self._pages("/v1/users", key=self._key)

    def add_user(self, name: str, email: str, fullname: str = "") -> dict[str, Any]:
        """Registers a user.

        Raises:
            Conflict: the name or the address is taken.
        """
        fields = {"username": name, "email": email, "fullname": fullname}
        return self._object("POST", "/v1/users", fields, key=self._key)

    def remove_user(self, name: str) -> None:
        """Removes a user with its keys.

        Raises:
            NotFound: there is none of that name.
            Conflict: it still owns algorithms or data.
        """
        self._send("DELETE", f"/v1/users/{quote(name)}", key=self._key)

    def organizations(self) -> Iterator[dict[str, Any]]:
        """Every organization."""
        return self._pages("/v1/organizations", key=self._key)

    def has_organization(self, name: str) -> bool:
        """Whether there is an organization of that name.

        Raises:
            NoCredentials: this connection has no admin key.
        """
        try:
            self._send("GET", f"/v1/organizations/{quote(name)}", key=self._admin_key())
        except NotFound:
            return False
        return True

    def add_organization(self, name: str) -> bool:
        """Creates an organization; False if it exists already.

        Raises:
            NoCredentials: this connection has no admin key.
        """
        fields = {"org_name": name, "org_label": name, "org_email": f"{name}@localhost"}
        try:
            self._send("POST", "/v1/organizations", fields, key=self._admin_key())
        except Conflict:
            return False
        return True

    def members(self, organization: str) -> Iterator[dict[str, Any]]:
        """The members of an organization, with their roles."""
        return self._pages(f"/v1/organizations/{quote(organization)}/members", key=self._key)

    def add_member(self, organization: str, account: str, role: str | None = None) -> None:
        """Makes an account a member, which lets it act for the organization; repeating does no harm.

        Args:
            organization: its name.
            account: the user's name.
            role: `member` or `owner`; None leaves a member's. Only wrapgen's own platform knows it.

        Raises:
            NoCredentials: this connection has no admin key.
            NotFound: there is no such organization or account.
            Conflict: the organization would be left without an owner.
        """
        path = f"/v1/organizations/{quote(organization)}/members/{quote(account)}"
        self._send("PUT", path, {"role": role} if role else {}, key=self._admin_key())

    def keys(self, account: str, *, organization: bool = False) -> list[dict[str, Any]]:
        """The keys of a user or an organization, without the keys themselves."""
        return self._list(f"{_place(account, organization)}/keys", key=self._key)

    def add_key(
        self,
        account: str,
        *,
        label: str,
        admin: bool,
        permissions: Mapping[str, Any],
        organization: bool = False,
    ) -> dict[str, Any]:
        """Makes a key for a user or an organization; its `api_key` is shown only now.

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
        return self._object("POST", f"{place}/keys", fields, key=self._key)

    def remove_key(self, account: str, key_id: str, *, organization: bool = False) -> None:
        """Revokes a key of a user or an organization at once.

        Raises:
            NotFound: the account has no such key.
        """
        self._send("DELETE", f"{_place(account, organization)}/keys/{quote(key_id)}", key=self._key)

    def algorithms(self, account: str) -> list[dict[str, Any]]:
        """The algorithms of a user or an organization."""
        return self._list(f"/v1/users/{quote(account)}/algorithms", key=self._key)

    def errors(self, algorithm: str) -> list[dict[str, Any]]:
        """The failed calls of `owner/name`, newest first; for its owners, with their own key."""
        return self._list(f"/v1/algorithms/{quote(Reference.parse(algorithm).path)}/errors")

    def connectors(self, account: str) -> list[dict[str, Any]]:
        """An account's connectors to other storage, without secrets; a platform of ours only."""
        return self._list(f"/v1/admin/users/{quote(account)}/connectors", "results", key=self._key)

    def add_connector(self, account: str, name: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Gives an account a connector (`s3` or `s3+LABEL`), or replaces it."""
        path = f"/v1/admin/users/{quote(account)}/connectors/{quote(name)}"
        return self._object("PUT", path, settings, key=self._key)

    def remove_connector(self, account: str, name: str) -> None:
        """Removes a connector.

        Raises:
            NotFound: the account has none of that name.
        """
        self._send("DELETE", f"/v1/admin/users/{quote(account)}/connectors/{quote(name)}", key=self._key)

    @property
    def _key(self) -> str | None:
        return self._transport.connection.admin_key

    def _admin_key(self) -> str:
        if self._key is None:
            raise NoCredentials(
                "making an organization takes an admin key, which only a local platform's home holds",
                hint="ask the platform's administrator",
            )
        return self._key


def _place(account: str, organization: bool) -> str:
    return f"/v1/{'organizations' if organization else 'users'}/{quote(account)}"
