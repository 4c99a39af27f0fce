"""One HTTP exchange over a socket.

``http.client`` would take more of the processor than all else in a call, for checks and header objects that
nobody wants. So a request is written at once and a plain answer read directly; it reads all others.
"""

import http.client
import io
from typing import Any  # noqa: F401 - for the type comments

PIECE = 65536
SPECIAL = (b"connection", b"content-encoding", b"content-length", b"transfer-encoding")


class Answer:
    """Status, headers and body of one HTTP exchange; a plain answer is told without headers."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = headers
        self.body = body


def send(sock, method, target, body, headers):
    # type: (Any, str, str, Any, dict) -> None
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
        for piece in iter(lambda: body.read(PIECE), b""):
            sock.sendall(piece)
    elif len(body) < PIECE:
        sock.sendall(head + b"\r\n\r\n" + body)
    else:
        sock.sendall(head + b"\r\n\r\n")
        sock.sendall(body)


def receive(connection, into=None):
    # type: (Any, Any) -> Answer
    """Read the answer; the connection is closed if the other side wants that.

    Raises ``OSError``, or ``http.client.HTTPException`` for what is no whole answer.
    """
    data = connection.sock.recv(PIECE)
    length, body = _plain(data) if into is None else (None, b"")
    if length is not None:
        return Answer(200, {}, _whole(connection.sock, body, length))
    begun = _Begun(connection.sock, data)  # type: Any
    response = http.client.HTTPResponse(begun)
    response.begin()
    answer = Answer(response.status, response.headers, b"")
    if into is None or response.status != 200:
        answer.body = response.read()
    else:
        for piece in iter(lambda: response.read(PIECE), b""):
            into.write(piece)
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)
    if response.will_close:
        connection.close()
    return answer


def _plain(data):
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


def _whole(sock, body, length):
    pieces, left = [body], length - len(body)
    while left:
        piece = sock.recv(min(left, 16 * PIECE))
        if not piece:
            raise http.client.IncompleteRead(b"", left)
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


class _Begun(io.RawIOBase):
    """A socket of which the first bytes have been read already, as http.client wants one."""

    def __init__(self, sock, data):
        # type: (Any, bytes) -> None
        super().__init__()
        self._sock = sock
        self._data = data

    def makefile(self, _mode):
        # type: (str) -> Any
        """All of its bytes, from the first."""
        return io.BufferedReader(self)

    def readable(self):
        # type: () -> bool
        """Always."""
        return True

    def readinto(self, buffer):
        # type: (Any) -> int
        """What was read before, then what comes."""
        if not self._data:
            return self._sock.recv_into(buffer)
        size = min(len(buffer), len(self._data))
        buffer[:size] = self._data[:size]
        self._data = self._data[size:]
        return size
