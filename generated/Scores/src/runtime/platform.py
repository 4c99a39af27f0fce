"""The platform's API: the only module that knows it, and that imports the vendor's client and ADK."""

from __future__ import annotations

import json
import ssl
import sys
import traceback
import types
import urllib.parse
from typing import Any, Callable

from . import protocol
from .exchange import LARGEST, Response, Server, Transport
from .protocol import Failure


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


class DataApi:
    """Reads and writes files by URL: ``data://owner/collection/file`` or a connector's, ``s3://bucket/file``."""

    def __init__(self, server: Server, largest: int = LARGEST) -> None:
        """A file has at most ``largest`` bytes."""
        self._transport = Transport(server, largest)

    def send(
        self,
        method: str,
        url: str,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        seconds: float = 120.0,
    ) -> Response:
        """GET or PUT a file, POST to a folder; HEAD always answers. Raises ``Failure`` if not done."""
        scheme, _, rest = url.partition("://")
        root = "/v1/data/" if scheme == "data" else f"/v1/connector/{scheme}/"
        path = root + urllib.parse.quote(rest.strip("/"), safe="/")
        headers = {"Content-Type": "application/octet-stream", **(headers or {})}
        try:
            response = self._transport.send(method, path, body, headers, seconds)
        except Failure as failure:
            raise Failure(failure.error_type, f"{url}: {failure}", True) from None
        status, reported = response.status, reported_error(response)
        if method != "HEAD" and (reported or not 200 <= status < 300):  # 200 may tell an error, too
            message = reported[1] if reported else response.headers.get("X-Error-Message", "")
            lasting = 300 <= status < 500 and status not in (408, 409, 425, 429)
            kind = "InputError" if lasting else "ConnectionError"
            failure = Failure(kind, f"{url}: status {status} {message}".strip(), not lasting)
            failure.status = status
            raise failure
        return response
