"""Routes of the keys of users and organizations (platform contract, section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import empty, fields_of, reply
from wrapgen.platform.api.holders import organization_of, user_of
from wrapgen.platform.domain.model import ADMIN_KEY, KEY_KINDS, STANDARD_KEY, Account, Key, Permissions
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

PATTERN = 300
"""Most characters of an entry of a key's list: two names, and what stands around them."""


def routes(platform: Platform) -> list[Route]:
    """The routes of /v1/.../keys."""
    api = KeyRoutes(platform)
    users, groups = "/v1/users/{user}", "/v1/organizations/{org}"
    return [
        Route(f"{users}/keys", api.listed, methods=["GET"]),
        Route(f"{users}/keys", api.create, methods=["POST"]),
        Route(f"{users}/keys/{{key}}", api.revoke, methods=["DELETE"]),
        Route("/v1/admin/users/{user}/keys", api.create, methods=["POST"]),
        Route(f"{groups}/members/{{user}}/keys", api.create, methods=["POST"]),
        Route(f"{groups}/keys", api.listed, methods=["GET"]),
        Route(f"{groups}/keys", api.create, methods=["POST"]),
        Route(f"{groups}/keys/{{key}}", api.revoke, methods=["DELETE"]),
    ]


class KeyRoutes:
    """One method per route; each only translates."""

    def __init__(self, platform: Platform) -> None:
        self._accounts = platform.state.accounts

    async def listed(self, request: Request) -> Response:
        """GET .../keys of a user or an organization"""
        account = await _holder(request)
        found = await run_in_threadpool(self._accounts.keys, account.name)
        return reply([_key(key) for key in found])

    async def create(self, request: Request) -> Response:
        """POST .../keys: the reply is the only place where the key is told."""
        account, fields = await _holder(request), await fields_of(request)
        kind = _kind(fields.get("key_type"))
        permissions = _permissions(fields.get("permissions"), request.app.state.platform.bounds.key_patterns)
        if kind == ADMIN_KEY and not auth.caller(request).admin:
            raise NotAuthorized("only an admin key makes admin keys")
        label = str(fields.get("key_label") or "")
        key, made = await run_in_threadpool(
            lambda: self._accounts.create_key(account.name, label=label, kind=kind, permissions=permissions)
        )
        return reply({**_key(made), "api_key": key}, 201 if "org" in request.path_params else 200)

    async def revoke(self, request: Request) -> Response:
        """DELETE .../keys/:id"""
        account = await _holder(request)
        await run_in_threadpool(self._accounts.revoke_key, account.name, request.path_params["key"])
        return empty()


async def _holder(request: Request) -> Account:
    """Whose keys the path means. A restricted key makes none: they could do more than it may."""
    caller = auth.caller(request)
    if caller.algorithm is not None:
        raise NotAuthorized("a running algorithm can't handle keys")
    if not caller.admin and caller.permissions != Permissions():
        raise NotAuthorized("a restricted API key can't handle keys")
    if request.url.path.startswith("/v1/admin/"):
        auth.admin(request)
    if "org" in request.path_params and "user" in request.path_params:
        await organization_of(request)
        auth.admin(request)
    return await (user_of(request) if "user" in request.path_params else organization_of(request))


def _key(key: Key) -> dict[str, Any]:
    rights = key.permissions
    return {
        "id": key.id,
        "username": key.account,
        "key_label": key.label,
        "created_at": iso(key.created_at),
        "api_key_mask": key.mask,
        "key_type": key.kind,
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


def _kind(asked: Any) -> str:
    """The kind of key that is asked for; a standard one where nothing is said.

    Raises:
        BadRequest: there is no such kind.
    """
    if asked in (None, ""):
        return STANDARD_KEY
    if asked not in KEY_KINDS:
        hint = f"key_type is one of {', '.join(KEY_KINDS)}"
        raise BadRequest(f"no key type {str(asked)[:80]!r}", hint=hint)
    return str(asked)


def _permissions(asked: Any, most: int) -> Permissions:
    """A key's restrictions from the API's object; what it does not mention is allowed.

    Raises:
        BadRequest: an entry has the wrong type, or the list has more than `most`.
    """
    if asked is None:
        return Permissions()
    acl = asked.get("algo_acl", ["algo://*"]) if isinstance(asked, dict) else None
    if not isinstance(acl, list) or not all(isinstance(p, str) and p.startswith("algo://") for p in acl):
        raise BadRequest(
            "permissions must be an object whose algo_acl lists algo://*, algo://OWNER/* or algo://OWNER/NAME/*",
        )
    if len(acl) > most or any(len(pattern) > PATTERN for pattern in acl):
        message = f"algo_acl has at most {most} entries (key-patterns) of {PATTERN} characters"
        raise BadRequest(message)
    write = asked.get("allow_data_write", True) is True
    referrer = asked.get("referer_host") or ""
    if not isinstance(referrer, str):
        raise BadRequest("referer_host must be a string")
    return Permissions(
        algorithms=tuple(acl),
        data_read=asked.get("allow_data", True) is True,
        data_write=write and asked.get("allow_data", True) is True,
        manage=asked.get("allow_algo_management", True) is True,
        native=asked.get("allow_algo", True) is True,
        web=asked.get("allow_web_algo", True) is True,
        referrer=referrer,
    )
