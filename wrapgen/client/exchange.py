"""One HTTP exchange over a connection: opening it, and reading an answer within a limit. Knows no paths.

It needs Python's own library only: Spark's executors and Lambda functions use it too. Redirects are not
followed: a key goes to the address it was meant for and nowhere else.
"""

from __future__ import annotations

import http.client
import io
import ssl
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wrapgen.client.proxies import Proxy
from wrapgen.errors import UsageError

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection."""

PART = 65_536
"""Bytes that are read at once."""

SLOWEST = 1024, 60.0
"""Bytes that an answer has to bring in so many seconds, once it has begun: a timeout is for one read."""

HEAD_BYTES = 8 << 20
"""Bytes before the end of an answer's headers: Python limits lines and headers, not interim answers."""

_GZIP_OR_ZLIB = 47  # zlib's own number for: either header, the largest window


class AnswerTooLarge(Exception):
    """An answer has more bytes than are wanted."""


class NoConnection(OSError):
    """Nobody answered at an address."""


class BadEncoding(http.client.HTTPException):
    """An answer can't be decoded: damaged, or in an encoding that was not requested."""


class ConnectionOpener:
    """Opens connections to one address.

    Args:
        address: base address, http or https.
        proxy: to go through, or None.
        authorities: further certificate authorities: the path of a file or folder, or PEM text.

    Raises:
        UsageError: the authorities can't be read.
    """

    def __init__(self, address: str, proxy: Proxy | None, authorities: str | None) -> None:
        parts = urlsplit(address)
        self._host = parts.hostname or ""
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 80)
        self._proxy = proxy
        tls = self._secure or (proxy is not None and proxy.secure)
        self._context = trust(authorities) if tls else None
        absolute = proxy is not None and not self._secure
        self.root = address if absolute else parts.path.rstrip("/")
        """What a path is appended to in a request line: a proxy without a tunnel wants the whole address."""
        self.headers = proxy.headers if absolute and proxy is not None else {}
        """What every request tells a proxy without a tunnel."""

    def open(self) -> http.client.HTTPConnection:
        """A new connection.

        Raises:
            SSLError: the other side can't be trusted, or speaks no TLS.
            NoConnection: nobody is there, or the proxy refuses.
        """
        proxy = self._proxy
        host, port = (self._host, self._port) if proxy is None else (proxy.host, proxy.port)
        connection = (
            http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
            if self._context is None
            else http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=self._context)
        )
        nested = proxy is not None and proxy.secure and self._secure
        if proxy is not None and self._secure and not nested:
            connection.set_tunnel(self._host, self._port, proxy.headers)
        try:
            connection.connect()
            if nested:
                connection = self._nested(connection)
            connection.response_class = _BoundedResponse
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
                raise
            raise NoConnection(self._refusal(error)) from error
        return connection

    def _nested(self, connection: http.client.HTTPConnection) -> http.client.HTTPConnection:
        from wrapgen.client.tunnel import through_tls  # few need it

        assert self._context is not None and self._proxy is not None
        assert isinstance(connection, http.client.HTTPSConnection)
        return through_tls(connection, self._context, self._host, self._port, self._proxy.headers)

    def _refusal(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no connection within {CONNECT_TIMEOUT:g} s"
        through = f" through the proxy {self._proxy.host}:{self._proxy.port}" if self._proxy else ""
        return f"no connection{through} ({error})"


class _BoundedResponse(http.client.HTTPResponse):
    """An answer that can't keep its reader waiting without end."""

    def __init__(self, sock: Any, *about: Any, **more: Any) -> None:
        super().__init__(sock, *about, **more)
        self._paced = _Paced(self.fp.detach())
        self.fp = io.BufferedReader(self._paced)

    def begin(self) -> None:
        """Reads the status and the headers, after those of any interim answer, such as 103."""
        super().begin()
        while 100 <= self.status < 200 and self.status != 101:
            self.headers = None  # type: ignore[assignment]
            super().begin()
        lengths = set(self.headers.get_all("Content-Length", ()))
        if self.status == 101 or len(lengths) > 1 or not all(map(str.isdecimal, lengths)):
            raise http.client.HTTPException("the answer does not say where it ends")
        self._paced.most = None


class _Paced(io.RawIOBase):
    """What comes from a socket, unless it comes too slowly, or is too much before it gets to the point."""

    most: int | None = HEAD_BYTES
    _since = 0.0
    _read = _seen = 0

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        count = self._raw.readinto(buffer)
        now = time.monotonic()
        self._read += count or 0
        if not self._since or self._read - self._seen >= SLOWEST[0]:
            self._seen, self._since = self._read, now
        elif now - self._since > SLOWEST[1]:
            raise TimeoutError("it comes too slowly")
        if self.most is not None and self._read > self.most:
            raise http.client.HTTPException("its head has no end")
        return count

    def close(self) -> None:
        self._raw.close()
        super().close()


def trust(authorities: str | None) -> ssl.SSLContext:
    """The usual authorities and further ones, joined as in the vendor's Algorithmia/client.py.

    Args:
        authorities: the path of a file or folder, PEM text, or None.

    Raises:
        UsageError: they can't be read.
    """
    context = ssl.create_default_context()
    try:
        import certifi

        context.load_verify_locations(certifi.where())
    except ImportError:  # where nothing is installed, the system's own are there
        pass
    if not authorities:
        return context
    is_text = "-----BEGIN" in authorities
    try:
        if is_text:
            context.load_verify_locations(cadata=authorities)
        elif Path(authorities).is_dir():
            context.load_verify_locations(capath=authorities)
        else:
            context.load_verify_locations(authorities)
    except (OSError, ssl.SSLError) as error:
        named = "the certificate authorities" if is_text else authorities
        raise UsageError(f"can't read the certificates in {named}: {error}") from error
    return context


def read(response: http.client.HTTPResponse, limit: int) -> bytes:
    """The decoded body of an answer.

    Raises:
        AnswerTooLarge: it has more than `limit` bytes.
        OSError, HTTPException: it was cut off, or can't be decoded.
    """
    if response.length is not None and response.length > limit:
        raise AnswerTooLarge
    if response.length is not None and not _encoding(response):
        return response.read()
    parts = []
    left = limit
    for part in body_parts(response):
        left -= len(part)
        if left < 0:
            raise AnswerTooLarge
        parts.append(part)
    return b"".join(parts)


def beginning(response: http.client.HTTPResponse, limit: int) -> bytes:
    """The first `limit` bytes of an answer, or those that came: its status is known, whatever its body."""
    found = b""
    with suppress(OSError, http.client.HTTPException):
        for part in body_parts(response):
            found += part
            if len(found) >= limit:
                break
    return found[:limit]


def body_parts(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """The decoded body of an answer, in parts.

    Raises:
        OSError, HTTPException: it was cut off, or can't be decoded.
    """
    encoding = _encoding(response)
    raw = _raw(response)
    if not encoding:
        return raw
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise BadEncoding(f"the answer is encoded as {encoding[:40]}, which was not asked for")
    return _inflated(raw)


def _encoding(response: http.client.HTTPResponse) -> str:
    name = (response.headers.get("Content-Encoding") or "").strip().lower()
    return "" if name == "identity" or response.length == 0 else name


def _raw(response: http.client.HTTPResponse) -> Iterator[bytes]:
    try:
        while part := response.read(PART):
            yield part
    except ValueError:
        raise BadEncoding("a chunk has less than nothing in it") from None
    if response.length:  # with a size to read, http.client takes a body that was cut off for a whole one
        raise http.client.IncompleteRead(b"", response.length)


def _inflated(raw: Iterator[bytes]) -> Iterator[bytes]:
    decoder = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        for part in raw:
            while part:
                yield decoder.decompress(part, 16 * PART)
                part = decoder.unconsumed_tail
                if decoder.eof and decoder.unused_data:
                    part, decoder = decoder.unused_data, zlib.decompressobj(_GZIP_OR_ZLIB)
        yield decoder.flush()
    except zlib.error as error:
        raise BadEncoding(f"the answer can't be decompressed: {error}") from None
    if not decoder.eof:
        raise BadEncoding("the answer can't be decompressed: it is cut off")
