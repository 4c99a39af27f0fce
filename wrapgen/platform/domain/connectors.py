"""Which account has which connectors. Credentials are kept in the home's database, and never told again."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from wrapgen.errors import BadRequest, NotAuthorized, NotFound
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.storage.data_table import ConnectorSettings, ConnectorTable
from wrapgen.platform.storage.objects import ObjectStore

NAME = re.compile(r"(s3)(\+[A-Za-z0-9_-]{1,30})?\Z")
"""A connector's name: its kind, and a label where an account has several."""

_FIELDS = {
    "bucket": re.compile(r"[A-Za-z0-9._:/-]+\Z"),
    "endpoint_url": re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/[!-~]*)?\Z"),
    "region": re.compile(r"[A-Za-z0-9-]+\Z"),
    "access_key_id": re.compile(r"[!-~]+\Z"),
    "secret_access_key": re.compile(r"[!-~]+\Z"),
}
"""What a connector is given, and what each may look like: boto3 fails on others only when they are used."""


Connect = Callable[[dict[str, Any]], ObjectStore]
"""Makes the store of a connector's settings."""


class Connectors:
    """The connectors of one platform.

    Args:
        table: where their settings are kept.
        accounts: whose they are.
        connect: makes the store of some settings.
        clock: gives epoch seconds.
    """

    def __init__(
        self, table: ConnectorTable, accounts: Accounts, connect: Connect, clock: Callable[[], float]
    ) -> None:
        self._table = table
        self._accounts = accounts
        self._connect = connect
        self._clock = clock
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], ObjectStore] = {}

    def configure(self, account: str, name: str, fields: dict[str, Any]) -> ConnectorSettings:
        """Gives an account a connector, or replaces it; the connector without its secret.

        Args:
            account: user or organization.
            name: `s3` or `s3+LABEL`.
            fields: `bucket` (only that one can be reached; any if empty), `endpoint_url`, `region`,
                `access_key_id`, `secret_access_key` (else those of the server's environment), `write`.

        Raises:
            NotFound: there is no such account.
            BadRequest: the name or a field can't be.
        """
        owner = self._accounts.get(account)
        if not NAME.match(name):
            raise BadRequest(f"{name!r} is no connector; use s3 or s3+LABEL")
        settings = {key: fields[key] for key in _FIELDS if fields.get(key)}
        odd = [key for key in settings if not _FIELDS[key].match(settings[key])]
        if odd:
            raise BadRequest(
                f"{', '.join(odd)}: invalid value",
                hint="an endpoint is http:// or https:// and a host; the others are printable ASCII",
            )
        settings["write"] = fields.get("write", True)
        with self._lock:
            made = ConnectorSettings(name, settings, self._clock())
            self._table.insert(made, instead="REPLACE", account_id=owner.id)
            self._open.pop((owner.name, name), None)
        return made

    def remove(self, account: str, name: str) -> None:
        """Takes a connector away.

        Raises:
            NotFound: the account has none of that name.
        """
        owner = self._accounts.get(account)
        with self._lock:
            if not self._table.delete(account_id=owner.id, name=name):
                raise NotFound(f"{owner.name} has no connector {name}")
            self._open.pop((owner.name, name), None)

    def of_account(self, account: str) -> list[ConnectorSettings]:
        """An account's connectors, by name."""
        return self._table.all(account_id=self._accounts.get(account).id)

    def open(self, caller: Caller, name: str, bucket: str, *, write: bool) -> ObjectStore:
        """The connector that a caller's account has under a name, for one bucket.

        Raises:
            NotFound: the account has none of that name.
            NotAuthorized: the key, or the connector, does not allow it.
        """
        rights = caller.permissions
        there = self.of_account(caller.account)
        settings = next((each.settings for each in there if each.name == name), None)
        if settings is None:
            raise NotFound(
                f"{caller.account} has no connector {name}://",
                hint="an administrator adds one with `wrapgen platform connectors add`",
            )
        allowed = rights.data_write and settings["write"] if write else rights.data_read
        if not allowed or bucket != settings.get("bucket", bucket):
            verb = "write" if write else "read"
            raise NotAuthorized(f"not allowed to {verb} {name}://{bucket}")
        with self._lock:
            found = self._open.get((caller.account, name))
            if found is None:
                found = self._open[(caller.account, name)] = self._connect(settings)
            return found
