"""The platform: the vendor's client and ADK, calls of the target algorithm, and files.

The only module that knows the platform's API and imports the vendor's packages, where they are needed first.
Whether to try again is decided elsewhere.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import sys
import time
import traceback
import urllib.parse
from functools import partial
from types import SimpleNamespace
from typing import IO, Any, Callable, Mapping

from . import protocol
from .exchange import ConnectionFailed, Response, Server, Transport
from .items import Item
from .protocol import ATTEMPT, STOP, THROTTLED, UNREACHABLE, Failure, InputError, Unavailable, encode_value

READ_GRACE = 30.0  # seconds beyond those that the platform was given
DATA_TIMEOUT = 120.0
# What a status means for the call of an item: the error's type, the effect, whether sending again can help.
STATUSES = {
    400: ("InputError", ATTEMPT, False),
    401: ("AuthenticationError", STOP, True),
    402: ("PaymentRequiredError", STOP, True),
    403: ("AuthenticationError", STOP, True),
    404: ("EntityNotFoundError", STOP, True),
    408: ("TimeoutError", ATTEMPT, True),
    413: ("TooLargeError", ATTEMPT, False),
    415: ("UnsupportedError", ATTEMPT, False),
    422: ("InputError", ATTEMPT, False),
    429: ("TooManyRequests", THROTTLED, True),
    503: ("ServerError", THROTTLED, True),
    504: ("TimeoutError", ATTEMPT, True),
}
OTHER_STATUS = ("ServerError", ATTEMPT, True)
RETRYABLE = (
    "ConnectionError",
    "LoadingError",
    "ServerError",
    "SystemExit",
    "TimeoutError",
    "TooManyRequests",
)
SPLITTING = ("SystemExit", "TimeoutError")  # retryable, but one item of a list may have caused it


def serve(apply: Callable[[Any, Any], Any], load: Callable[[], Any]) -> None:
    """Hand both functions to the vendor's ADK, which waits for requests."""
    client = vendor()
    import adk.io  # not earlier, or Algorithmia.ADK becomes a module (upstream Algorithmia/__init__.py)

    upstream: Any = sys.modules["adk.ADK"]
    upstream.json = SimpleNamespace(loads=partial(_read_request, upstream.json.loads))
    if sys.version_info >= (3, 10):
        adk.io.traceback = _Traceback
    client.ADK(apply, load).init()


def vendor() -> Any:
    """The vendor's client, imported where it is needed: not every wrapper calls the platform."""
    import Algorithmia

    return Algorithmia


def _read_request(upstream: Callable[..., Any], line: str) -> Any:
    """A number of more digits than Python reads is its item's error, and does not end the worker process."""
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return upstream(line, parse_int=protocol.whole_number)


class _Traceback:
    """The function that upstream ``adk/io.py`` uses with an argument that Python 3.10 removed: without an
    answer to it, the worker process would end with the first exception."""

    @staticmethod
    def format_exception(etype: type[BaseException], value: BaseException, tb: Any) -> list[str]:
        return traceback.format_exception(etype, value, tb)


def connect() -> Server:
    """The platform as the vendor's client knows it: address, key, certificates and proxies."""
    return server_of(vendor().client())


def server_of(client: Any) -> Server:
    """As ``connect``, for a client. Proxies and NO_PROXY follow the rules of requests, which it uses."""
    import requests

    headers, url, tls = {}, client.apiAddress, None
    if client.apiKey or client.bearerToken:  # inside the platform there may be neither
        headers["Authorization"] = client.apiKey or "Bearer " + client.bearerToken
    settings = client.requestSession.merge_environment_settings(url, {}, None, None, None)
    if url.startswith("https:"):
        verify = requests.certs.where() if settings["verify"] is True else settings["verify"]
        tls = ssl.create_default_context(cafile=verify or None)
        if not verify:  # as the user told the vendor's client
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    proxy = requests.utils.select_proxy(url, settings["proxies"])
    login = requests.adapters.HTTPAdapter().proxy_headers(proxy) if proxy else {}
    return Server(url, headers, tls, proxy, login)


class Target:
    """The target algorithm: ``call`` sends one item and returns its result, ``call_list`` a list of them."""

    def __init__(self, server: Server, target: dict[str, Any], limits: dict[str, Any]) -> None:
        """``target`` names the algorithm; ``limits`` has the size of the largest body for it."""
        self._transport = Transport(server)
        self._path = "/v1/algo/" + target["reference"]
        self._request_bytes = limits["request_bytes"]

    def call(self, item: Item, seconds: float) -> Any:
        """The target's result for one item, granted so many seconds. Raises ``Failure``."""
        return self._send(item, *encode_body(item.value), seconds)

    def call_list(self, items: list[Item], seconds: float) -> Any:
        """The target's result for the list of these items, each ``encoded`` already. Raises ``Failure``."""
        body = "[" + ", ".join([item.encoded for item in items]) + "]"
        return self._send(items[0], body.encode("ascii"), "application/json", seconds)

    def _send(self, item: Item, body: bytes, content_type: str, seconds: float) -> Any:
        if len(body) > self._request_bytes:
            most = f"at most {self._request_bytes} may be sent"
            raise Failure("TooLargeError", f"the input has {len(body)} bytes on the wire; {most}")
        granted, began = max(1, int(seconds)), time.monotonic()
        headers, path = {"Content-Type": content_type}, f"{self._path}?timeout={granted}"
        item.sent += len(body)
        try:
            response = self._transport.send("POST", path, body, headers, granted + READ_GRACE)
        except ConnectionFailed as error:
            effect = ATTEMPT if error.sent else STOP if error.lasting else UNREACHABLE
            kind = "TimeoutError" if error.sent and error.timed_out else "ConnectionError"
            raise failure_of(kind, str(error), effect, True) from None
        item.received += len(response.body)
        if response.status == 200:
            return decode_response(response.body)
        failure = failure_of_status(response)
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


def type_and_message(error: Any) -> tuple[str, str]:
    """An algorithm's error as the platform reports it; a bare text is an ``AlgorithmError``."""
    if not isinstance(error, dict):
        return "AlgorithmError", str(error)
    error_type = error.get("error_type")
    if not isinstance(error_type, str) or not error_type:
        error_type = "AlgorithmError"
    return error_type, str(error.get("message") or "")


def failure_of_status(response: Response) -> Failure:
    """What a status other than 200 means; the error type in its body tells what is wrong with an input."""
    status = response.status
    error_type, effect, retryable = STATUSES.get(status, OTHER_STATUS)
    try:
        named, message = type_and_message(json.loads(response.body.decode("utf-8"))["error"])
    except (TypeError, ValueError, KeyError, RecursionError):
        named, message = "AlgorithmError", response.body[:200].decode("utf-8", "replace").strip()
    if named != "AlgorithmError" and (named in RETRYABLE or not retryable) and status != 429:
        error_type = named
    message = f"status {status}{': ' if message else ''}{message}"
    failure = failure_of(error_type, message, effect, retryable)
    seconds = response.headers.get("Retry-After", "")
    if re.fullmatch(
        r"-?\d+(\.\d+)?", seconds
    ):  # or a date, which needs a clock that agrees with the platform's
        failure.retry_after = max(0.0, float(seconds))
    return failure


def failure_of(
    error_type: str, message: str, effect: str = ATTEMPT, retryable: bool | None = None
) -> Failure:
    """A call of the target that went wrong; its type tells whether sending it again can help."""
    failure = Failure(error_type, message, error_type in RETRYABLE if retryable is None else retryable)
    failure.effect = effect
    failure.splits = effect == ATTEMPT and (not failure.retryable or error_type in SPLITTING)
    return failure


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
        headers: Mapping[str, str] = {},
        timeout: float = DATA_TIMEOUT,
        into: IO[bytes] | None = None,
    ) -> Response:
        """GET or PUT a file, or POST to a folder. Raises ``Unavailable`` unless that was done.

        ``body`` is bytes, or an open file with its length in the headers; a file's bytes go ``into`` another.
        """
        try:
            response = self.ask(method, url, body, headers, timeout, into)
        except ConnectionFailed as error:
            failed = Unavailable(f"{url}: {error}")
            failed.timed_out = error.timed_out
            raise failed from None
        status = response.status
        try:
            reported = json.loads(response.body.decode("utf-8")).get("error") if into is None else None
        except (ValueError, RecursionError, AttributeError):
            reported = None
        if reported or not 200 <= status < 300:  # the platform also reports errors with 200
            message = reported.get("message") if isinstance(reported, dict) else reported
            message = message or response.headers.get("X-Error-Message") or ""
            waiting_helps = status < 300 or status in (408, 409, 425, 429) or status >= 500
            raise Unavailable(f"{url}: status {status} {message}".strip(), not waiting_helps, status)
        return response

    def ask(
        self,
        method: str,
        url: str,
        body: Any = b"",
        headers: Mapping[str, str] = {},
        timeout: float = DATA_TIMEOUT,
        into: IO[bytes] | None = None,
    ) -> Response:
        """The answer, whatever its status. Raises ``ConnectionFailed``."""
        scheme, _, rest = url.partition("://")
        root = "/v1/data/" if scheme == "data" else f"/v1/connector/{scheme}/"
        path = root + urllib.parse.quote(rest.strip("/"), safe="/")
        headers = {"Content-Type": "application/octet-stream", **headers}
        return self._transport.send(method, path, body, headers, timeout, into)
