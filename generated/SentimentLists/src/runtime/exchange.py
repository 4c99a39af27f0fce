"""One HTTP exchange over a socket.

``http.client`` would take two thirds of the processor time of a call, for header objects that nobody wants
and a second packet. So a request is written at once and a plain answer read directly; it reads all others.
"""

from __future__ import annotations

import gzip
import http.client
import io
import socket
from typing import IO, Any, Mapping, NamedTuple

BLOCK = 65536
SPECIAL = (b"connection", b"content-encoding", b"content-length", b"transfer-encoding")


class Response(NamedTuple):
    """Status, headers and body of one HTTP exchange; a plain answer is told without headers."""

    status: int
    headers: Mapping[str, str] | http.client.HTTPMessage
    body: bytes


def send(sock: socket.socket, method: str, target: str, body: Any, headers: dict[str, str]) -> None:
    """Write a request; a body that is an open file needs its length among the headers.

    Raises ``OSError``, and ``ValueError`` for a header that would break the request up.
    """
    lines = ["{} {} HTTP/1.1".format(method, target), "Accept-Encoding: identity"]
    lines += ["{}: {}".format(name, value) for name, value in headers.items()]
    if isinstance(body, bytes) and "Content-Length" not in headers:
        lines.append("Content-Length: {}".format(len(body)))
    head = "\r\n".join(lines).encode("latin-1")
    if len(head.splitlines()) != len(lines):
        raise ValueError("a line break in a header of the request")
    if not isinstance(body, bytes):
        sock.sendall(head + b"\r\n\r\n")
        for block in iter(lambda: body.read(BLOCK), b""):
            sock.sendall(block)
    elif len(body) < BLOCK:
        sock.sendall(head + b"\r\n\r\n" + body)
    else:
        sock.sendall(head + b"\r\n\r\n")
        sock.sendall(body)


def receive(
    connection: http.client.HTTPConnection, into: IO[bytes] | None = None, method: str = "POST"
) -> Response:
    """Read the answer; the connection is closed if the other side wants that.

    Raises ``OSError``, or ``http.client.HTTPException`` for what is no whole answer.
    """
    data = connection.sock.recv(BLOCK)
    length, body = _plain(data) if into is None and method == "POST" else (None, b"")
    if length is not None:
        return Response(200, {}, _whole(connection.sock, body, length))
    begun: Any = _Begun(connection.sock, data)
    response = http.client.HTTPResponse(begun, method=method)
    response.begin()
    body = b""
    if into is None or response.status != 200:
        body = response.read()
    else:
        for block in iter(lambda: response.read(BLOCK), b""):
            into.write(block)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if "gzip" in response.headers.get("Content-Encoding", "") and body:
        body = gzip.decompress(body)
    if response.will_close:
        connection.close()
    return Response(response.status, response.headers, body)


def _plain(data: bytes) -> tuple[int | None, bytes]:
    """Length and beginning of the body, if this is a 200 that says how long it is; else None and nothing."""
    head, end, body = data.partition(b"\r\n\r\n")
    lengths = []
    for line in head.split(b"\r\n")[1:]:
        name, colon, value = line.lower().partition(b":")
        value = value.strip()
        if name == b"content-length" and value.isdigit() and len(value) < 12:
            lengths.append(int(value))
        elif (name in SPECIAL and value != b"keep-alive") or line[:1] in (b" ", b"\t") or not colon:
            return None, b""
    if not end or head[:13] != b"HTTP/1.1 200 " or len(lengths) != 1 or len(body) > lengths[0]:
        return None, b""
    return lengths[0], body


def _whole(sock: socket.socket, body: bytes, length: int) -> bytes:
    blocks, left = [body], length - len(body)
    while left:
        block = sock.recv(min(left, 16 * BLOCK))
        if not block:
            raise http.client.IncompleteRead(b"", left)
        blocks.append(block)
        left -= len(block)
    return b"".join(blocks)


class _Begun(io.RawIOBase):
    """A socket of which the first bytes have been read already, as http.client wants one."""

    def __init__(self, sock: Any, data: bytes) -> None:
        super().__init__()
        self._sock = sock
        self._data = data

    def makefile(self, _mode: str) -> Any:
        """All of its bytes, from the first."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """What was read before, then what comes."""
        if not self._data:
            return self._sock.recv_into(buffer)
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size
