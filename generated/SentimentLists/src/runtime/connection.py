"""A server, what it answers, and connections to it, which Python's own library opens."""

from __future__ import annotations

import http.client
import io
import re
import socket
import ssl
import time
import urllib.parse
from typing import Any, Mapping, NamedTuple

from .protocol import STOP, UNREACHABLE, Failure

CONNECT_TIMEOUT = 10.0
BLOCK = 65536
NO_HTTP = (http.client.BadStatusLine, http.client.UnknownProtocol, ValueError)


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
    except (OSError, http.client.HTTPException) as error:  # the latter: what answers is no proxy
        connection.close()
        effect = STOP if isinstance(error, ssl.SSLCertVerificationError) else UNREACHABLE
        message = f"no connection to {host}:{port}: {reason(error)}"
        raise Failure("ConnectionError", message, True, effect) from None
    return connection.sock


class Incoming(io.RawIOBase):
    """What comes over a connection until ``until``, by time.monotonic, however slowly it comes."""

    def __init__(self, sock: socket.socket) -> None:
        self.until = time.monotonic() + CONNECT_TIMEOUT
        self._sock = sock

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Wait for some bytes. Raises ``OSError``, ``socket.timeout`` when time is up."""
        left = self.until - time.monotonic()
        if left <= 0:
            raise socket.timeout
        self._sock.settimeout(left)
        return self._sock.recv_into(buffer)


def incoming(sock: socket.socket) -> io.BufferedReader:
    """A stream of what comes over a connection; its ``raw`` has the time until which it may."""
    return io.BufferedReader(Incoming(sock), BLOCK)


def reason(error: Exception) -> str:
    """What a failed connection says of itself, in no words of the other side, which has seen credentials."""
    if isinstance(error, socket.timeout):
        return "no answer in time"
    if not isinstance(error, OSError) and isinstance(error, NO_HTTP):
        return "the answer is no HTTP"
    refused = re.match(r"Tunnel connection failed: \d+", str(error))
    return refused[0] if refused else str(error) or type(error).__name__
