"""Endpoints of source hosts (platform contract, section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import Ask, Results, endpoint
from wrapgen.platform.domain.scms import ScmFields, ScmObject

if TYPE_CHECKING:
    from wrapgen.platform import Platform

ADMIN = "/v1/admin/scms/{scm}"


class Authorization(Struct):
    """Whether somebody is authorized at a source host."""

    authorization_status: str


class ScmApi:
    """Source hosts."""

    def __init__(self, platform: Platform) -> None:
        self._scms = platform.state.scms

    @endpoint("GET", "/v1/scms", who=auth.caller)
    def scms(self, ask: Ask) -> Results[ScmObject]:  # noqa: ARG002 - every endpoint's signature
        """Lists source hosts."""
        return Results(self._scms.all())

    @endpoint("GET", "/v1/scms/{scm}", who=auth.caller)
    def scm(self, ask: Ask) -> ScmObject:
        """Shows a source host."""
        return self._scms.get(ask["scm"])

    @endpoint("GET", "/v1/scms/{scm}/oauth/status", who=auth.caller)
    def oauth_status(self, ask: Ask) -> Authorization:
        """Says that no user is authorized, nor has to be at the internal host."""
        self._scms.get(ask["scm"])
        return Authorization("unauthorized")

    @endpoint("POST", "/v1/scms/{scm}/oauth/revoke", who=auth.caller)
    def oauth_revoke(self, ask: Ask) -> None:
        """Revokes nothing: there is nothing to revoke."""
        self._scms.get(ask["scm"])

    @endpoint("POST", "/v1/admin/scms", who=auth.admin, status=201)
    def create_scm(self, ask: Ask, body: ScmFields) -> ScmObject:  # noqa: ARG002
        """Registers an external source host."""
        return self._scms.create(body)

    @endpoint("PATCH", ADMIN, who=auth.admin)
    def update_scm(self, ask: Ask, body: ScmFields) -> ScmObject:
        """Switches a source host on or off."""
        return self._scms.update(ask["scm"], enabled=body.enabled)

    @endpoint("DELETE", ADMIN, who=auth.admin)
    def delete_scm(self, ask: Ask) -> None:
        """Removes an external source host."""
        self._scms.delete(ask["scm"])

    @endpoint("POST", f"{ADMIN}/default", who=auth.admin)
    def choose_scm(self, ask: Ask) -> None:
        """Makes a source host the default."""
        self._scms.choose(ask["scm"])


APIS = (ScmApi,)
