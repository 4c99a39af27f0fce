"""HTTP over connections that are kept open. What a status means is decided by whoever asks.

``http.client`` would take two thirds of the processor time of a call, for header objects that nobody wants
and a second packet. So a request is written at once and a plain answer read directly; it reads all others.
"""

from __future__ import annotations

import collections
import gzip
import http.client
import io
import select
import socket
import ssl
import urllib.parse
from typing import IO, Any, Mapping, NamedTuple

CONNECT_TIMEOUT = 10.0
BLOCK = 65536
BROKEN = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
SPECIAL = (b"connection", b"content-encoding", b"content-length", b"transfer-encoding")


class Server(NamedTuple):
    """Where requests go: the address, what each request says, how TLS verifies, and the proxy in between."""

    url: str
    headers: Mapping[str, str]
    tls: ssl.SSLContext | None = None
    proxy: str | None = None
    proxy_headers: Mapping[str, str] = {}


class Response(NamedTuple):
    """Status, headers and body of one HTTP exchange; a plain answer is told without headers."""

    status: int
    headers: Mapping[str, str] | http.client.HTTPMessage
    body: bytes


class ConnectionFailed(Exception):
    """No whole answer came; ``sent`` tells whether the request may have reached anyone."""

    def __init__(self, error: Exception, address: str = "") -> None:
        self.timed_out = isinstance(error, socket.timeout)
        self.lasting = isinstance(error, ssl.SSLCertVerificationError)
        self.sent = not address
        message = "no answer in time" if self.timed_out else str(error) or type(error).__name__
        super().__init__(f"no connection to {address}: {message}" if address else message)


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, server: Server) -> None:
        parts = urllib.parse.urlsplit(server.url)
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._root = parts.path.rstrip("/")
        self._headers = dict(server.headers, Host=parts.netloc.rpartition("@")[2])
        self._server = server
        if server.proxy and not server.tls:  # a proxy without a tunnel wants the whole address
            self._root = "http://" + self._headers["Host"] + self._root
            self._headers.update(server.proxy_headers)
        self._idle: collections.deque[http.client.HTTPConnection] = collections.deque()

    def send(
        self,
        method: str,
        path: str,
        body: Any = b"",
        headers: Mapping[str, str] = {},
        timeout: float = 60.0,
        into: IO[bytes] | None = None,
    ) -> Response:
        """One exchange. Raises ``ConnectionFailed``.

        ``body`` is bytes or an open file with its length in the headers; with ``into``, a successful answer's
        bytes go to that open file. A body is sent twice only if nobody can have read the whole of it.
        """
        request = method, self._root + path, body, {**self._headers, **headers}
        connection = self._take_idle()
        response = _exchange(connection, request, timeout, into, is_used=True) if connection else None
        if response is None:
            connection = self._connect()
            response = _exchange(connection, request, timeout, into)
        assert connection is not None and response is not None
        if connection.sock is not None:  # else the other side wants it closed
            self._idle.append(connection)
        return response

    def _take_idle(self) -> http.client.HTTPConnection | None:
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # readable without a question asked: the other side has hung up

    def _connect(self) -> http.client.HTTPConnection:
        (host, port), server = self._address, self._server
        if server.proxy:
            proxy = urllib.parse.urlsplit(server.proxy)
            host, port = proxy.hostname or "", proxy.port or 80
        connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        if server.tls:
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=server.tls)
            if server.proxy:
                connection.set_tunnel(*self._address, headers=server.proxy_headers)
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise ConnectionFailed(error, f"{host}:{port}") from None
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
            write(connection.sock, *request)
        except OSError as error:
            if not _is_readable(connection.sock):  # else there is an answer to a part of it, such as 413
                if not (is_used and isinstance(error, BROKEN)):
                    raise
                connection.close()
                if hasattr(request[2], "seek"):
                    request[2].seek(0)
                return None
            response = read(connection, into, request[0])
            connection.close()
            return response
        return read(connection, into, request[0])
    except (OSError, http.client.HTTPException) as error:
        connection.close()
        raise ConnectionFailed(error) from None


def _is_readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def write(sock: socket.socket, method: str, target: str, body: Any, headers: dict[str, str]) -> None:
    """Write a request. Raises ``OSError``, and ``ValueError`` for a header that would break it up."""
    lines = [f"{method} {target} HTTP/1.1", "Accept-Encoding: identity"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if isinstance(body, bytes) and "Content-Length" not in headers:
        lines.append(f"Content-Length: {len(body)}")
    head = "\r\n".join(lines).encode("latin-1")
    if len(head.splitlines()) != len(lines):
        raise ValueError("a line break in a header of the request")
    head += b"\r\n\r\n"
    if isinstance(body, bytes) and len(body) < BLOCK:
        sock.sendall(head + body)
        return
    sock.sendall(head)
    for block in [body] if isinstance(body, bytes) else iter(lambda: body.read(BLOCK), b""):
        sock.sendall(block)


def read(
    connection: http.client.HTTPConnection, into: IO[bytes] | None = None, method: str = "POST"
) -> Response:
    """Read the answer; the connection is closed if the other side wants that.

    Raises ``OSError``, or ``http.client.HTTPException`` for what is no whole answer.
    """
    data = connection.sock.recv(BLOCK)
    head, end, body = data.partition(b"\r\n\r\n")
    length = _plain_length(head) if end and into is None and method == "POST" else None
    if length is not None and len(body) <= length:
        return Response(200, {}, _whole(connection.sock, body, length))
    begun: Any = _Begun(connection.sock, data)
    response = http.client.HTTPResponse(begun, method=method)
    response.begin()
    body = response.read() if into is None or response.status != 200 else b""
    if into is not None and response.status == 200:
        for block in iter(lambda: response.read(BLOCK), b""):
            into.write(block)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if "gzip" in response.headers.get("Content-Encoding", "") and body:
        body = gzip.decompress(body)
    if response.will_close:
        connection.close()
    return Response(response.status, response.headers, body)


def _plain_length(head: bytes) -> int | None:
    """The length of the body, if this is the head of a 200 that says just that; else None."""
    lengths = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.lower().partition(b":")
        value = value.strip()
        if name == b"content-length" and value.isdigit() and len(value) < 12:
            lengths.append(int(value))
        elif (name in SPECIAL and value != b"keep-alive") or line[:1] in (b" ", b"\t") or not colon:
            return None
    return lengths[0] if head[:13] == b"HTTP/1.1 200 " and len(lengths) == 1 else None


def _whole(sock: socket.socket, body: bytes, length: int) -> bytes:
    blocks = [body]
    left = length - len(body)
    while left:
        blocks.append(sock.recv(min(left, 16 * BLOCK)))
        if not blocks[-1]:
            raise http.client.IncompleteRead(b"", left)
        left -= len(blocks[-1])
    return b"".join(blocks)


class _Begun(io.RawIOBase):
    """A socket of which the first bytes have been read already, as http.client wants one."""

    def __init__(self, sock: socket.socket, data: bytes) -> None:
        self._sock = sock
        self._data = data

    def makefile(self, _mode: str) -> Any:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._data or self._sock.recv(len(buffer))
        part, self._data = data[: len(buffer)], data[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)
