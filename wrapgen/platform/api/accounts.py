"""Endpoints of users, organizations and members (platform contract, section 7)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct
from starlette.responses import Response

from wrapgen.errors import BadRequest
from wrapgen.platform.api import auth
from wrapgen.platform.api.algorithm_objects import CallError
from wrapgen.platform.api.endpoint import Ask, Page, Paging, endpoint, said
from wrapgen.platform.domain.accounts import ORGANIZATION_TYPES
from wrapgen.platform.domain.algorithms import require_manager
from wrapgen.platform.domain.model import Account
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

USER, ORGANIZATION = "/v1/users/{user}", "/v1/organizations/{org}"


class UserFields(Struct):
    """What a request says of a user."""

    username: str | None = None
    email: str | None = None
    fullname: str | None = None
    company_name: str | None = None
    company_role: str | None = None


class UserObject(Struct, kw_only=True):
    """A user."""

    id: str
    username: str
    email: str = ""
    fullname: str = ""
    company_name: str = ""
    company_role: str = ""
    self_link: str
    resource_type: str


class OrganizationFields(Struct):
    """What a request says of an organization."""

    org_name: str | None = None
    org_label: str | None = None
    org_contact_name: str | None = None
    org_email: str | None = None
    org_url: str | None = None
    type_id: str | None = None
    external_id: str | None = None
    external_admin_group: str | None = None
    external_member_group: str | None = None


class OrganizationObject(OrganizationFields, kw_only=True, omit_defaults=True):
    """An organization."""

    id: str
    org_created_at: str
    resource_type: str
    self_link: str


class OrganizationType(Struct):
    """A type of organizations."""

    id: str
    name: str


class MemberFields(Struct):
    """What a request says of a member; an addition of ours."""

    role: str | None = None


class MemberObject(Struct):
    """A member of an organization."""

    username: str
    role: str
    user_link: str
    resource_type: str


class AccountAlgorithm(Struct):
    """An algorithm of an account, by its names."""

    id: str
    algoname: str
    username: str


class UserApi:
    """Users."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._accounts = platform.state.accounts

    @endpoint("POST", "/v1/users", who=auth.admin)
    def create_user(self, ask: Ask, body: UserFields) -> UserObject:
        """Registers a user."""
        if not body.username or not body.email:
            raise BadRequest("username and email are required", reason="missing-field")
        details = {key: value for key, value in said(body).items() if key != "username"}
        return _user(ask, self._accounts.create("user", body.username, details))

    @endpoint("GET", "/v1/users", who=auth.admin)
    def users(self, ask: Ask, query: Paging) -> Page[UserObject]:
        """Lists users."""
        after = partial(self._accounts.page, "user")
        return ask.page_after(query, after, lambda user: user.id, lambda user: _user(ask, user))

    @endpoint("GET", USER, who=auth.person)
    def user(self, ask: Ask) -> UserObject:
        """Shows a user."""
        return _user(ask, self._accounts.seen_by(ask.caller, ask["user"], "user"))

    @endpoint("PUT", USER, who=auth.admin)
    def update_user(self, ask: Ask, body: UserFields) -> UserObject:
        """Changes a user."""
        user = self._accounts.get(ask["user"], "user")
        if body.username is not None and body.username.lower() != user.name.lower():
            message = f"the body names {body.username}, the address {user.name}"
            raise BadRequest(message, reason="other-name")
        chosen = {key: value for key, value in said(body).items() if key != "username"}
        if not body.email:  # of a user without one, whose object comes back as it was read
            chosen.pop("email", None)
        return _user(ask, self._accounts.update(user, chosen))

    @endpoint("DELETE", USER, who=auth.admin)
    async def delete_user(self, ask: Ask) -> None:
        """Removes a user."""
        await self._platform.delete_account(ask["user"], "user")

    @endpoint("GET", f"{USER}/errors", who=auth.person)
    def user_errors(self, ask: Ask) -> list[CallError]:
        """Lists calls of a user that failed: inputs are in them, so a key sees those of what it may call."""
        user, caller = self._accounts.seen_by(ask.caller, ask["user"], "user"), ask.caller
        found = msgspec.convert(self._platform.state.errors.of_account(user.name), list[CallError])
        return [each for each in found if caller.admin or caller.may_call(each.username, each.algoname)]

    @endpoint("GET", f"{USER}/algorithms", who=auth.person)
    def user_algorithms(self, ask: Ask) -> list[AccountAlgorithm]:
        """Lists the algorithms of a user; organizations have some too."""
        account = self._accounts.seen_by(ask.caller, ask["user"])
        found = self._platform.state.algorithms.all(account.name)
        return [AccountAlgorithm(each.id, each.name, each.owner) for each in found]


class OrganizationApi:
    """Organizations and their members."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._accounts = platform.state.accounts

    @endpoint("GET", "/v1/organization/types", who=auth.caller)
    def types(self, ask: Ask) -> list[OrganizationType]:  # noqa: ARG002 - every endpoint's signature
        """Lists the types of organizations."""
        return [OrganizationType(id_, name) for name, id_ in ORGANIZATION_TYPES.items()]

    @endpoint("POST", "/v1/organizations", who=auth.admin)
    def create_organization(self, ask: Ask, body: OrganizationFields) -> OrganizationObject:
        """Registers an organization, whose owner is the user who does that."""
        if not body.org_name:
            raise BadRequest("org_name is required", reason="missing-field")
        made = self._accounts.create(
            "organization", body.org_name, _details(body), founder=ask.caller.account
        )
        return _organization(ask, made)

    @endpoint("GET", "/v1/organizations", who=auth.admin)
    def organizations(self, ask: Ask, query: Paging) -> Page[OrganizationObject]:
        """Lists organizations."""
        after = partial(self._accounts.page, "organization")
        return ask.page_after(query, after, lambda each: each.id, lambda each: _organization(ask, each))

    @endpoint("GET", "/v1/organizations/externalId/{external}", who=auth.admin)
    def external_organization(self, ask: Ask) -> OrganizationObject:
        """Shows the organization that another system knows under an id."""
        return _organization(ask, self._accounts.by_external_id(ask["external"]))

    @endpoint("GET", ORGANIZATION, who=auth.person)
    def organization(self, ask: Ask) -> OrganizationObject:
        """Shows an organization."""
        return _organization(ask, self._accounts.seen_by(ask.caller, ask["org"], "organization"))

    @endpoint("PUT", ORGANIZATION, who=auth.admin)
    def update_organization(self, ask: Ask, body: OrganizationFields) -> None:
        """Changes an organization; unknown and foreign fields are ignored."""
        self._accounts.update(self._accounts.get(ask["org"], "organization"), _details(body))

    @endpoint("DELETE", ORGANIZATION, who=auth.admin)
    async def delete_organization(self, ask: Ask) -> None:
        """Removes an organization."""
        await self._platform.delete_account(ask["org"], "organization")

    @endpoint("GET", f"{ORGANIZATION}/errors", who=auth.person)
    def organization_errors(self, ask: Ask) -> list[CallError]:
        """Lists calls of an organization's algorithms that failed, of every caller."""
        group = self._accounts.seen_by(ask.caller, ask["org"], "organization")
        if not ask.caller.admin:
            require_manager(ask.caller)
        return msgspec.convert(self._platform.state.errors.of_owner(group.name), list[CallError])

    @endpoint("GET", f"{ORGANIZATION}/members", who=auth.person)
    def members(self, ask: Ask, query: Paging) -> Page[MemberObject]:
        """Lists the members of an organization."""
        group = self._accounts.seen_by(ask.caller, ask["org"], "organization")
        return ask.page(
            query,
            self._accounts.members(group.name),
            lambda member: member[0],
            lambda member: MemberObject(*member, f"{ask.base}/users/{member[0]}", "organization_member"),
        )

    @endpoint("PUT", f"{ORGANIZATION}/members/{{user}}", who=auth.admin)
    def add_member(self, ask: Ask, body: MemberFields) -> Response:
        """Adds a member: 201 if added, 200 if already one."""
        added = self._accounts.add_member(ask["org"], ask["user"], body.role)
        return Response(b"", 201 if added else 200)

    @endpoint("DELETE", f"{ORGANIZATION}/members/{{user}}", who=auth.admin)
    def remove_member(self, ask: Ask) -> None:
        """Removes a member, who need not be one."""
        self._accounts.remove_member(ask["org"], ask["user"])


APIS = (UserApi, OrganizationApi)


def _user(ask: Ask, user: Account) -> UserObject:
    link = f"{ask.base}/users/{user.name}"
    facts = {"id": user.id, "username": user.name, "self_link": link, "resource_type": "user"}
    return msgspec.convert({**user.details, **facts}, UserObject)


def _organization(ask: Ask, group: Account) -> OrganizationObject:
    facts = {
        "id": group.id,
        "org_name": group.name,
        "org_created_at": iso(group.created_at),
        "resource_type": "organization",
        "self_link": f"{ask.base}/organizations/{group.name}",
    }
    return msgspec.convert({**group.details, **facts}, OrganizationObject)


def _details(body: OrganizationFields) -> dict[str, str]:
    """The details of an organization; its type by name or id.

    Raises:
        BadRequest: there is no such type.
    """
    chosen: dict[str, str] = {key: value for key, value in said(body).items() if key != "org_name"}
    if "type_id" in chosen:
        found = ORGANIZATION_TYPES.get(chosen["type_id"], chosen["type_id"])
        if found not in ORGANIZATION_TYPES.values():
            hint = "one of GET /v1/organization/types"
            raise BadRequest(f"no organization type {found[:80]!r}", hint=hint, reason="invalid-organization")
        chosen["type_id"] = found
    return chosen
