"""The admin endpoints that configure connectors. An addition of ours; their files are in `data`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import Ask, Results, endpoint, said
from wrapgen.platform.storage.data_table import ConnectorSettings
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

PLACE = "/v1/admin/users/{user}/connectors"


class ConnectorFields(Struct):
    """What a request says of a connector."""

    bucket: str = ""
    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""
    secret_access_key: str = ""
    write: bool = True


class ConnectorObject(Struct, omit_defaults=True):
    """A connector, without its secret."""

    name: str
    created_at: str
    write: bool
    bucket: str = ""
    endpoint_url: str = ""
    region: str = ""
    access_key_id: str = ""


class ConnectorApi:
    """Connectors."""

    def __init__(self, platform: Platform) -> None:
        self._connectors = platform.state.connectors

    @endpoint("GET", PLACE, who=auth.admin)
    def connectors(self, ask: Ask) -> Results[ConnectorObject]:
        """Lists the connectors of an account."""
        return Results([_shown(each) for each in self._connectors.of_account(ask["user"])])

    @endpoint("PUT", f"{PLACE}/{{connector}}", who=auth.admin)
    def configure_connector(self, ask: Ask, body: ConnectorFields) -> ConnectorObject:
        """Gives an account a connector, or replaces it."""
        return _shown(self._connectors.configure(ask["user"], ask["connector"], said(body)))

    @endpoint("DELETE", f"{PLACE}/{{connector}}", who=auth.admin)
    def remove_connector(self, ask: Ask) -> None:
        """Takes a connector away."""
        self._connectors.remove(ask["user"], ask["connector"])


APIS = (ConnectorApi,)


def _shown(connector: ConnectorSettings) -> ConnectorObject:
    facts = {key: value for key, value in connector.settings.items() if key != "secret_access_key"}
    return ConnectorObject(connector.name, iso(connector.created_at), **facts)
