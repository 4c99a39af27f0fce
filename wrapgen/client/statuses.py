"""What a platform's answer means: statuses and error bodies become errors of the tree. Knows no transport."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import Any

from wrapgen.errors import (
    BadRequest,
    Conflict,
    NotAuthorized,
    NotFound,
    PaymentRequired,
    PlatformError,
    ServerFault,
    Throttled,
    TooLarge,
)

Headers = Mapping[str, str] | Message
"""An answer's headers; names without regard to case."""

BY_STATUS: dict[int, type[PlatformError]] = {
    400: BadRequest,
    401: NotAuthorized,
    402: PaymentRequired,
    403: NotAuthorized,
    404: NotFound,
    409: Conflict,
    411: BadRequest,
    413: TooLarge,
    415: BadRequest,
    422: BadRequest,
    429: Throttled,
}
"""The class for each status; other 4xx are plain PlatformErrors, 5xx are ServerFaults."""

NO_ANSWER = frozenset({408, 421, 499, 502, 504, 521, 522, 523, 524})
"""Statuses of a gateway that had no answer of the platform in time, or asked the wrong server."""

BUSY = frozenset({425, 429, 503, 529})
"""Statuses that ask to come again later: never the request's own fault."""

NOT_OFFERED = frozenset({404, 405, 501})
"""Statuses of a platform that does not have a call of its API."""

BY_CODE: dict[int, type[PlatformError]] = {
    1000: NotFound,
    1001: NotFound,
    1002: Conflict,
    1007: Conflict,
    1009: NotFound,
    2001: NotAuthorized,
    2002: NotAuthorized,
    3000: NotFound,
    3003: Conflict,
    3100: NotFound,
    3101: Conflict,
}
"""The platform's own codes, which say more than a status of 400 or 500 (platform contract, section 1)."""

HINTS: dict[type[PlatformError], str] = {
    NotAuthorized: "check the API key and what it may do",
    PaymentRequired: "check the account's credits with the platform's administrator",
    Throttled: "wait, or open fewer calls at once",
    ServerFault: "look into the platform's log, or try again later",
    TooLarge: "send less in one request",
}
"""What to do, where the class alone says it."""


def error_of(what: str, status: int, headers: Headers, body: bytes) -> PlatformError:
    """The error that an answer outside 2xx stands for.

    Args:
        what: what was asked, such as `GET /v1/algorithms/acme/A`; goes into the message.
        status: the HTTP status.
        headers: the answer's headers, looked up without regard to case.
        body: the answer's body, any form.
    """
    message, error_type, code = read_body(body)
    message = message or headers.get("X-Error-Message") or ""
    if 300 <= status < 400:
        target = headers.get("Location") or "another address"
        return PlatformError(
            f"{what}: it redirects to {target}, which is not followed with a key in hand",
            hint="give that address instead",
            status=status,
        )
    kind = _kind(status, code)
    said = f": {message}" if message else ""
    return kind(
        f"{what}: {status}{said}",
        hint=HINTS.get(kind, ""),
        status=status,
        error_type=error_type,
        retry_after=retry_after(headers),
    )


def _kind(status: int, code: int | None) -> type[PlatformError]:
    by_code = BY_CODE.get(code) if code is not None else None
    if by_code is not None and status not in (401, 403, 404, 429):
        return by_code
    if status >= 500:
        return ServerFault
    return BY_STATUS.get(status, PlatformError)


def read_body(body: bytes) -> tuple[str, str | None, int | None]:
    """Message, error type and code of an error body; takes every form that the contract lists.

    Those are `{"error": {...}}`, `{"error": "text"}`, the inner object alone, and plain text. Markup (a
    proxy's error page) counts as no message.
    """
    text = body[:20_000].decode("utf-8", "replace").strip()
    try:
        content = json.loads(body) if body else None
    except (ValueError, RecursionError):
        return ("" if text.startswith("<") else text[:500]), None, None
    inner = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(inner, dict):
        return (inner if isinstance(inner, str) else text)[:500], None, None
    message, kind, code = inner.get("message"), inner.get("error_type"), inner.get("code")
    return (
        message if isinstance(message, str) else "",
        kind if isinstance(kind, str) else None,
        code if isinstance(code, int) else None,
    )


def retry_after(headers: Headers) -> float | None:
    """Seconds to wait by the Retry-After header: a number, or a date measured against the answer's Date."""
    value = (headers.get("Retry-After") or "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        later = parsedate_to_datetime(value)
        return max(0.0, (later - parsedate_to_datetime(headers["Date"])).total_seconds())
    except (KeyError, TypeError, ValueError):
        return None


def read_object(what: str, body: bytes) -> Any:
    """A 2xx body as JSON; a top-level `error` in it is an error all the same (Algorithmia/client.py).

    Raises:
        PlatformError: the body reports an error.
        ServerFault: the body is not JSON, as from an address that is no platform.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise not_json(what, body) from error
    if isinstance(content, dict) and content.get("error"):
        message, error_type, code = read_body(body)
        kind = _kind(400, code)
        raise kind(f"{what}: {message}", error_type=error_type, hint=HINTS.get(kind, ""))
    return content


def not_json(what: str, body: bytes) -> ServerFault:
    """The error for a 2xx answer that is no platform's, such as a proxy's page; it shows the first line."""
    line = next(
        (line.strip() for line in body[:2000].decode("utf-8", "replace").splitlines() if line.strip()), ""
    )
    shown = f": {line[:200]!r}" if line else ": it is empty"
    return ServerFault(f"{what}: the answer is not JSON{shown}", hint="is this the platform's API address?")
