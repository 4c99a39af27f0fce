"""The endpoint for insights: metrics that algorithms report about themselves (platform contract, section 8).

They go to the server's log: the vendor's client sends them without credentials (algorithmia-python,
Algorithmia/insights.py), so a stranger can too, and only so many of them are taken.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.responses import Response

from wrapgen.errors import BadRequest, NotAuthorized
from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import Ask, endpoint

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


class Insight(Struct):
    """One metric."""

    insight_key: str
    insight_value: Any


class InsightApi:
    """Insights."""

    def __init__(self, platform: Platform) -> None:
        self._log = platform.observer.log

    @endpoint("POST", "/v1/insights", who=None, cap=LARGEST)
    async def report(self, ask: Ask, body: list[Insight]) -> Response:
        """Takes metrics; a key is not asked for, but makes them somebody's."""
        metrics = {each.insight_key: each.insight_value for each in body}
        if len(metrics) > MOST:
            raise BadRequest(f"{len(metrics)} insights; at most {MOST}")
        taken = sorted(RESERVED & metrics.keys())
        if taken:
            raise BadRequest(f"{', '.join(taken)}: reserved by the platform")
        with contextlib.suppress(NotAuthorized):
            auth.caller(ask.request)
        known = auth.KNOWN in ask.request.scope
        (self._log.note if known else self._log.note_stranger)("insights", metrics=metrics)
        return Response(b"")


APIS = (InsightApi,)
