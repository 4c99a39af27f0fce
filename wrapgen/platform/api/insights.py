"""The route for insights: metrics that algorithms report about themselves (platform contract, section 8).

They go to the server's log: the vendor's client sends them without credentials (algorithmia-python,
Algorithmia/insights.py), so a stranger can too, and only so many of them are taken.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.api.exchange import body_of, empty, json_of

if TYPE_CHECKING:
    from wrapgen.platform import Platform

LARGEST = 25_000
"""Bytes of one report."""

MOST = 25
"""Metrics of one report."""

RESERVED = frozenset(
    {
        "request_id",
        "timestamp",
        "duration_milliseconds",
        "algorithm_owner",
        "algorithm_name",
        "algorithm_version",
    }
)
"""Names that the platform gives itself."""


def routes(platform: Platform) -> list[Route]:  # noqa: ARG001 - all route modules look alike
    """The one route."""
    return [Route("/v1/insights", report, methods=["POST"])]


async def report(request: Request) -> Response:
    """POST /v1/insights: an array of `{"insight_key", "insight_value"}`."""
    body = await body_of(request, LARGEST)
    platform: Platform = request.app.state.platform
    with contextlib.suppress(NotAuthorized):  # a key is not asked for, but makes them somebody's
        auth.caller(request)
    note = platform.observer.log.note if auth.KNOWN in request.scope else platform.observer.log.note_stranger
    note("insights", metrics=_metrics(body))
    return empty(200)


def _metrics(body: bytes) -> dict[str, Any]:
    """Name and value of each metric.

    Raises:
        BadRequest: the report is not of the documented shape.
    """
    found = json_of(body)
    try:
        metrics = {str(each["insight_key"]): each["insight_value"] for each in found}
    except (TypeError, KeyError) as error:
        message = 'insights must be a JSON array of {"insight_key", "insight_value"}'
        raise BadRequest(message, reason="invalid-json") from error
    if len(metrics) > MOST:
        raise BadRequest(f"{len(metrics)} insights; at most {MOST}")
    taken = sorted(RESERVED & metrics.keys())
    if taken:
        raise BadRequest(f"{', '.join(taken)}: reserved by the platform")
    return metrics
