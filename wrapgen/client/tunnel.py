"""Through a proxy that is itself reached through TLS: TLS inside of TLS, which Python's sockets can't do."""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Callable
from typing import Any

_PART = 65_536


def through_tls(
    proxy: http.client.HTTPSConnection,
    context: ssl.SSLContext,
    host: str,
    port: int,
    headers: dict[str, str],
) -> http.client.HTTPConnection:
    """A connection to a host through an open one to a proxy.

    Raises:
        OSError: the proxy refuses, or the host can't be trusted.
    """
    name = f"[{host}]" if ":" in host else host
    lines = [f"CONNECT {name}:{port} HTTP/1.1", f"Host: {name}:{port}"]
    lines += [f"{header}: {value}" for header, value in headers.items()]
    proxy.sock.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
    answer = http.client.HTTPResponse(proxy.sock, method="CONNECT")
    answer.begin()
    if answer.status != 200:
        raise OSError(f"Tunnel connection failed: {answer.status} {answer.reason}")
    connection = http.client.HTTPConnection(host, port)
    connection.default_port = 443  # leaves the port out of the Host header
    connection.sock = _InnerTls(proxy.sock, context, host)
    return connection


class _InnerTls:
    """As much of a socket as http.client uses."""

    def __init__(self, outer: Any, context: ssl.SSLContext, host: str) -> None:
        self._outer = outer
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._received, self._sent, server_hostname=host)
        self.fileno, self.settimeout, self.close = outer.fileno, outer.settimeout, outer.close
        self._do(self._tls.do_handshake)

    def sendall(self, data: Any) -> None:
        """Sends all of it."""
        rest = memoryview(data).cast("B")
        while rest:
            rest = rest[self._do(self._tls.write, rest) :]

    def makefile(self, mode: str) -> io.BufferedReader:  # noqa: ARG002 - http.client only reads
        """What is received, as a file; closing it leaves the connection open."""
        return io.BufferedReader(_TunnelReader(self))

    def read(self, count: int) -> bytes:
        """Some of what is received; empty at the end."""
        try:
            data: bytes = self._do(self._tls.read, count)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        return data

    def _do(self, step: Callable[..., Any], *arguments: Any) -> Any:
        while True:
            try:
                done = step(*arguments)
            except ssl.SSLWantReadError:  # noqa: PERF203
                self._flush()
                data = self._outer.recv(_PART)
                if data:
                    self._received.write(data)
                else:
                    self._received.write_eof()
            else:
                self._flush()
                return done

    def _flush(self) -> None:
        if self._sent.pending:
            self._outer.sendall(self._sent.read())


class _TunnelReader(io.RawIOBase):
    def __init__(self, tls: _InnerTls) -> None:
        self._tls = tls

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._tls.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
