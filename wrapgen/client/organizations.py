"""Owners that are no user. Making them takes an admin key, which only a local platform's home has."""

from __future__ import annotations

from urllib.parse import quote

from wrapgen.client.transport import Transport
from wrapgen.errors import Conflict, NoCredentials, NotFound
from wrapgen.protocol import dumps


class OrganizationCalls:
    """The organization calls, made with the home's admin key."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def exists(self, name: str) -> bool:
        """Whether there is an organization of that name.

        Raises:
            NoCredentials: this connection has no admin key.
        """
        try:
            self._transport.json("GET", f"/v1/organizations/{quote(name)}", key=self._admin_key())
        except NotFound:
            return False
        return True

    def create(self, name: str) -> bool:
        """Makes an organization; False if it was there already.

        Raises:
            NoCredentials: this connection has no admin key.
        """
        body = dumps({"org_name": name, "org_label": name, "org_email": f"{name}@localhost"})
        try:
            self._transport.json(
                "POST",
                "/v1/organizations",
                body=body,
                content_type="application/json",
                key=self._admin_key(),
            )
        except Conflict:
            return False
        return True

    def add_member(self, name: str, account: str, role: str | None = None) -> None:
        """Makes an account a member, which lets it act for the organization; repeating does no harm.

        Args:
            name: the organization's.
            account: the user's name.
            role: `member` or `owner`; None leaves a member's. Only wrapgen's own platform knows it.

        Raises:
            NoCredentials: this connection has no admin key.
            NotFound: there is no such organization or account.
            Conflict: the organization's last owner would be one no more.
        """
        path = f"/v1/organizations/{quote(name)}/members/{quote(account)}"
        self._transport.request(
            "PUT",
            path,
            body=dumps({"role": role} if role else {}),
            content_type="application/json",
            key=self._admin_key(),
        )

    def _admin_key(self) -> str:
        key = self._transport.connection.admin_key
        if key is None:
            raise NoCredentials(
                "making an organization takes an admin key, which only a local platform's home holds",
                hint="ask the platform's administrator",
            )
        return key
