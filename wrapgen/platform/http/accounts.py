"""Routes of users, organizations, members and keys (platform contract, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, Conflict, NotAuthorized
from wrapgen.platform.accounts import ORGANIZATION_TYPES, Account, Key
from wrapgen.platform.database import iso
from wrapgen.platform.http import auth
from wrapgen.platform.http.exchange import base_of, empty, fields_of, page, reply
from wrapgen.platform.model import Caller, Permissions

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
    """The routes of /v1/users, /v1/organizations and /v1/admin/users."""
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
        Route(f"{users}/{{user}}/keys", api.keys, methods=["GET"]),
        Route(f"{users}/{{user}}/keys", api.create_key, methods=["POST"]),
        Route(f"{users}/{{user}}/keys/{{key}}", api.revoke_key, methods=["DELETE"]),
        Route("/v1/admin/users/{user}/keys", api.create_key, methods=["POST"]),
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
        Route(f"{groups}/{{org}}/members/{{user}}/keys", api.create_key, methods=["POST"]),
        Route(f"{groups}/{{org}}/keys", api.keys, methods=["GET"]),
        Route(f"{groups}/{{org}}/keys", api.create_key, methods=["POST"]),
        Route(f"{groups}/{{org}}/keys/{{key}}", api.revoke_key, methods=["DELETE"]),
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
            raise BadRequest("username and email are required", status=400, api_code=3005)
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
        return reply(_user(await self._user(request), base_of(request)))

    async def update_user(self, request: Request) -> Response:
        """PUT /v1/users/:user"""
        auth.admin(request)
        user, fields = await self._user(request), await fields_of(request)
        _same_name(fields.get("username"), user)
        changed = await run_in_threadpool(self._accounts.update, user, _chosen(fields, _USER_FIELDS))
        return reply(_user(changed, base_of(request)))

    async def delete_user(self, request: Request) -> Response:
        """DELETE /v1/users/:user"""
        auth.admin(request)
        return await self._delete(await self._user(request))

    async def user_errors(self, request: Request) -> Response:
        """GET /v1/users/:user/errors: inputs are in them, so a key sees those of what it may call."""
        user, caller = await self._user(request), auth.person(request)
        found = await run_in_threadpool(self._state.failures.of_account, user.name)
        if not caller.admin:
            found = [each for each in found if caller.may_call(each["username"], each["algoname"])]
        return reply(found)

    async def user_algorithms(self, request: Request) -> Response:
        """GET /v1/users/:user/algorithms; organizations have some too"""
        caller = auth.person(request)
        account = await run_in_threadpool(self._accounts.get, request.path_params["user"])
        if not caller.admin and not caller.owns(account.name):
            raise NotAuthorized(f"403: {account.name} is not you", status=403, api_code=2001)
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
            raise BadRequest("org_name is required", status=400, api_code=3005)

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
        return reply(_organization(await self._organization(request), base_of(request)))

    async def update_organization(self, request: Request) -> Response:
        """PUT /v1/organizations/:org: unknown and foreign fields are ignored."""
        auth.admin(request)
        group, fields = await self._organization(request), await fields_of(request)
        await run_in_threadpool(self._accounts.update, group, _organization_fields(fields))
        return empty()

    async def delete_organization(self, request: Request) -> Response:
        """DELETE /v1/organizations/:org"""
        auth.admin(request)
        return await self._delete(await self._organization(request))

    async def organization_errors(self, request: Request) -> Response:
        """GET /v1/organizations/:org/errors: of its algorithms, whoever called them."""
        group, caller = await self._organization(request), auth.person(request)
        if not caller.admin and not caller.permissions.manage:
            raise NotAuthorized("this API key may not manage algorithms", status=403, api_code=2001)
        return reply(await run_in_threadpool(self._state.failures.of_owner, group.name))

    async def members(self, request: Request) -> Response:
        """GET /v1/organizations/:org/members"""
        group = await self._organization(request)
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
        """PUT .../members/:user: 201 if added, 200 if already one."""
        auth.admin(request)
        words = request.path_params
        added = await run_in_threadpool(self._accounts.add_member, words["org"], words["user"])
        return empty(201 if added else 200)

    async def remove_member(self, request: Request) -> Response:
        """DELETE .../members/:user: 204 also if not a member."""
        auth.admin(request)
        words = request.path_params
        await run_in_threadpool(self._accounts.remove_member, words["org"], words["user"])
        return empty()

    # -- keys ------------------------------------------------------------------------------------------

    async def keys(self, request: Request) -> Response:
        """GET .../keys of a user or an organization"""
        account = await self._key_holder(request)
        found = await run_in_threadpool(self._accounts.keys, account.name)
        return reply([_key(key) for key in found])

    async def create_key(self, request: Request) -> Response:
        """POST .../keys: the reply is the only place where the key is told."""
        account, fields = await self._key_holder(request), await fields_of(request)
        admin = fields.get("key_type") == "PlatformAdminKey"
        if admin and not auth.caller(request).admin:
            raise NotAuthorized("only an admin key makes admin keys", status=403, api_code=2001)
        permissions = _permissions(fields.get("permissions"))
        key, made = await run_in_threadpool(
            lambda: self._accounts.create_key(
                account.name,
                label=str(fields.get("key_label") or ""),
                admin=admin,
                permissions=permissions,
            )
        )
        return reply({**_key(made), "api_key": key}, 201 if "org" in request.path_params else 200)

    async def revoke_key(self, request: Request) -> Response:
        """DELETE .../keys/:id"""
        account = await self._key_holder(request)
        await run_in_threadpool(self._accounts.revoke_key, account.name, request.path_params["key"])
        return empty()

    async def _delete(self, account: Account) -> Response:
        """Removes an account, and what is kept under its name: another may come to have that."""
        if self._platform.calls.open_of(account.name):
            hint = "delete it when they have ended"
            raise Conflict(f"{account.name} has open calls", hint=hint, status=409)
        await run_in_threadpool(self._accounts.delete, account)
        await self._platform.forget(account.name)
        return empty()

    # -- looking up ------------------------------------------------------------------------------------

    async def _user(self, request: Request) -> Account:
        """The user of the path: for admin keys any, for others themselves."""
        caller = auth.person(request)
        found = await run_in_threadpool(self._accounts.get, request.path_params["user"], "user")
        if not caller.admin and found.name != caller.account:
            raise NotAuthorized(f"403: {found.name} is not you", status=403, api_code=2001)
        return found

    async def _organization(self, request: Request) -> Account:
        """The organization of the path: for admin keys any, for others those they are members of."""
        caller = auth.person(request)
        found = await run_in_threadpool(self._accounts.get, request.path_params["org"], "organization")
        if not caller.admin and not caller.owns(found.name):
            raise NotAuthorized(f"403: you are no member of {found.name}", status=403, api_code=2001)
        return found

    async def _key_holder(self, request: Request) -> Account:
        """Whose keys the path means. A restricted key makes none: they could do more than it may."""
        caller: Caller = auth.caller(request)
        if caller.algorithm is not None:
            raise NotAuthorized("a running algorithm can't handle keys", status=403, api_code=2001)
        if not caller.admin and caller.permissions != Permissions():
            raise NotAuthorized("a restricted API key can't handle keys", status=403, api_code=2001)
        if request.url.path.startswith("/v1/admin/"):
            auth.admin(request)
        if "org" in request.path_params and "user" in request.path_params:
            await self._organization(request)
            auth.admin(request)
        return await (self._user(request) if "user" in request.path_params else self._organization(request))


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
    chosen = _chosen(fields, _ORGANIZATION_FIELDS)
    if "type_id" in chosen:
        chosen["type_id"] = ORGANIZATION_TYPES.get(chosen["type_id"], chosen["type_id"])
    return chosen


def _chosen(fields: dict[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """The fields of those names that say something.

    Raises:
        BadRequest: one is not text.
    """
    chosen = {name: fields[name] for name in names if fields.get(name) is not None}
    for name, value in chosen.items():
        if not isinstance(value, str):
            raise BadRequest(f"{name} must be a string", status=400, api_code=2015)
    return chosen


def _same_name(name: Any, account: Account) -> None:
    if name is not None and str(name).lower() != account.name.lower():
        raise BadRequest(f"the body names {name}, the address {account.name}", status=400, api_code=3007)


def _key(key: Key) -> dict[str, Any]:
    rights = key.permissions
    return {
        "id": key.id,
        "username": key.account,
        "key_label": key.label,
        "created_at": iso(key.created_at),
        "api_key_mask": key.mask,
        "key_type": "PlatformAdminKey" if key.admin else "AlgorithmKey",
        "permissions": {
            "allow_data": rights.data_read,
            "allow_data_write": rights.data_write,
            "allow_algo": rights.native,
            "allow_web_algo": rights.web,
            "referer_host": rights.referrer,
            "allow_algo_management": rights.manage,
            "algo_acl": list(rights.algorithms),
        },
    }


def _permissions(asked: Any) -> Permissions:
    """A key's restrictions from the API's object; what it does not mention is allowed.

    Raises:
        BadRequest: an entry has the wrong type.
    """
    if asked is None:
        return Permissions()
    acl = asked.get("algo_acl", ["algo://*"]) if isinstance(asked, dict) else None
    if not isinstance(acl, list) or not all(isinstance(p, str) and p.startswith("algo://") for p in acl):
        raise BadRequest(
            "permissions must be an object whose algo_acl lists algo://*, algo://OWNER/* or algo://OWNER/NAME/*",
            status=400,
            api_code=2015,
        )
    write = asked.get("allow_data_write", True) is True
    referrer = asked.get("referer_host") or ""
    if not isinstance(referrer, str):
        raise BadRequest("referer_host must be a string", status=400, api_code=2015)
    return Permissions(
        algorithms=tuple(acl),
        data_read=asked.get("allow_data", True) is True,
        data_write=write and asked.get("allow_data", True) is True,
        manage=asked.get("allow_algo_management", True) is True,
        native=asked.get("allow_algo", True) is True,
        web=asked.get("allow_web_algo", True) is True,
        referrer=referrer,
    )
