"""A server, what it answers, and connections to it, which Python's own library opens."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from typing import Mapping, NamedTuple

from .protocol import STOP, UNREACHABLE, Failure

CONNECT_TIMEOUT = 10.0


class Server(NamedTuple):
    """Where requests go: the address, what each request says, how TLS verifies, and the proxy in between."""

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    proxy_headers: Mapping[str, str] = {}


class Response(NamedTuple):
    """An answer; a plain one is told without headers."""

    status: int
    headers: Mapping[str, str] | http.client.HTTPMessage
    body: bytes


def connect(server: Server) -> socket.socket:
    """A new connection, through the proxy if there is one. Raises ``Failure``."""
    target, first = urllib.parse.urlsplit(server.url), urllib.parse.urlsplit(server.proxy or server.url)
    host, port = first.hostname or "", first.port or (443 if server.tls and not server.proxy else 80)
    connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
    if server.tls:
        connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=server.tls)
        if server.proxy:
            connection.set_tunnel(target.hostname or "", target.port or 443, headers=server.proxy_headers)
    try:
        connection.connect()
    except OSError as error:
        connection.close()
        effect = STOP if isinstance(error, ssl.SSLCertVerificationError) else UNREACHABLE
        message = f"no connection to {host}:{port}: {reason(error)}"
        raise Failure("ConnectionError", message, True, effect) from None
    return connection.sock


def reason(error: Exception) -> str:
    """What a failed connection says of itself."""
    return "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__
