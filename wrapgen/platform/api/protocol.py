"""One connection: uvicorn's protocol with limits on what a client may make us wait for, or hold in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from wrapgen.platform.domain.bounds import Bounds

HELD_BYTES = 64 * 1024
"""Most bytes that a reply's head is copied together with."""

HEAD_SECONDS = 20.0
"""How long a client may take for them, counted from the connection or from their first byte."""

BODY_SECONDS = 60.0
"""In what time a client has to send LEAST bytes of a body, or the rest of it, and to read some of a reply."""

LEAST = 1024
"""Bytes of a body that show that somebody is really sending one."""

TOO_MUCH = (b"400 Bad Request", "the body's chunk extensions or trailers are too large")
TOO_LARGE = (b"431 Request Header Fields Too Large", "the request's headers are too large")
NOT_HTTP = (b"400 Bad Request", "Invalid HTTP request received.")

SINGLE = frozenset({b"authorization", b"content-type", b"host", b"origin", b"transfer-encoding"})
"""Headers of which a request has one: of two, a proxy may read the first and this server the last."""

CONNECTION = "wrapgen.connection"
"""Where a request's ASGI scope has its connection."""


class HeldHead:
    """A transport that sends a reply's head together with its first body bytes.

    Uvicorn writes the two one after the other, and uvloop sends each at once: two packets, two system calls
    per reply, a good part of a small call's time in this server.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""
        self.written = 0
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Holds a head back, sends what follows it with it."""
        self.written += len(data)
        if self._head:
            head, self._head = self._head, b""
            if len(data) < HELD_BYTES:
                self._transport.write(head + data)
            else:
                self._transport.writelines((head, data))
        elif data[:9] == b"HTTP/1.1 " and data[9:12] != b"100":
            self._head = data
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Sends a head that nothing followed."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Sends what is held, then closes."""
        self.flush()
        self._transport.close()


class _Nowhere(list[tuple[bytes, bytes]]):
    """Where the parser puts trailers: they come after the request was looked at, and are not needed."""

    def append(self, pair: tuple[bytes, bytes]) -> None:
        """Keeps nothing."""


_TRAILERS = _Nowhere()


class GuardedProtocol(HttpToolsProtocol):
    """Refuses what is larger than it may be; `overdue` tells whether a slow client has used up its time."""

    bounds = Bounds()
    _waiting_since: float | None = None
    _idle_since = 0.0
    _idle_bytes = 0
    _fed = _begun = False
    _received = 0
    _seen = (0, 0.0)
    _sent = (0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected (called by the event loop); one that nothing would ever read from is let go."""
        self._held = HeldHead(cast(asyncio.Transport, transport))
        try:
            super().connection_made(cast(asyncio.Transport, self._held))
        except OSError:  # the system has no memory left to tell its address
            self._held.abort()
            return
        now = self._waiting_since = self._idle_since = time.monotonic()
        self._seen = self._sent = (0, now)
        if len(self.connections) > self.bounds.connections:
            self._make_room()

    def _make_room(self) -> None:
        """Ends the connection that has waited longest without a request, or refuses this one."""
        others = (each for each in self.connections if isinstance(each, GuardedProtocol) and each is not self)
        idle = [each for each in others if each.cycle is None or each.cycle.response_complete]
        if idle:
            min(idle, key=lambda each: each._idle_since).transport.abort()
        else:
            self._refuse(b"503 Service Unavailable", "the server has as many connections as it may")

    def data_received(self, data: bytes) -> None:
        """Counts bytes of a head that isn't complete, or that bring no body (called by the event loop)."""
        waiting, most = self._waiting_since is not None, self.bounds.head_bytes
        if waiting and len(data) > most and b"\r\n\r\n" not in data[:most]:
            self._refuse(*TOO_LARGE)
            return
        self._fed = self._begun = False
        self._feed(data)
        self._received += len(data)
        if self._fed or (waiting and self._waiting_since is None):
            self._idle_bytes = 0
            return
        if self._begun:  # heads and bodies may have come before it
            self._idle_bytes = -1 - data.rfind(b"\r\n\r\n")
        self._idle_bytes += len(data)
        if self._idle_bytes > most:
            self._refuse(*(TOO_LARGE if self._waiting_since is not None else TOO_MUCH))

    def _feed(self, data: bytes) -> None:
        """Has the parser read; in place of uvicorn's, which drops the body of a request to upgrade."""
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._ignore_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.logger.warning(NOT_HTTP[1])  # the log's handler asks for the error itself
            self._refuse(*NOT_HTTP)

    def _ignore_upgrade(self, rest: bytes) -> None:
        """Reads a request to upgrade as one without that wish (RFC 9110, 7.8), its body too.

        Java's own client wishes for HTTP/2 in its first request. The parser takes what follows the head for
        another protocol, and can't be told otherwise: a new one gets the head without the wish.
        """
        method, version = self.parser.get_method(), self.parser.get_http_version().encode("ascii")
        lines = [b"%b: %b\r\n" % pair for pair in self.headers if pair[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._feed(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines)) + rest)

    def on_message_begin(self) -> None:
        """The first byte of a request (called by the parser)."""
        super().on_message_begin()
        self._waiting_since = time.monotonic()
        self._begun = True
        cast(dict[str, Any], self.scope)[CONNECTION] = self.transport

    def on_headers_complete(self) -> None:
        """The head is complete (called by the parser)."""
        self._waiting_since = None
        if len(self.headers) > self.bounds.head_lines:
            self._refuse(*TOO_LARGE)
            raise ValueError(TOO_LARGE[1])  # ends the parser
        if ambiguity := _ambiguity(self.headers, self.parser.get_http_version()):
            self._refuse(b"400 Bad Request", ambiguity)
            raise ValueError(ambiguity)
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("a tunnel is no request")
            return
        super().on_headers_complete()
        self.headers = _TRAILERS
        if len(self.pipeline) > self.bounds.pipelined:
            self.transport.abort()
            raise ValueError("too many requests ahead of their answers")

    def on_message_complete(self) -> None:
        """A request is complete (called by the parser); one to upgrade is read again."""
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def on_body(self, body: bytes) -> None:
        """Some of a body (called by the parser)."""
        self._fed = True
        super().on_body(body)

    def on_response_complete(self) -> None:
        """A reply has been written (called by uvicorn)."""
        self._held.flush()
        self._idle_since = time.monotonic()
        super().on_response_complete()

    def overdue(self, now: float) -> bool:
        """Whether a client took too long for a head, in a body, or to read, at time.monotonic() `now`.

        Has to be asked all the time: what moved since the last question is what counts.
        """
        unsent = self._held.get_write_buffer_size()
        sent = self._held.written - unsent
        if not unsent or sent != self._sent[0]:
            self._sent = (sent, now)
        elif now - self._sent[1] > BODY_SECONDS:
            return True
        if self._waiting_since is not None:
            return now - self._waiting_since > HEAD_SECONDS
        cycle = self.cycle
        sends = cycle is not None and cycle.more_body and not cycle.response_complete
        if not sends or self.flow.read_paused or self._received - self._seen[0] >= LEAST:
            self._seen = (self._received, now)
        return now - self._seen[1] > BODY_SECONDS

    def _refuse(self, status: bytes, message: str) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is not None and self.cycle.response_started and not self.cycle.response_complete:
            self.transport.abort()  # a reply is on its way already
            return
        said = message.encode("ascii")
        body = b'{"error":{"code":2015,"message":"%s"}}' % said
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nx-error-message: %s\r\n" % (status, said)
        self.transport.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        self.transport.close()


def _ambiguity(headers: list[tuple[bytes, bytes]], version: str) -> str:
    """Why a proxy could read a request's head differently from this server; nothing if it can't."""
    single = [name for name, _ in headers if name in SINGLE]
    if len(set(single)) < len(single):
        return "a header is there twice of which a request has one"
    if version == "1.1" and b"host" not in single:
        return "a request has a header Host"
    if b"transfer-encoding" in single:
        (coding,) = (value for name, value in headers if name == b"transfer-encoding")
        if version != "1.1" or coding.lower() != b"chunked":
            return "the one transfer coding is chunked, of HTTP/1.1"
    return ""
