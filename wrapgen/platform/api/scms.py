"""Routes of source hosts (platform contract, section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import empty, fields_of, reply

if TYPE_CHECKING:
    from wrapgen.platform import Platform


def routes(platform: Platform) -> list[Route]:
    """The routes of /v1/scms and /v1/admin/scms."""
    api = ScmRoutes(platform)
    return [
        Route("/v1/scms", api.scms, methods=["GET"]),
        Route("/v1/scms/{scm}", api.scm, methods=["GET"]),
        Route("/v1/scms/{scm}/oauth/status", api.oauth_status, methods=["GET"]),
        Route("/v1/scms/{scm}/oauth/revoke", api.oauth_revoke, methods=["POST"]),
        Route("/v1/admin/scms", api.create, methods=["POST"]),
        Route("/v1/admin/scms/{scm}", api.update, methods=["PATCH"]),
        Route("/v1/admin/scms/{scm}", api.delete, methods=["DELETE"]),
        Route("/v1/admin/scms/{scm}/default", api.choose, methods=["POST"]),
    ]


class ScmRoutes:
    """One method per route; each only translates."""

    def __init__(self, platform: Platform) -> None:
        self._scms = platform.state.scms

    async def scms(self, request: Request) -> Response:
        """GET /v1/scms"""
        auth.caller(request)
        return reply({"results": await run_in_threadpool(self._scms.all)})

    async def scm(self, request: Request) -> Response:
        """GET /v1/scms/:id"""
        auth.caller(request)
        return reply(await run_in_threadpool(self._scms.get, request.path_params["scm"]))

    async def oauth_status(self, request: Request) -> Response:
        """GET /v1/scms/:id/oauth/status: nobody is authorized, nor needs to be at the internal host."""
        auth.caller(request)
        await run_in_threadpool(self._scms.get, request.path_params["scm"])
        return reply({"authorization_status": "unauthorized"})

    async def oauth_revoke(self, request: Request) -> Response:
        """POST /v1/scms/:id/oauth/revoke: there is nothing to revoke."""
        auth.caller(request)
        await run_in_threadpool(self._scms.get, request.path_params["scm"])
        return empty()

    async def create(self, request: Request) -> Response:
        """POST /v1/admin/scms"""
        auth.admin(request)
        return reply(await run_in_threadpool(self._scms.create, await fields_of(request)), 201)

    async def update(self, request: Request) -> Response:
        """PATCH /v1/admin/scms/:id"""
        auth.admin(request)
        fields, scm = await fields_of(request), request.path_params["scm"]
        return reply(await run_in_threadpool(self._scms.update, scm, fields))

    async def delete(self, request: Request) -> Response:
        """DELETE /v1/admin/scms/:id"""
        auth.admin(request)
        await run_in_threadpool(self._scms.delete, request.path_params["scm"])
        return empty()

    async def choose(self, request: Request) -> Response:
        """POST /v1/admin/scms/:id/default"""
        auth.admin(request)
        await run_in_threadpool(self._scms.choose, request.path_params["scm"])
        return empty()
