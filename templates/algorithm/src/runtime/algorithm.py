"""The target algorithm, called over the platform's API as a direct call would."""

from __future__ import annotations

import base64
import json
from typing import Any

from .connection import Response, Server
from .exchange import Transport
from .items import Item
from .platform import reported_error, type_and_message
from .protocol import Failure, InputError, encode_value
from .statuses import OTHER_STATUS, RETRIED, STATUSES, failure_of, retry_after

READ_GRACE = 30.0  # seconds beyond those that the platform was given


class Target:
    """The target algorithm, which is sent one item at a time."""

    def __init__(self, server: Server, target: dict[str, Any], limits: dict[str, Any]) -> None:
        self._transport = Transport(server)
        self._path = f"/v1/algo/{target['reference']}?timeout="
        self._most = limits["request_bytes"]

    def call(self, item: Item, seconds: float) -> Any:
        """The target's result for one item, granted so many seconds. Raises ``Failure``."""
        body, content_type = encode_body(item.value)
        if content_type == "application/json":
            item.encoded = body.decode("ascii")
        return self.send(item, body, content_type, seconds)

    def send(self, item: Item, body: bytes, content_type: str, seconds: float) -> Any:
        """The result of one request, whose bytes count for ``item``. Raises ``Failure``."""
        if len(body) > self._most:
            message = f"the input has {len(body)} bytes on the wire; at most {self._most} may be sent"
            raise Failure("TooLargeError", message)
        granted = max(1, int(seconds))
        headers, path = {"Content-Type": content_type}, f"{self._path}{granted}"
        item.sent += len(body)
        response = self._transport.send("POST", path, body, headers, granted + READ_GRACE)
        item.received += len(response.body)
        if response.status == 200:
            return decode_response(response.body)
        raise failure_of_status(response)


def encode_body(value: Any) -> tuple[bytes, str]:
    """Body and content type of a direct call: text as text, bytes as bytes, everything else as JSON."""
    try:
        if isinstance(value, str):
            return value.encode("utf-8"), "text/plain"
        if isinstance(value, (bytes, bytearray)):
            return bytes(value), "application/octet-stream"
        return encode_value(value).encode("ascii"), "application/json"
    except ValueError as error:
        raise InputError(f"the item can't be sent: {error}") from None


def decode_response(body: bytes) -> Any:
    """The result in an answer with status 200. Raises ``Failure``, with the platform's own type if any."""
    try:
        answer = json.loads(body.decode("utf-8"))
        if "error" in answer:
            raise failure_of(*type_and_message(answer["error"]))
        result, kind = answer["result"], answer["metadata"]["content_type"]
        if kind == "binary":
            return base64.b64decode(result, validate=True)
        return None if kind == "void" else result
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError):
        shown = body.strip()[:200].decode("utf-8", "replace").partition("\n")[0] or "nothing"
        message = f"the answer did not come from the target; it begins: {shown}"
        raise failure_of("ParsingError", message, retryable=True) from None
    except (ValueError, RecursionError) as error:  # beyond the limits of JSON, or no base64
        raise failure_of("ParsingError", f"the target's answer can't be read: {error}") from None


def failure_of_status(response: Response) -> Failure:
    """What a status other than 200 means; the error type in its body tells what is wrong with an input."""
    error_type, effect, retryable = STATUSES.get(response.status, OTHER_STATUS)
    text = response.body.strip()[:200].decode("utf-8", "replace")
    named, message = reported_error(response) or ("AlgorithmError", text)
    if named != "AlgorithmError" and (named in RETRIED or not retryable) and response.status != 429:
        error_type, retryable = named, retryable or named in RETRIED
    message = f"status {response.status}{': ' if message else ''}{message}"
    failure = failure_of(error_type, message, effect, retryable)
    failure.retry_after, failure.status = retry_after(response.headers), response.status
    return failure
