"""The platform's API: the only module that knows it, and that imports the vendor's client and ADK."""

from __future__ import annotations

import base64
import json
import ssl
import sys
import time
import traceback
import types
import urllib.parse
from typing import Any, Callable

from . import protocol
from .exchange import LARGEST, ConnectionFailed, Request, Response, Server, Transport
from .items import Item
from .protocol import Failure, InputError, Unavailable, encode_value
from .statuses import OTHER_STATUS, RETRIED, STATUSES, failure_of, failure_of_connection, retry_after

READ_GRACE = 30.0  # seconds beyond those that the platform was given


def serve(apply: Callable[[Any, Any], Any], load: Callable[[], Any]) -> None:
    """Hand both functions to the vendor's ADK, which waits for requests."""
    client = vendor()
    import adk.io  # not earlier, or Algorithmia.ADK becomes a module (upstream Algorithmia/__init__.py)

    sys.modules["adk.ADK"].json = types.SimpleNamespace(loads=protocol.read_json)  # type: ignore[attr-defined]
    if sys.version_info >= (3, 10):  # where the argument `etype` that adk/io.py gives is gone
        adk.io.traceback = types.SimpleNamespace(
            format_exception=lambda **given: traceback.format_exception(*given.values())
        )
    client.ADK(apply, load).init()


def vendor() -> Any:
    """The vendor's client, imported where it is needed: not every wrapper calls the platform."""
    import Algorithmia

    return Algorithmia


def connect(client: Any = None) -> Server:
    """The platform as the vendor's client knows it, with the proxy rules of requests, which it uses."""
    import requests

    client = client or vendor().client()
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
        self._transport = Transport(server)
        self._path = f"/v1/algo/{target['reference']}?timeout="
        self._most = limits["request_bytes"]

    def call(self, item: Item, seconds: float) -> Any:
        """The target's result for one item, granted so many seconds. Raises ``Failure``."""
        body, content_type = encode_body(item.value)
        if content_type == "application/json":
            item.encoded = body.decode("ascii")
        return self._send(item, body, content_type, seconds)

    def call_list(self, items: list[Item], seconds: float) -> Any:
        """The target's result for the list of these items, each ``encoded`` already. Raises ``Failure``."""
        body = "[" + ", ".join([item.encoded for item in items]) + "]"
        return self._send(items[0], body.encode("ascii"), "application/json", seconds)

    def _send(self, item: Item, body: bytes, content_type: str, seconds: float) -> Any:
        if len(body) > self._most:
            message = f"the input has {len(body)} bytes on the wire; at most {self._most} may be sent"
            raise Failure("TooLargeError", message)
        granted, began = max(1, int(seconds)), time.monotonic()
        headers, path = {"Content-Type": content_type}, f"{self._path}{granted}"
        item.sent += len(body)
        try:
            response = self._transport.send(Request("POST", path, body, headers, granted + READ_GRACE))
        except ConnectionFailed as error:
            raise failure_of_connection(error) from None
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
    facts = error if isinstance(error, dict) else {"message": error}
    error_type = facts.get("error_type")
    named = error_type if isinstance(error_type, str) and error_type else "AlgorithmError"
    return named, str(facts.get("message") or "")


def reported_error(response: Response) -> tuple[str, str] | None:
    """Type and message of the error in an answer's body, if there is one."""
    try:
        error = json.loads(response.body.decode("utf-8"))["error"]
    except (TypeError, ValueError, KeyError, RecursionError):
        return None
    return type_and_message(error) if error else None


def failure_of_status(response: Response) -> Failure:
    """What a status other than 200 means; the error type in its body tells what is wrong with an input."""
    error_type, effect, retryable = STATUSES.get(response.status, OTHER_STATUS)
    text = response.body[:200].decode("utf-8", "replace").strip()
    named, message = reported_error(response) or ("AlgorithmError", text)
    if named != "AlgorithmError" and (named in RETRIED or not retryable) and response.status != 429:
        error_type = named
    message = f"status {response.status}{': ' if message else ''}{message}"
    failure = failure_of(error_type, message, effect, retryable)
    failure.retry_after = retry_after(response.headers)
    return failure


class DataApi:
    """Reads and writes files by URL: ``data://owner/collection/file`` or a connector's, ``s3://bucket/file``."""

    def __init__(self, server: Server, key: str | None = None) -> None:
        """``key`` replaces the client's, for files with another owner."""
        self._transport = Transport(server._replace(headers={"Authorization": key}) if key else server)

    def send(self, request: Request, largest: int = LARGEST) -> Response:
        """GET or PUT a file, POST to a folder; HEAD always answers. Raises ``Unavailable`` if not done."""
        url = request.path
        scheme, _, rest = url.partition("://")
        root = "/v1/data/" if scheme == "data" else f"/v1/connector/{scheme}/"
        headers = {"Content-Type": "application/octet-stream", **request.headers}
        path = root + urllib.parse.quote(rest.strip("/"), safe="/")
        try:
            response = self._transport.send(request._replace(path=path, headers=headers), largest)
        except ConnectionFailed as error:
            raise Unavailable(f"{url}: {error}", timed_out=error.timed_out) from None
        status, reported = response.status, reported_error(response)
        if request.method != "HEAD" and (reported or not 200 <= status < 300):  # 200 may tell an error, too
            message = reported[1] if reported else response.headers.get("X-Error-Message", "")
            lasting = 300 <= status < 500 and status not in (408, 409, 425, 429)
            raise Unavailable(f"{url}: status {status} {message}".strip(), lasting, status)
        return response
