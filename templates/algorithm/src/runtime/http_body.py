"""What stands in a request and in an answer of an endpoint, as bytes and as values."""

from __future__ import annotations

import base64
import json
from typing import Any

from .connection import Response
from .protocol import ATTEMPT, Failure, InputError
from .statuses import failure_of

UNMAPPED = (LookupError, TypeError, ValueError, RecursionError)  # what a path that leads nowhere raises
_json = json.JSONEncoder(
    allow_nan=False, check_circular=False, default=lambda value: base64.b64encode(value).decode("ascii")
).encode


def encode(content: Any, content_type: str) -> bytes:
    """A request's body: JSON, or text and bytes as they are. Raises ``ValueError``."""
    if "json" in content_type:
        return _json(content).encode("ascii")
    if isinstance(content, list) and all(isinstance(one, str) for one in content):
        content = "".join(one + "\n" for one in content)
    if isinstance(content, (bytes, bytearray)):
        return bytes(content)
    if not isinstance(content, str):
        raise TypeError(f"{content_type} is made of text or bytes, not of {type(content).__name__}")
    return content.encode("utf-8")


def decode(response: Response, form: str) -> Any:
    """What a body holds, as the spec reads it; a ``Failure`` where it can't be read so."""
    body = response.body
    if form == "binary" and response.status < 300:
        return body
    try:
        text = body.decode("utf-8-sig")
        if form in ("text", "lines") and response.status < 300:
            return text if form == "text" else text.splitlines()
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        return unreadable(error, body, retryable=True)


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """Headers that come from items. Raises ``ValueError`` for one that would break the request up."""
    for name, one in headers.items():
        if not (one.isascii() and one.isprintable()):
            raise ValueError(f"the header {name} can't hold it")
    return headers


def unmapped(error: Exception) -> InputError:
    """What becomes of an item in which the request does not find what it takes."""
    said = f"it has no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
    return InputError(f"the request can't be made of this item: {said}")


def unreadable(error: Exception, body: bytes, retryable: bool = False) -> Failure:
    """What becomes of an item for which nothing stands in the answer, or of all, if that can't be read."""
    said = f"it has no {error.args[0]!r}" if isinstance(error, KeyError) else str(error)
    shown = body.strip()[:200].decode("utf-8", "replace").partition("\n")[0] or "nothing"
    said = "it is no JSON" if retryable else said
    return failure_of(
        "ParsingError", f"the answer is not as expected: {said}; it begins: {shown}", ATTEMPT, retryable
    )
