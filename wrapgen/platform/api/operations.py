"""Endpoints for those who run a platform or wait for calls: health, metrics, void calls, injected faults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct
from starlette.responses import Response

from wrapgen.platform.api import auth
from wrapgen.platform.api.endpoint import Ask, endpoint, reply
from wrapgen.platform.calls.fault_rules import FaultRule

if TYPE_CHECKING:
    from wrapgen.platform import Platform

FAULTS = "/v1/admin/faults"


class Health(Struct):
    """`ok`, or `draining` when new calls are refused."""

    status: str


class OperationApi:
    """What belongs to no account."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._faults = platform.faults

    @endpoint("GET", "/health", who=None)
    async def health(self, ask: Ask) -> Health | Response:  # noqa: ARG002 - every endpoint's signature
        """Says whether new calls are taken: 200, or 503 while the server drains."""
        draining = self._platform.calls.draining
        return reply(Health("draining"), 503) if draining else Health("ok")

    @endpoint("GET", "/metrics", who=auth.person)
    def metrics(self, ask: Ask) -> Response:
        """Gives Prometheus's text: of all algorithms for an admin key, of its account's for another."""
        text = self._platform.observer.metrics.text(lambda owner: ask.caller.admin or ask.caller.owns(owner))
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    @endpoint("GET", "/v1/requests/{request_id}")
    async def void_call(self, ask: Ask) -> dict[str, Any] | Response:
        """Gives what became of a call with `output=void`, or says that it still runs (202). An addition."""
        found = self._platform.unattended.find(ask["request_id"], ask.caller)
        if found.reply is None:
            return reply({"request_id": found.request_id, "status": "running"}, 202)
        return Response(found.reply, media_type="application/json")

    @endpoint("GET", FAULTS, who=auth.admin)
    async def faults(self, ask: Ask) -> list[FaultRule]:  # noqa: ARG002
        """Shows what goes wrong on request. An addition of ours, as the other two."""
        return self._faults.rules

    @endpoint("PUT", FAULTS, who=auth.admin)
    async def set_faults(self, ask: Ask, body: list[FaultRule]) -> list[FaultRule]:  # noqa: ARG002
        """Replaces what goes wrong on request."""
        self._faults.rules = body
        return body

    @endpoint("DELETE", FAULTS, who=auth.admin)
    async def clear_faults(self, ask: Ask) -> list[FaultRule]:  # noqa: ARG002
        """Ends what goes wrong on request."""
        self._faults.rules = []
        return []


APIS = (OperationApi,)
