"""HTTP over connections that are kept open. What a status means is decided by the caller.

Requests are written at once and plain answers read directly: that takes a third of the processor time of
``http.client``, which reads every other answer.
"""

from __future__ import annotations

import collections
import contextlib
import gzip
import http.client
import io
import re
import select
import socket
import time
import types
import urllib.parse
import zlib
from typing import Any, Mapping

from .connection import BLOCK, Response, Server, connect, incoming, reason
from .protocol import ATTEMPT, Failure

LARGEST = 1 << 27  # bytes of an answer in memory
# The head of an answer that can be read directly: nothing in it changes how the body is read, nor is heard.
HEARD = rb"connection|content-[el]|transfer|[^:\r\n]*rate-?limit"
LINES = rb"(?:\r\n(?:connection: keep-alive|(?!%b)[^\s:]+:[^\r\n]*))*" % HEARD
PLAIN = re.compile(rb"HTTP/1\.1 200 .*%b\r\ncontent-length: *(\d{1,11})%b\r\n\r\n" % (LINES, LINES), re.I)


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, server: Server, largest: int = LARGEST) -> None:
        """An answer has at most ``largest`` bytes. Raises ``ValueError``: a bad header."""
        parts = urllib.parse.urlsplit(server.url)
        headers = {"Host": parts.netloc.rpartition("@")[2], "Accept-Encoding": "identity", **server.headers}
        self._server, self._largest = server, largest
        self._root = parts.path.rstrip("/")
        if server.proxy and not server.tls:  # a proxy without a tunnel wants the whole address
            self._root = f"http://{headers['Host']}{self._root}"
            headers.update(server.proxy_headers)
        self._head = _lines(headers)
        if len(self._head.splitlines()) != len(headers):
            raise ValueError("a line break in a header of the request")
        self._idle: collections.deque[tuple[socket.socket, Any]] = collections.deque()

    def send(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = {}, timeout: float = 120
    ) -> Response:
        """The answer, after at most ``timeout`` seconds. Raises ``Failure``: no whole answer came."""
        length = f"Content-Length: {len(body)}\r\n\r\n"
        head = f"{method} {self._root}{path} HTTP/1.1\r\n{self._head}{_lines(headers)}{length}"
        request = head.encode("latin-1") + body
        sock, stream = self._take()
        try:
            sock.settimeout(timeout)
            stream.raw.until = time.monotonic() + timeout
            with contextlib.suppress(ConnectionError):  # an answer to part of it, such as 413, may have come
                sock.sendall(request)
            response, stream = read(sock, stream, method, self._largest)
        except (OSError, EOFError, ValueError, zlib.error, http.client.HTTPException) as error:
            stream.close()  # or the connection stays open as long as it does
            sock.close()
            kind = "TimeoutError" if isinstance(error, socket.timeout) else "ConnectionError"
            raise Failure(kind, reason(error), True, ATTEMPT) from None
        if stream is None:
            sock.close()
        else:
            self._idle.append((sock, stream))
        return response

    def _take(self) -> tuple[socket.socket, Any]:
        """A connection that is open still, or a new one, and the stream of what comes over it."""
        while True:
            try:
                sock, stream = self._idle.pop()
            except IndexError:
                sock = connect(self._server)
                return sock, incoming(sock)
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            if not poll.poll(0):
                return sock, stream
            stream.close()
            sock.close()  # readable without a question asked: the other side has hung up


def read(sock: socket.socket, stream: Any, method: str, largest: int = LARGEST) -> tuple[Response, Any]:
    """The answer, and the stream of the next one or None. Raises ``OSError`` or ``HTTPException``."""
    start = stream.peek(1)
    plain = PLAIN.match(start) if method == "POST" else None
    if plain and len(start) - plain.end() <= int(plain[1]) <= largest:
        stream.read(len(start))  # so that nothing of this answer is left for the next one
        whole, length = bytearray(start[plain.end() :]), int(plain[1])
        while len(whole) < length:
            block = stream.read1(min(length - len(whole), 16 * BLOCK))
            if not block:
                raise http.client.IncompleteRead(b"", length - len(whole))
            whole += block
        return Response(200, {}, bytes(whole)), stream
    response = _begun(stream, method)
    body = _bounded(response, largest)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if "gzip" in response.headers.get("Content-Encoding", "") and body:
        body = _bounded(gzip.GzipFile(fileobj=io.BytesIO(body)), largest)
    stream.close()
    answer = Response(response.status, response.headers, body)
    return answer, None if response.will_close else incoming(sock)


def _begun(stream: Any, method: str) -> http.client.HTTPResponse:
    """The answer with its headers, after any interim ones, such as 103. Raises as ``read``."""
    begun: Any = types.SimpleNamespace(makefile=lambda _mode: stream)
    response = http.client.HTTPResponse(begun, method=method)
    response.begin()
    while 100 <= response.status < 200 and response.status != 101:
        response.headers = None  # type: ignore[assignment]
        response.begin()
    lengths = set(response.headers.get_all("Content-Length", ()))
    if response.status == 101 or len(lengths) > 1 or not all(map(str.isdecimal, lengths)):
        raise http.client.HTTPException("an answer that does not say where it ends")
    return response


def _bounded(source: Any, largest: int) -> bytes:
    body = bytearray()
    for block in iter(lambda: source.read(BLOCK), b""):
        body += block
        if len(body) > largest:
            raise http.client.HTTPException(f"the answer has more than {largest} bytes")
    return bytes(body)


def _lines(headers: Mapping[str, str]) -> str:
    return "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
