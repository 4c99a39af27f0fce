"""HTTP over connections that are kept open. What a status means is decided by the caller.

``http.client`` would take two thirds of a call's processor time. So a request is written at once and a plain
answer read directly; ``http.client`` connects, and reads all other answers.
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
from typing import Any, Mapping, NamedTuple

CONNECT_TIMEOUT = 10.0
BLOCK = 65536
LARGEST = 1 << 27  # bytes of an answer in memory
BROKEN = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
SPECIAL = (b"connection", b"content-encoding", b"content-length", b"transfer-encoding")


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


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, server: Server) -> None:
        """Raises ``ValueError`` for a header that would break requests up."""
        parts = urllib.parse.urlsplit(server.url)
        host = parts.netloc.rpartition("@")[2]
        headers = {"Host": host, "Accept-Encoding": "identity", **server.headers}
        self._server = server
        self._address = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        self._root = parts.path.rstrip("/")
        if server.proxy and not server.tls:  # a proxy without a tunnel wants the whole address
            self._root = f"http://{host}{self._root}"
            headers.update(server.proxy_headers)
        self._head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if len(self._head.splitlines()) != len(headers):
            raise ValueError("a line break in a header of the request")
        self._idle: collections.deque[socket.socket] = collections.deque()

    def send(self, request: Request, largest: int = LARGEST) -> Response:
        """One request and its answer, of at most ``largest`` bytes. Raises ``ConnectionFailed``."""
        method, path, body, headers, timeout = request
        own = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._head}{own}Content-Length: {len(body)}\r\n\r\n"
        sock = self._take_idle() or self._connect()
        try:
            sock.settimeout(timeout)
            try:
                sock.sendall(head.encode("latin-1") + body)
                was_sent = True
            except BROKEN:  # an answer to a part of it, such as 413, may have come
                was_sent = False
            response, stays_open = read(sock, method, largest)
        except (OSError, http.client.HTTPException) as error:
            sock.close()
            raise ConnectionFailed(error) from None
        if was_sent and stays_open:
            self._idle.append(sock)
        else:
            sock.close()
        return response

    def _take_idle(self) -> socket.socket | None:
        while self._idle:
            try:
                sock = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            if not _is_readable(sock):
                return sock
            sock.close()  # readable without a question asked: the other side has hung up
        return None

    def _connect(self) -> socket.socket:
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
        return connection.sock


def _is_readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def read(sock: socket.socket, method: str, largest: int = LARGEST) -> tuple[Response, bool]:
    """The answer, and whether the connection stays open. Raises ``OSError`` or ``HTTPException``."""
    data = sock.recv(BLOCK)
    head, end, body = data.partition(b"\r\n\r\n")
    length = _plain_length(head) if end and method == "POST" else -1
    if len(body) <= length <= largest:
        whole = bytearray(body)
        while len(whole) < length:
            block = sock.recv(16 * BLOCK)
            if not block:
                raise http.client.IncompleteRead(b"", length - len(whole))
            whole += block
        return Response(200, {}, bytes(whole)), True
    begun: Any = _Begun(sock, data)
    response = http.client.HTTPResponse(begun, method=method)
    response.begin()
    body = _bounded(response, largest)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if "gzip" in response.headers.get("Content-Encoding", "") and body:
        body = _bounded(gzip.GzipFile(fileobj=io.BytesIO(body)), largest)
    return Response(response.status, response.headers, body), not response.will_close


def _bounded(source: Any, largest: int) -> bytes:
    body: bytes = source.read(largest + 1)
    if len(body) > largest:
        raise http.client.HTTPException(f"the answer has more than {largest} bytes")
    return body


def _plain_length(head: bytes) -> int:
    """The length of the body, if this is the head of a 200 that says just that; else -1."""
    lengths = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.lower().partition(b":")
        value = value.strip()
        if name == b"content-length" and value.isdigit() and len(value) < 12:
            lengths.append(int(value))
        elif (name in SPECIAL and value != b"keep-alive") or line[:1] in (b" ", b"\t") or not colon:
            return -1
    return lengths[0] if head[:13] == b"HTTP/1.1 200 " and len(lengths) == 1 else -1


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
