"""The platform's API: the only module that knows it, and that imports the vendor's client and ADK."""

from __future__ import annotations

import json
import ssl
import sys
import traceback
import types
from pathlib import Path
from typing import Any, Callable

from . import protocol
from .connection import Response, Server


def serve(apply: Callable[[Any, Any], Any], load: Callable[[], Any]) -> None:
    """Hand both functions to the vendor's ADK, which waits for requests."""
    client = vendor()
    import adk.io  # not earlier, or Algorithmia.ADK becomes a module (upstream Algorithmia/__init__.py)

    sys.modules["adk.ADK"].json = types.SimpleNamespace(loads=_request)  # type: ignore[attr-defined]
    if sys.version_info >= (3, 10):  # where the argument `etype` that adk/io.py gives is gone
        adk.io.traceback = types.SimpleNamespace(
            format_exception=lambda **given: traceback.format_exception(*given.values())
        )
    client.ADK(apply, load).init()


def _request(line: str) -> Any:
    """What a line asks for; one that can't be read, for an answer that says so, not for the worker's end."""
    try:
        return protocol.read_json(line)
    except (ValueError, RecursionError) as error:
        unread = protocol.InputError(f"the input can't be read: {error}")
        return {"content_type": "json", "data": unread}


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
        folder = verify if verify and Path(verify).is_dir() else None
        tls = ssl.create_default_context(cafile=None if folder else verify or None, capath=folder)
        if not verify:  # as the user told the vendor's client
            tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    proxy = requests.utils.select_proxy(url, settings["proxies"])
    proxy = f"http://{proxy}" if proxy and "://" not in proxy else proxy
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
