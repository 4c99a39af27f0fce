"""From error class to status and body: the only place where our errors become HTTP.

Two shapes (platform contract, sections 1 and 2): `{"error": {"code", "message"}}` for management and data,
`{"error": {"message", "error_type"}}` for calls of algorithms.
"""

from __future__ import annotations

import json
import math
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Match, Route

from wrapgen.errors import (
    AlgorithmFailed,
    BadRequest,
    BuildFailed,
    Conflict,
    NotAuthorized,
    NotFound,
    PaymentRequired,
    PlatformError,
    ServerFault,
    Throttled,
    TooLarge,
    WrapgenError,
)
from wrapgen.platform.api.missing import instead_of
from wrapgen.resources import refusal_of, resource_of

TABLE: dict[type[WrapgenError], tuple[int, int, str]] = {
    TooLarge: (413, 2015, "TooLargeError"),
    BadRequest: (400, 2015, "InputError"),
    NotAuthorized: (403, 2001, "AuthenticationError"),
    PaymentRequired: (402, 5001, "PaymentRequiredError"),
    NotFound: (404, 1001, "EntityNotFoundError"),
    Conflict: (409, 2015, "InputError"),
    Throttled: (429, 5001, "TooManyRequests"),
    ServerFault: (500, 5001, "SystemError"),
    BuildFailed: (400, 2015, "AlgorithmError"),
    AlgorithmFailed: (400, 2015, "AlgorithmError"),
    WrapgenError: (500, 5001, "SystemError"),
}
"""Error class to status, the API's number, and the taxonomy of calls."""

REASONS: dict[str, tuple[int | None, int | None, str | None]] = {
    "algorithm-exists": (None, 1002, None),
    "email-exists": (None, 3004, None),
    "invalid-json": (None, 2013, None),
    "invalid-key": (401, 2002, None),
    "invalid-limit": (None, 5003, None),
    "invalid-organization": (None, 3103, None),
    "last-owner": (None, 3102, None),
    "loading-failed": (None, None, "LoadingError"),
    "missing-field": (None, 3005, None),
    "no-scm-token": (None, 4008, None),
    "no-such-algorithm": (None, 1000, None),
    "no-such-id": (None, 1009, None),
    "no-such-organization": (None, 3100, None),
    "no-such-request": (None, 7000, None),
    "no-such-scm": (None, 4009, None),
    "no-such-user": (None, 3000, None),
    "not-implemented": (501, 5005, None),
    "nothing-to-publish": (None, 1007, None),
    "organization-exists": (None, 3101, None),
    "other-name": (None, 3007, None),
    "storage-failed": (502, None, None),
    "unauthenticated": (401, None, None),
    "unavailable": (503, None, None),
    "unknown-language": (None, 4001, None),
    "unknown-marker": (None, 5002, None),
    "user-exists": (None, 3003, None),
    "wrong-media-type": (415, None, None),
    "wrong-method": (405, None, None),
}
"""An error's own reason to what differs from its class (platform contract, section 1)."""

NOT_IMPLEMENTED = 5005
"""The API's number for an endpoint that is not there (platform contract, section 1)."""

STATUS_CODES = {401: 2001, 404: 1000, 405: 2015}
"""The API's number for what the router itself refuses."""


def facts(error: WrapgenError) -> tuple[int, int, str]:
    """Status, number and type of an error: its reason's where that says one, else its nearest class's."""
    status, code, kind = next(TABLE[each] for each in type(error).__mro__ if each in TABLE)
    if isinstance(error, PlatformError):
        own = REASONS.get(error.reason, (None, None, None))
        return error.status or own[0] or status, own[1] or code, own[2] or kind
    return status, code, kind


def routed(status: int, message: str) -> PlatformError:
    """An error of the status that the router, or somebody who tests with faults, chose."""
    if status == 429:
        return Throttled(message, retry_after=1)
    return (ServerFault if status >= 500 else BadRequest)(message, status=status)


def words(error: WrapgenError) -> str:
    """The sentence and what to do about it."""
    return f"{error.message}; {error.hint}" if error.hint else error.message


def headers(error: WrapgenError) -> dict[str, str]:
    """`X-Error-Message` (a HEAD reply has no body to say it) and `Retry-After` where the error knows it."""
    # Words of the request may stand in it: a control character in a header would end the connection.
    plain = "".join(char if char.isprintable() else " " for char in words(error)[:500])
    line = " ".join(plain.split()).encode("latin-1", "replace").decode("latin-1")
    found = {"X-Error-Message": line}
    retry_after = getattr(error, "retry_after", None)
    if retry_after is not None:
        found["Retry-After"] = str(max(1, math.ceil(retry_after)))
    return found


def management_body(error: WrapgenError) -> dict[str, Any]:
    """The body of management and data errors."""
    return {"error": {"code": facts(error)[1], "message": words(error)}}


def call_body(error: WrapgenError, request_id: str | None = None) -> bytes:
    """The body of a call that was refused before an algorithm ran, compact."""
    body: dict[str, Any] = {"error": {"message": words(error), "error_type": facts(error)[2]}}
    if request_id is not None:
        body["request_id"] = request_id
    return json.dumps(body, separators=(",", ":")).encode("ascii")


async def respond(request: Request, error: Exception) -> Response:  # noqa: ARG001 (Starlette's signature)
    """Starlette's handler for our errors: the management shape."""
    assert isinstance(error, WrapgenError)
    return JSONResponse(management_body(error), facts(error)[0], headers(error))


async def respond_router(request: Request, error: Exception) -> Response:
    """Starlette's handler for what the router refuses: clients parse every error body of a GET as JSON."""
    assert isinstance(error, HTTPException)
    instead = instead_of(request.method, request.url.path) if error.status_code in (404, 405) else None
    if instead:
        body = {"error": {"code": NOT_IMPLEMENTED, "message": instead}}
        return JSONResponse(body, 501, {"X-Error-Message": instead})
    code = STATUS_CODES.get(error.status_code, 2015)
    message = "no such endpoint" if error.status_code == 404 else str(error.detail)
    body = {"error": {"code": code, "message": message}}
    more = {"Allow": _allowed(request)} if error.status_code == 405 else {}
    return JSONResponse(body, error.status_code, {**more, "X-Error-Message": message})


def _allowed(request: Request) -> str:
    """The methods of all routes at a request's place; the router itself names those of the first one only."""
    found = [each for each in request.app.routes if isinstance(each, Route)]
    there = [each for each in found if each.matches(request.scope)[0] is not Match.NONE]
    return ", ".join(sorted({method for each in there for method in each.methods or ()}))


async def respond_unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """Starlette's handler for our own mistakes: no internals in the body; the log has the traceback."""
    ours = unexpected(error)
    return JSONResponse(management_body(ours), facts(ours)[0], headers(ours))


def unexpected(error: Exception) -> ServerFault:
    """What is said of an error that nothing expected: what the machine lacks or refused, without a place."""
    if resource := resource_of(error):
        return ServerFault(f"the platform's machine has no more {resource}")
    reason = refusal_of(error)
    return ServerFault(
        f"the platform's machine refused an operation: {reason}" if reason else "internal error"
    )


def cut_short() -> ServerFault:
    """The refusal of a request that the server's end leaves without an answer."""
    return ServerFault("the server stopped before there was an answer", reason="unavailable", retry_after=5)
