"""`GET /v1/requests/:id`: what became of a call with `output=void`. An addition of ours: the hosted platform
documents no way to ask."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.platform import Platform
from wrapgen.platform.api import auth


def routes(platform: Platform) -> list[Route]:
    """The one route."""

    def find(request: Request) -> Response:
        """The reply that a waiting caller would have got, or that the call is still running (status 202)."""
        found = platform.unattended.find(request.path_params["request_id"], auth.standard(request))
        if found.reply is None:
            body = json.dumps({"request_id": found.request_id, "status": "running"}, separators=(",", ":"))
            return Response(body, 202, media_type="application/json")
        return Response(found.reply, media_type="application/json")

    return [Route("/v1/requests/{request_id}", find, methods=["GET"])]
