"""One connection: uvicorn's protocol with limits on what a client may make us wait for, or hold in memory."""

from __future__ import annotations

import asyncio
import time
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD_BYTES = 64 * 1024
"""Most bytes of a request line with its headers."""

HEAD_SECONDS = 20.0
"""How long a client may take for them, counted from the connection or from their first byte."""

BODY_SECONDS = 60.0
"""In what time a client has to send LEAST bytes of a body, or the rest of it, and to read some of a reply."""

LEAST = 1024
"""Bytes of a body that show that somebody is really sending one."""

TOO_LARGE = (b"431 Request Header Fields Too Large", "the request's headers are too large")

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
            if len(data) < HEAD_BYTES:
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


class GuardedProtocol(HttpToolsProtocol):
    """Refuses oversize heads with 431; `overdue` tells whether a slow client has used up its time."""

    _waiting_since: float | None = None
    _head_bytes = 0
    _received = 0
    _seen = (0, 0.0)
    _sent = (0, 0.0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected (called by the event loop)."""
        self._held = HeldHead(cast(asyncio.Transport, transport))
        super().connection_made(cast(asyncio.Transport, self._held))
        now = self._waiting_since = time.monotonic()
        self._seen = self._sent = (0, now)

    def data_received(self, data: bytes) -> None:
        """Counts the bytes of a head that isn't complete yet (called by the event loop)."""
        waiting = self._waiting_since is not None
        if waiting and len(data) > HEAD_BYTES and b"\r\n\r\n" not in data[:HEAD_BYTES]:
            self._refuse(*TOO_LARGE)
            return
        super().data_received(data)
        self._received += len(data)
        if self._waiting_since is None:
            self._head_bytes = 0
        else:
            self._head_bytes += len(data)
            if self._head_bytes > HEAD_BYTES:
                self._refuse(*TOO_LARGE)

    def on_message_begin(self) -> None:
        """The first byte of a request (called by the parser)."""
        super().on_message_begin()
        self._waiting_since = time.monotonic()
        cast(dict[str, Any], self.scope)[CONNECTION] = self.transport

    def on_headers_complete(self) -> None:
        """The head is complete (called by the parser)."""
        self._waiting_since = None
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        """A reply has been written (called by uvicorn)."""
        self._held.flush()
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

    def send_400_response(self, msg: str) -> None:
        """Refuses what isn't HTTP (called by uvicorn)."""
        self._refuse(b"400 Bad Request", msg)

    def _refuse(self, status: bytes, message: str) -> None:
        if self.transport.is_closing():
            return
        said = message.encode("ascii")
        body = b'{"error":{"code":2015,"message":"%s"}}' % said
        head = b"HTTP/1.1 %s\r\ncontent-type: application/json\r\nx-error-message: %s\r\n" % (status, said)
        self.transport.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
        self.transport.close()
