"""HTTP over connections that are kept open. What a status means is decided by whoever asks."""

from __future__ import annotations

import base64
import collections
import http.client
import select
import socket
import ssl
import urllib.parse
from typing import IO, Any, Mapping, NamedTuple

from . import exchange
from .exchange import Response

CONNECT_TIMEOUT = 10.0
BROKEN = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class Server(NamedTuple):
    """Where requests go: the address, what each request says, whom TLS trusts, and the proxy in between."""

    url: str
    headers: Mapping[str, str]
    authorities: str | None = None  # a file of certificates; None checks none
    proxy: str | None = None


class ConnectionFailed(Exception):
    """No whole answer came; ``sent`` tells whether the request may have reached anyone."""

    def __init__(self, error: Exception, sent: bool = True) -> None:
        self.timed_out = isinstance(error, socket.timeout)
        self.lasting = isinstance(error, ssl.SSLCertVerificationError)
        self.sent = sent
        super().__init__("no answer in time" if self.timed_out else str(error) or type(error).__name__)


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, server: Server) -> None:
        parts = urllib.parse.urlsplit(server.url)
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._root = parts.path.rstrip("/")
        self._headers = dict(server.headers, Host=parts.netloc.rpartition("@")[2])
        self._tls = _tls(server.authorities) if parts.scheme == "https" else None
        self._proxy = urllib.parse.urlsplit(server.proxy) if server.proxy else None
        self._proxy_headers = _login(self._proxy)
        if self._proxy and not self._tls:  # a proxy without a tunnel wants the whole address
            self._root = "http://" + parts.netloc.rpartition("@")[2] + self._root
            self._headers = dict(self._headers, **self._proxy_headers)
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()

    def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: dict[str, str] | None = None,
        timeout: float = 60.0,
        into: IO[bytes] | None = None,
    ) -> Response:
        """One exchange. Raises ``ConnectionFailed``.

        ``body`` is bytes or an open file; with ``into``, a successful answer's bytes go to that open file. A
        body is sent twice only if the first connection broke before anyone can have read the whole of it.
        """
        request = (method, self._root + path, body, dict(self._headers, **(headers or {})))
        connection, response = self._take_idle(), None
        if connection is not None:
            response = _exchange(connection, request, timeout, into, is_used=True)
        if response is None:
            connection = self._connect()
            response = _exchange(connection, request, timeout, into)
            assert response is not None
        if connection is not None and connection.sock is not None:  # else the other side wants it closed
            self._idle.append(connection)
        return response

    def _take_idle(self) -> http.client.HTTPConnection | None:
        """An idle connection that the other side has not closed meanwhile."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # readable without a question asked: the other side has hung up
        return None

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._address
        if self._proxy:
            host, port = self._proxy.hostname or "", self._proxy.port or 80
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        if self._tls:
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=self._tls)
        if self._proxy and self._tls:
            connection.set_tunnel(*self._address, headers=self._proxy_headers)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            failed = ConnectionFailed(error, sent=False)
            failed.args = (f"no connection to {host}:{port}: {failed}",)
            raise failed from None
        return connection


def _exchange(
    connection: http.client.HTTPConnection,
    request: tuple[str, str, Any, dict[str, str]],
    timeout: float,
    into: IO[bytes] | None,
    is_used: bool = False,
) -> Response | None:
    """Send and receive. None if a used connection broke before all was sent: nothing can have run."""
    try:
        connection.sock.settimeout(timeout)
        try:
            exchange.send(connection.sock, *request)
        except OSError as error:
            if _is_readable(connection.sock):  # an answer to a part of the request, such as 413
                response = exchange.receive(connection, into, request[0])
                connection.close()
                return response
            if not (is_used and isinstance(error, BROKEN)):
                raise
            connection.close()
            if hasattr(request[2], "seek"):
                request[2].seek(0)
            return None
        return exchange.receive(connection, into, request[0])
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise ConnectionFailed(error) from None


def _tls(authorities: str | None) -> ssl.SSLContext:
    if authorities is None:
        return ssl._create_unverified_context()  # noqa: S323 - the user told the vendor's client not to verify
    return ssl.create_default_context(cafile=authorities)


def _login(proxy: urllib.parse.SplitResult | None) -> dict[str, str]:
    if proxy is None or not proxy.username:
        return {}
    login = urllib.parse.unquote(f"{proxy.username}:{proxy.password or ''}").encode("utf-8")
    return {"Proxy-Authorization": "Basic " + base64.b64encode(login).decode("ascii")}


def _is_readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
