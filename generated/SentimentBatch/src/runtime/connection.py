"""What is said over HTTP, and connections to say it over, which Python's own library opens."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.parse
from typing import Mapping, NamedTuple

CONNECT_TIMEOUT = 10.0


class Server(NamedTuple):
    """Where requests go: the address, what each request says, how TLS verifies, and the proxy in between."""

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    proxy_headers: Mapping[str, str] = {}


class Request(NamedTuple):
    """What is sent, and the seconds until its answer must have come."""

    method: str
    path: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    timeout: float = 120.0


class Response(NamedTuple):
    """An answer; a plain one is told without headers."""

    status: int
    headers: Mapping[str, str] | http.client.HTTPMessage
    body: bytes


class ConnectionFailed(Exception):
    """No whole answer came; with an ``address``, as no connection was made."""

    def __init__(self, error: Exception, address: str = "") -> None:
        self.sent = not address  # whether the request may have reached anyone
        self.timed_out = isinstance(error, socket.timeout)
        self.lasting = isinstance(error, ssl.SSLCertVerificationError)
        message = "no answer in time" if self.timed_out else str(error) or type(error).__name__
        super().__init__(f"no connection to {address}: {message}" if address else message)


def connect(server: Server) -> socket.socket:
    """A new connection, through the proxy if there is one. Raises ``ConnectionFailed``."""
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
        raise ConnectionFailed(error, f"{host}:{port}") from None
    return connection.sock
