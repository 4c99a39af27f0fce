"""Routes of environments and their templates (platform contract, section 8)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import NotFound
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import reply
from wrapgen.platform.building import template
from wrapgen.platform.building.environments import Environment

if TYPE_CHECKING:
    from wrapgen.platform import Platform

LANGUAGE = {"name": "python3", "display_name": "Python 3.x", "configuration": json.dumps({"packages": "pip"})}
"""The one language that this platform hosts."""

_SINCE = "2020-01-01T00:00:00.000Z"


def routes(platform: Platform) -> list[Route]:
    """The three routes under /v1/algorithm-environments."""
    api = EnvironmentRoutes(platform)
    edge = "/v1/algorithm-environments/edge"
    return [
        Route(f"{edge}/languages", api.languages, methods=["GET"]),
        Route(f"{edge}/languages/{{language}}/environments", api.environments, methods=["GET"]),
        Route(f"{edge}/environment-specifications/{{id}}/template", api.template, methods=["GET"]),
    ]


class EnvironmentRoutes:
    """One method per route."""

    def __init__(self, platform: Platform) -> None:
        self._state = platform.state

    async def languages(self, request: Request) -> Response:
        """GET .../languages: a bare array."""
        auth.caller(request)
        return reply([LANGUAGE])

    async def environments(self, request: Request) -> Response:
        """GET .../languages/:language/environments: wrapped, as the clients need it."""
        auth.caller(request)
        language = request.path_params["language"].lower()
        if not re.fullmatch(r"python(3(-\d+)?)?", language):
            raise NotFound(f"no such language: {language}; there is python3", reason="unknown-language")
        offered = await run_in_threadpool(self._state.environments.offered)
        return reply({"environments": [_shown(each) for each in offered]})

    async def template(self, request: Request) -> Response:
        """GET .../environment-specifications/:id/template: a gzip-compressed tar; needs no key."""
        offered = await run_in_threadpool(self._state.environments.offered)
        wanted = request.path_params["id"].lower()
        if not any(wanted in (each.specification_id, each.id, each.name) for each in offered):
            raise NotFound(f"no such environment specification: {wanted}")
        return Response(template.archive(), media_type="application/gzip")


def _shown(environment: Environment) -> dict[str, Any]:
    return {
        "id": environment.id,
        "environment_specification_id": environment.specification_id,
        "display_name": f"Python {environment.number[0]}.{environment.number[1]}",
        "name": environment.name,
        "description": f"CPython {environment.version} of this machine",
        "created_at": _SINCE,
        "language": LANGUAGE,
        "machine_type": "CPU",
    }
