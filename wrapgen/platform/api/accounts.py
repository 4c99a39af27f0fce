"""Routes of users, organizations and members (platform contract, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, Conflict, NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import base_of, empty, fields_of, page, reply
from wrapgen.platform.api.holders import organization_of, user_of
from wrapgen.platform.domain.accounts import ORGANIZATION_TYPES
from wrapgen.platform.domain.model import Account
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

_USER_FIELDS = ("email", "fullname", "company_name", "company_role")
_ORGANIZATION_FIELDS = (
    "org_label",
    "org_contact_name",
    "org_email",
    "org_url",
    "type_id",
    "external_id",
    "external_admin_group",
    "external_member_group",
)


def routes(platform: Platform) -> list[Route]:
    """The routes of /v1/users and /v1/organizations, but for keys."""
    api = AccountRoutes(platform)
    users, groups = "/v1/users", "/v1/organizations"
    return [
        Route(users, api.create_user, methods=["POST"]),
        Route(users, api.users, methods=["GET"]),
        Route(f"{users}/{{user}}", api.user, methods=["GET"]),
        Route(f"{users}/{{user}}", api.update_user, methods=["PUT"]),
        Route(f"{users}/{{user}}", api.delete_user, methods=["DELETE"]),
        Route(f"{users}/{{user}}/errors", api.user_errors, methods=["GET"]),
        Route(f"{users}/{{user}}/algorithms", api.user_algorithms, methods=["GET"]),
        Route("/v1/organization/types", api.types, methods=["GET"]),
        Route(groups, api.create_organization, methods=["POST"]),
        Route(groups, api.organizations, methods=["GET"]),
        Route(f"{groups}/externalId/{{external}}", api.external_organization, methods=["GET"]),
        Route(f"{groups}/{{org}}", api.organization, methods=["GET"]),
        Route(f"{groups}/{{org}}", api.update_organization, methods=["PUT"]),
        Route(f"{groups}/{{org}}", api.delete_organization, methods=["DELETE"]),
        Route(f"{groups}/{{org}}/errors", api.organization_errors, methods=["GET"]),
        Route(f"{groups}/{{org}}/members", api.members, methods=["GET"]),
        Route(f"{groups}/{{org}}/members/{{user}}", api.add_member, methods=["PUT"]),
        Route(f"{groups}/{{org}}/members/{{user}}", api.remove_member, methods=["DELETE"]),
    ]


class AccountRoutes:
    """One method per route; each only translates."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._state = platform.state
        self._accounts = platform.state.accounts

    # -- users -----------------------------------------------------------------------------------------

    async def create_user(self, request: Request) -> Response:
        """POST /v1/users"""
        auth.admin(request)
        fields = await fields_of(request)
        name = str(fields.get("username") or "")
        if not name or not fields.get("email"):
            raise BadRequest("username and email are required", reason="missing-field")
        made = await run_in_threadpool(self._accounts.create, "user", name, _chosen(fields, _USER_FIELDS))
        return reply(_user(made, base_of(request)))

    async def users(self, request: Request) -> Response:
        """GET /v1/users"""
        auth.admin(request)
        listed = await run_in_threadpool(self._accounts.all, "user")
        base = base_of(request)
        return page(request, listed, lambda user: user.id, lambda user: _user(user, base))

    async def user(self, request: Request) -> Response:
        """GET /v1/users/:user"""
        return reply(_user(await user_of(request), base_of(request)))

    async def update_user(self, request: Request) -> Response:
        """PUT /v1/users/:user"""
        auth.admin(request)
        user, fields = await user_of(request), await fields_of(request)
        _same_name(fields.get("username"), user)
        chosen = _chosen(fields, _USER_FIELDS)
        if not chosen.get("email"):  # of a user without one, whose object comes back as it was read
            chosen.pop("email", None)
        changed = await run_in_threadpool(self._accounts.update, user, chosen)
        return reply(_user(changed, base_of(request)))

    async def delete_user(self, request: Request) -> Response:
        """DELETE /v1/users/:user"""
        auth.admin(request)
        return await self._delete(await user_of(request))

    async def user_errors(self, request: Request) -> Response:
        """GET /v1/users/:user/errors: inputs are in them, so a key sees those of what it may call."""
        user, caller = await user_of(request), auth.person(request)
        found = await run_in_threadpool(self._state.errors.of_account, user.name)
        if not caller.admin:
            found = [each for each in found if caller.may_call(each["username"], each["algoname"])]
        return reply(found)

    async def user_algorithms(self, request: Request) -> Response:
        """GET /v1/users/:user/algorithms; organizations have some too"""
        caller = auth.person(request)
        account = await run_in_threadpool(self._accounts.get, request.path_params["user"])
        if not caller.admin and not caller.owns(account.name):
            raise NotAuthorized(f"403: {account.name} is not you")
        found = await run_in_threadpool(self._state.algorithms.all, account.name)
        return reply([{"id": each.id, "algoname": each.name, "username": each.owner} for each in found])

    # -- organizations ---------------------------------------------------------------------------------

    async def types(self, request: Request) -> Response:
        """GET /v1/organization/types"""
        auth.caller(request)
        return reply([{"id": id_, "name": name} for name, id_ in ORGANIZATION_TYPES.items()])

    async def create_organization(self, request: Request) -> Response:
        """POST /v1/organizations: whoever makes one becomes its owner."""
        caller, fields = auth.admin(request), await fields_of(request)
        name = str(fields.get("org_name") or "")
        if not name:
            raise BadRequest("org_name is required", reason="missing-field")

        def make() -> Account:
            with self._state.database.transaction():
                made = self._accounts.create("organization", name, _organization_fields(fields))
                if self._accounts.get(caller.account).kind == "user":
                    self._accounts.add_member(name, caller.account, "owner")
            return made

        return reply(_organization(await run_in_threadpool(make), base_of(request)))

    async def organizations(self, request: Request) -> Response:
        """GET /v1/organizations"""
        auth.admin(request)
        listed = await run_in_threadpool(self._accounts.all, "organization")
        base = base_of(request)
        return page(request, listed, lambda each: each.id, lambda each: _organization(each, base))

    async def external_organization(self, request: Request) -> Response:
        """GET /v1/organizations/externalId/:id"""
        auth.admin(request)
        wanted = request.path_params["external"]
        found = await run_in_threadpool(self._accounts.by_external_id, wanted)
        return reply(_organization(found, base_of(request)))

    async def organization(self, request: Request) -> Response:
        """GET /v1/organizations/:org"""
        return reply(_organization(await organization_of(request), base_of(request)))

    async def update_organization(self, request: Request) -> Response:
        """PUT /v1/organizations/:org: unknown and foreign fields are ignored."""
        auth.admin(request)
        group, fields = await organization_of(request), await fields_of(request)
        await run_in_threadpool(self._accounts.update, group, _organization_fields(fields))
        return empty()

    async def delete_organization(self, request: Request) -> Response:
        """DELETE /v1/organizations/:org"""
        auth.admin(request)
        return await self._delete(await organization_of(request))

    async def organization_errors(self, request: Request) -> Response:
        """GET /v1/organizations/:org/errors: of its algorithms, whoever called them."""
        group, caller = await organization_of(request), auth.person(request)
        if not caller.admin and not caller.permissions.manage:
            raise NotAuthorized("this API key may not manage algorithms")
        return reply(await run_in_threadpool(self._state.errors.of_owner, group.name))

    async def members(self, request: Request) -> Response:
        """GET /v1/organizations/:org/members"""
        group = await organization_of(request)
        listed = await run_in_threadpool(self._accounts.members, group.name)
        base = base_of(request)
        return page(
            request,
            listed,
            lambda member: member[0],
            lambda member: {
                "username": member[0],
                "role": member[1],
                "user_link": f"{base}/users/{member[0]}",
                "resource_type": "organization_member",
            },
        )

    async def add_member(self, request: Request) -> Response:
        """PUT .../members/:user: 201 if added, 200 if already one; `role` in the body is an addition."""
        auth.admin(request)
        words, role = request.path_params, _chosen(await fields_of(request), ("role",)).get("role")
        added = await run_in_threadpool(self._accounts.add_member, words["org"], words["user"], role)
        return empty(201 if added else 200)

    async def remove_member(self, request: Request) -> Response:
        """DELETE .../members/:user: 204 also if not a member."""
        auth.admin(request)
        words = request.path_params
        await run_in_threadpool(self._accounts.remove_member, words["org"], words["user"])
        return empty()

    async def _delete(self, account: Account) -> Response:
        """Removes an account, and what is kept under its name: another may come to have that."""
        if self._platform.calls.open_of(account.name):
            hint = "delete it when they have ended"
            raise Conflict(f"{account.name} has open calls", hint=hint)
        await run_in_threadpool(self._accounts.delete, account)
        await self._platform.forget(account.name)
        return empty()


def _user(user: Account, base: str) -> dict[str, Any]:
    return {
        "id": user.id,
        "username": user.name,
        **{name: user.details.get(name, "") for name in _USER_FIELDS},
        "self_link": f"{base}/users/{user.name}",
        "resource_type": "user",
    }


def _organization(group: Account, base: str) -> dict[str, Any]:
    return {
        "id": group.id,
        "org_name": group.name,
        **{name: group.details[name] for name in _ORGANIZATION_FIELDS if name in group.details},
        "org_created_at": iso(group.created_at),
        "resource_type": "organization",
        "self_link": f"{base}/organizations/{group.name}",
    }


def _organization_fields(fields: dict[str, Any]) -> dict[str, str]:
    """The fields of an organization; its type by name or id.

    Raises:
        BadRequest: one is not text, or there is no such type.
    """
    chosen = _chosen(fields, _ORGANIZATION_FIELDS)
    if "type_id" in chosen:
        found = ORGANIZATION_TYPES.get(chosen["type_id"], chosen["type_id"])
        if found not in ORGANIZATION_TYPES.values():
            hint = "one of GET /v1/organization/types"
            raise BadRequest(f"no organization type {found[:80]!r}", hint=hint, reason="invalid-organization")
        chosen["type_id"] = found
    return chosen


def _chosen(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """The fields of those names that say something.

    Raises:
        BadRequest: one is not text.
    """
    chosen = {name: fields[name] for name in names if fields.get(name) is not None}
    for name, value in chosen.items():
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be a string")
    return chosen


def _same_name(name: Any, account: Account) -> None:
    if name is not None and str(name).lower() != account.name.lower():
        raise BadRequest(f"the body names {name}, the address {account.name}", reason="other-name")
