"""`/v1/admin/faults`: switches faults on and off. An addition of ours, for the admin key only."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.platform import Platform
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import body_of


def routes(platform: Platform) -> list[Route]:
    """The one route."""

    async def faults(request: Request) -> Response:
        """/v1/admin/faults: GET shows the rules, PUT replaces them, DELETE removes them all."""
        auth.admin(request)
        if request.method == "PUT":
            platform.faults.set(await body_of(request))
        elif request.method == "DELETE":
            platform.faults.rules = []
        return Response(msgspec.json.encode(platform.faults.rules), media_type="application/json")

    return [Route("/v1/admin/faults", faults, methods=["GET", "PUT", "DELETE"])]
