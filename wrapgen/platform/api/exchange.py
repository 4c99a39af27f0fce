"""What all management routes share: reading JSON bodies, compact replies, paging."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from wrapgen.errors import BadRequest, TooLarge
from wrapgen.platform.api import auth

PAGE = 50
"""Results of a page where the request doesn't say (platform contract, section 1)."""

LARGEST_PAGE = 1000
"""Most results of a page, whatever the request says; some of the vendor's clients ask for more than PAGE."""

T = TypeVar("T")


def reply(value: Any, status: int = 200) -> Response:
    """Compact JSON: callers of the vendor's Node client may compare the text (nodejs, src/HttpClient.ts)."""
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8")
    return Response(body, status, media_type="application/json")


def empty(status: int = 204) -> Response:
    """No body; the server adds the standard reason phrase, which the Python client looks at."""
    return Response(b"", status)


async def body_of(request: Request, cap: int = 0) -> bytes:
    """The whole body of a management request; no more than the cap in bytes, or the platform's, is ever held.

    Raises:
        TooLarge: it is over the cap.
        NotAuthorized: the key was revoked meanwhile (401).
    """
    body, cap = bytearray(), cap or request.app.state.platform.bounds.body_bytes
    async for chunk in request.stream():
        body += chunk
        if len(body) > cap:
            raise TooLarge(f"the request is over {cap} bytes")
    auth.recheck(request)
    return bytes(body)


def json_of(body: bytes) -> Any:
    """A JSON value that can be written again; half a surrogate pair, NaN or 1e999 can be read only.

    Raises:
        BadRequest: it is none.
    """
    try:
        found = json.loads(body)
        json.dumps(found, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the body is not JSON: {error}", reason="invalid-json") from error
    return found


async def fields_of(request: Request) -> dict[str, Any]:
    """The JSON object in a request; nothing at all counts as an empty one.

    Raises:
        BadRequest: it is not JSON, or not an object.
    """
    body = await body_of(request)
    # The Python client sends what it means as an object as a form with the names only; it says nothing
    # (algorithmia-python, Algorithmia/algorithm.py, update).
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if not body.strip() or form:
        return {}
    found = json_of(body)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise BadRequest("the body must be a JSON object")
    return found


def limit_of(request: Request) -> int:
    """The `limit` of a listing, at most LARGEST_PAGE.

    Raises:
        BadRequest: it is not a number from 1 on.
    """
    text = request.query_params.get("limit") or str(PAGE)
    if not text.isdecimal() or len(text) > 9 or not int(text) >= 1:
        raise BadRequest(f"limit can't be {text[:40]!r}", reason="invalid-limit")
    return min(int(text), LARGEST_PAGE)


def page(
    request: Request, items: Sequence[T], place: Callable[[T], str], show: Callable[[T], Any]
) -> Response:
    """One page of a listing, from where the request's marker points.

    Args:
        request: gives `limit` and `marker`.
        items: all items in listing order.
        place: what identifies an item in that order.
        show: an item's JSON.

    Raises:
        BadRequest: the marker is not one of ours.
    """
    limit, start = limit_of(request), 0
    marker = request.query_params.get("marker")
    if marker:
        places = [place(item) for item in items]
        after = _read_marker(marker)
        if after not in places:
            raise BadRequest("unknown marker", reason="unknown-marker")
        start = places.index(after) + 1
    chosen = items[start : start + limit]
    more = start + limit < len(items)
    following = _marker(place(chosen[-1])) if more else None
    link = str(request.url.include_query_params(marker=following)) if more else None
    return reply({"marker": following, "next_link": link, "results": [show(item) for item in chosen]})


def base_of(request: Request) -> str:
    """The address under which the client sees this platform, for links."""
    return f"{request.url.scheme}://{request.url.netloc}/v1"


def _marker(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode("ascii")


def _read_marker(marker: str) -> str:
    try:
        return base64.urlsafe_b64decode(marker.encode("ascii")).decode("utf-8")
    except ValueError as error:
        raise BadRequest("unknown marker", reason="unknown-marker") from error
