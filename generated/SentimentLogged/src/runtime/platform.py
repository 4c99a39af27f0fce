"""The platform: the vendor's client and ADK, calls of the target algorithm, and the data API.

The only module that imports the vendor's packages. Whether to try again is decided elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import time
import traceback
import urllib.parse
from typing import IO, Any, Callable

import Algorithmia
import requests

# isort: split
# Not before Algorithmia, or Algorithmia.ADK becomes a module (upstream Algorithmia/__init__.py).
import adk.io

from .items import Item
from .protocol import ATTEMPT, STOP, THROTTLED, UNREACHABLE, Failure, InputError, encode_value
from .transport import ConnectionFailed, Response, Server, Transport

READ_GRACE = 30.0  # seconds beyond those that the platform was given
DATA_TIMEOUT = 120.0
RIGHTS = "X-Algorithm-Rights"
RETRYABLE = (
    "ConnectionError",
    "LoadingError",
    "ServerError",
    "SystemExit",
    "TimeoutError",
    "TooManyRequests",
)
SPLITTING = ("SystemExit", "TimeoutError")  # retryable, but one item of a list may have caused it
STATUS_TYPES = {
    400: "InputError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "AuthenticationError",
    404: "EntityNotFoundError",
    408: "TimeoutError",
    413: "TooLargeError",
    415: "UnsupportedError",
    422: "InputError",
    429: "TooManyRequests",
    504: "TimeoutError",
}
FINAL = (400, 413, 415, 422)  # statuses that find fault with the input
EFFECTS = {401: STOP, 402: STOP, 403: STOP, 404: STOP, 429: THROTTLED, 503: THROTTLED}


def serve(apply: Callable[[Any, Any], Any], load: Callable[[], Any]) -> None:
    """Hand both functions to the vendor's ADK, which waits for requests."""
    if sys.version_info >= (3, 10):
        adk.io.traceback = _Traceback
    Algorithmia.ADK(apply, load).init()


class _Traceback:
    """The function that upstream ``adk/io.py`` uses with an argument that Python 3.10 removed: without an
    answer to it, the worker process would end with the first exception."""

    @staticmethod
    def format_exception(etype: type[BaseException], value: BaseException, tb: Any) -> list[str]:
        return traceback.format_exception(etype, value, tb)


def connect() -> Server:
    """The platform as the vendor's client knows it: address, key, certificates and proxies."""
    return server_of(Algorithmia.client())


def server_of(client: Any) -> Server:
    """As ``connect``, for a client. Proxies and NO_PROXY follow the rules of requests, which it uses."""
    headers = {}
    if client.apiKey or client.bearerToken:  # inside the platform there may be neither
        headers["Authorization"] = client.apiKey or "Bearer " + client.bearerToken
    settings = client.requestSession.merge_environment_settings(client.apiAddress, {}, None, None, None)
    verify = settings["verify"]
    trusted = requests.certs.where() if verify is True else verify or None
    return Server(
        client.apiAddress,
        headers,
        trusted,
        requests.utils.select_proxy(client.apiAddress, settings["proxies"]),
    )


class CallFailed(Failure):
    """One call of the target went wrong."""

    def __init__(
        self, error_type: str, message: str, effect: str = ATTEMPT, retryable: bool | None = None
    ) -> None:
        if retryable is None:
            retryable = effect != ATTEMPT or error_type in RETRYABLE
        super().__init__(error_type, message, retryable)
        self.effect = effect
        self.splits = effect == ATTEMPT and (not retryable or error_type in SPLITTING)


class Target:
    """The target algorithm: ``call`` sends one item and returns its result, ``call_list`` a list of them."""

    def __init__(self, server: Server, target: dict[str, Any], request_bytes: int) -> None:
        """``target`` names the algorithm; ``request_bytes`` is the largest body for it."""
        self._transport = Transport(server)
        self._path = "/v1/algo/" + target["reference"]
        self._request_bytes = request_bytes

    def call(self, item: Item, seconds: float) -> Any:
        """The target's result for one item, granted so many seconds. Raises ``Failure``."""
        return self._send(item, *encode_body(item.value), seconds)

    def call_list(self, items: list[Item], seconds: float) -> Any:
        """The target's result for the list of these items, each ``encoded`` already. Raises ``Failure``."""
        body = "[" + ", ".join([item.encoded for item in items]) + "]"
        return self._send(items[0], body.encode("ascii"), "application/json", seconds)

    def _send(self, item: Item, body: bytes, content_type: str, seconds: float) -> Any:
        if len(body) > self._request_bytes:
            message = (
                f"the input has {len(body)} bytes on the wire; at most {self._request_bytes} may be sent"
            )
            raise Failure("TooLargeError", message)
        granted = max(1, int(seconds))
        headers, path = {"Content-Type": content_type}, f"{self._path}?timeout={granted}"
        item.sent += len(body)
        began = time.monotonic()
        try:
            response = self._transport.send("POST", path, body, headers, granted + READ_GRACE)
        except ConnectionFailed as error:
            if not error.sent:
                raise CallFailed(
                    "ConnectionError", str(error), STOP if error.lasting else UNREACHABLE
                ) from None
            raise CallFailed("TimeoutError" if error.timed_out else "ConnectionError", str(error)) from None
        item.received += len(response.body)
        if response.status == 200:
            return decode_response(response.body)
        failure = failed_status(response)
        if response.status == 504 and time.monotonic() - began < granted / 2:
            failure.splits = False  # an outage of what is in between, and no list that takes too long
        raise failure


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
    """The result in an answer with status 200. Raises ``CallFailed`` with the platform's own type."""
    try:
        answer = json.loads(body.decode("utf-8"))
        if "error" in answer:
            raise CallFailed(*type_and_message(answer["error"]))
        result, kind = answer["result"], answer["metadata"]["content_type"]
    except (UnicodeDecodeError, json.JSONDecodeError, TypeError, KeyError):
        shown = body.strip()[:200].decode("utf-8", "replace").partition("\n")[0] or "nothing"
        message = f"the answer did not come from the target; it begins: {shown}"
        raise CallFailed("ParsingError", message, retryable=True) from None
    except (ValueError, RecursionError) as error:  # beyond the limits of JSON
        raise CallFailed("ParsingError", f"the target's answer can't be read: {error}") from None
    if kind == "void":
        return None
    try:
        return base64.b64decode(result, validate=True) if kind == "binary" else result
    except (TypeError, ValueError):
        raise CallFailed("ParsingError", "the target's answer is not base64") from None


def type_and_message(error: Any) -> tuple[str, str]:
    """An algorithm's error as the platform reports it; a bare text is an ``AlgorithmError``."""
    if not isinstance(error, dict):
        return "AlgorithmError", str(error)
    error_type = error.get("error_type")
    if not isinstance(error_type, str) or not error_type:
        error_type = "AlgorithmError"
    return error_type, str(error.get("message") or "")


def failed_status(response: Response) -> CallFailed:
    """What a status other than 200 means; the error type in its body tells what is wrong with an input."""
    status = response.status
    error_type = STATUS_TYPES.get(status, "ServerError")
    try:
        named, message = type_and_message(json.loads(response.body.decode("utf-8"))["error"])
    except (TypeError, ValueError, KeyError, RecursionError):
        named, message = "AlgorithmError", response.body[:200].decode("utf-8", "replace").strip()
    retryable = status not in FINAL
    if named != "AlgorithmError" and (named in RETRYABLE or not retryable) and status != 429:
        error_type = named
    failure = CallFailed(
        error_type,
        f"status {status}{': ' if message else ''}{message}",
        EFFECTS.get(status, ATTEMPT),
        retryable,
    )
    failure.status = status
    seconds = response.headers.get("Retry-After", "")
    if re.fullmatch(
        r"-?\d+(\.\d+)?", seconds
    ):  # or a date, which needs a clock that agrees with the platform's
        failure.retry_after = max(0.0, float(seconds))
    return failure


class DataFailed(Exception):
    """A file could not be read or written; ``status`` is None when no answer came."""

    timed_out = False
    drops_rights = False  # whether the platform heard that only the caller's rights count

    def __init__(self, url: str, status: int | None, message: str) -> None:
        super().__init__(
            f"{url}: {message}" if status is None else f"{url}: status {status} {message}".strip()
        )
        self.status = status

    @property
    def is_down(self) -> bool:
        """Whether the same request may succeed later; an error inside a successful answer tells no more."""
        status = self.status
        return status is None or status < 300 or status in (408, 409, 425, 429) or status >= 500


class DataApi:
    """Reads and writes files by URL: ``data://owner/collection/file`` or a connector's, ``s3://bucket/file``."""

    def __init__(self, server: Server, key: str | None = None) -> None:
        """``key`` replaces the client's, for files with another owner."""
        self._transport = Transport(server._replace(headers={"Authorization": key}) if key else server)

    def send(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: dict[str, str] | None = None,
        timeout: float = DATA_TIMEOUT,
        into: IO[bytes] | None = None,
    ) -> Response:
        """GET or PUT a file, or POST to a folder. Raises ``DataFailed``.

        ``body`` is bytes, or an open file with its length in the headers; a file's bytes go ``into`` another.
        """
        scheme, _, rest = url.partition("://")
        root = "/v1/data/" if scheme == "data" else f"/v1/connector/{scheme}/"
        path = root + urllib.parse.quote(rest.strip("/"), safe="/")
        headers = dict({"Content-Type": "application/octet-stream"}, **(headers or {}))
        try:
            response = self._transport.send(method, path, body, headers, timeout, into)
        except ConnectionFailed as error:
            failed = DataFailed(url, None, str(error))
            failed.timed_out = error.timed_out
            raise failed from None
        try:
            reported = json.loads(response.body.decode("utf-8")).get("error") if into is None else None
        except (ValueError, RecursionError, AttributeError):
            reported = None
        if reported or not 200 <= response.status < 300:  # the platform also reports errors with 200
            message = reported.get("message") if isinstance(reported, dict) else reported
            message = str(message or response.headers.get("X-Error-Message") or "")
            failed = DataFailed(url, response.status, message)
            failed.drops_rights = RIGHTS in response.headers
            raise failed
        return response
