"""HTTP over connections that are kept open. What a status means is decided by the caller.

Requests are written at once, plain answers read directly: that takes a third of what ``http.client`` does.
"""

from __future__ import annotations

import collections
import gzip
import http.client
import io
import select
import socket
import types
import urllib.parse
import zlib
from typing import Any

from .connection import ConnectionFailed, Request, Response, Server, connect

BLOCK = 65536
LARGEST = 1 << 27  # bytes of an answer in memory
BROKEN = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)
SPECIAL = (b"connection", b"content-encoding", b"content-length", b"transfer-encoding")


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, server: Server) -> None:
        """Raises ``ValueError`` for a header that would break requests up."""
        parts = urllib.parse.urlsplit(server.url)
        host = parts.netloc.rpartition("@")[2]
        headers = {"Host": host, "Accept-Encoding": "identity", **server.headers}
        self._server = server
        self._root = parts.path.rstrip("/")
        if server.proxy and not server.tls:  # a proxy without a tunnel wants the whole address
            self._root = f"http://{host}{self._root}"
            headers.update(server.proxy_headers)
        self._head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        if len(self._head.splitlines()) != len(headers):
            raise ValueError("a line break in a header of the request")
        self._idle: collections.deque[tuple[socket.socket, Any]] = collections.deque()

    def send(self, request: Request, largest: int = LARGEST) -> Response:
        """One request and its answer, of at most ``largest`` bytes. Raises ``ConnectionFailed``."""
        method, path, body, headers, timeout = request
        own = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._head}{own}Content-Length: {len(body)}\r\n\r\n"
        sock, stream = self._take()
        try:
            sock.settimeout(timeout)
            try:
                sock.sendall(head.encode("latin-1") + body)
                was_sent = True
            except BROKEN:  # an answer to a part of it, such as 413, may have come
                was_sent = False
            response, stream = read(sock, stream, method, largest)
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
            sock.close()
            raise ConnectionFailed(error) from None
        if was_sent and stream is not None:
            self._idle.append((sock, stream))
        else:
            sock.close()
        return response

    def _take(self) -> tuple[socket.socket, Any]:
        """A connection that is open still, or a new one, and the stream of what comes over it."""
        while self._idle:
            try:
                sock, stream = self._idle.pop()
            except IndexError:  # another thread was quicker
                break
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(0):
                return sock, stream
            sock.close()  # readable without a question asked: the other side has hung up
        sock = connect(self._server)
        return sock, sock.makefile("rb", BLOCK)


def read(sock: socket.socket, stream: Any, method: str, largest: int = LARGEST) -> tuple[Response, Any]:
    """The answer, and the stream of the next one or None. Raises ``OSError`` or ``HTTPException``."""
    start = stream.peek(1)
    head, end, body = start.partition(b"\r\n\r\n")
    length = _plain_length(head) if end and method == "POST" else -1
    if len(body) <= length <= largest:
        stream.read(len(start))  # so that nothing of this answer is left for the next one
        whole = bytearray(body)
        while len(whole) < length:
            block = sock.recv(min(length - len(whole), 16 * BLOCK))
            if not block:
                raise http.client.IncompleteRead(b"", length - len(whole))
            whole += block
        return Response(200, {}, bytes(whole)), stream
    begun: Any = types.SimpleNamespace(makefile=lambda _mode: stream)
    response = http.client.HTTPResponse(begun, method=method)
    response.begin()
    body = _bounded(response, largest)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if "gzip" in response.headers.get("Content-Encoding", "") and body:
        body = _bounded(gzip.GzipFile(fileobj=io.BytesIO(body)), largest)
    stream.close()
    answer = Response(response.status, response.headers, body)
    return answer, None if response.will_close else sock.makefile("rb", BLOCK)


def _bounded(source: Any, largest: int) -> bytes:
    body = bytearray()
    for block in iter(lambda: source.read(BLOCK), b""):
        body += block
        if len(body) > largest:
            raise http.client.HTTPException(f"the answer has more than {largest} bytes")
    return bytes(body)


def _plain_length(head: bytes) -> int:
    """The length of the body, if this is the head of a 200 that says just that; else -1."""
    lengths, head = [], head.lower()
    if b"ratelimit" in head or b"rate-limit" in head:  # which the caller wants to read
        return -1
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.partition(b":")
        value = value.strip()
        if name == b"content-length" and value.isdigit() and len(value) < 12:
            lengths.append(int(value))
        elif (name in SPECIAL and value != b"keep-alive") or line[:1] in (b" ", b"\t") or not colon:
            return -1
    return lengths[0] if head[:13] == b"http/1.1 200 " and len(lengths) == 1 else -1
