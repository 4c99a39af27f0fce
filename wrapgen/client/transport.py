"""Bytes to and from a platform: pool, timeouts, certificates, proxies. Knows paths, not what they mean.

Nothing is retried here but a kept connection that turned out to be closed, and only for requests that may be
repeated safely. Everything that calls a platform uses it, Spark's executors and Lambda functions too: it
needs Python's own library only.
"""

from __future__ import annotations

import http.client
import select
import socket
import ssl
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from http.client import BadStatusLine, HTTPConnection, HTTPException, HTTPResponse, UnknownProtocol
from typing import IO, Any
from urllib.parse import urlencode

from wrapgen.client import statuses
from wrapgen.client.connection import Connection, authorization
from wrapgen.client.exchange import (
    AnswerTooLarge,
    ConnectionOpener,
    NoConnection,
    beginning,
    body_parts,
    read,
)
from wrapgen.client.proxies import Proxy, proxy_url
from wrapgen.errors import OutOfResource, PlatformError, TooLarge, Unreachable, UsageError
from wrapgen.resources import resource_of

READ_TIMEOUT = 60.0
"""Seconds to wait for an answer that does not run an algorithm."""

ANSWER_LIMIT = 64 * 1024**2
"""The most bytes of an answer that are read into memory; a platform's own cap is 15 MB."""

ERROR_LIMIT = 65_536
"""The most bytes of an answer outside 2xx that are read; its message is at the start."""

HIDDEN = 8
"""The fewest characters of a key that is looked for in answers: shorter ones are in ordinary words."""

REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
"""Methods that may be sent again when a kept connection was closed under them."""

_CLOSED = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError)

Body = bytes | IO[bytes] | None


class Transport:
    """A pool of connections to one platform. Safe to share between threads.

    Args:
        connection: where to and with which key.
        pool: connections kept open; more are opened when needed and closed after use.
    """

    def __init__(self, connection: Connection, *, pool: int) -> None:
        self.connection = connection
        url = proxy_url(connection.address, connection.proxy)
        proxy = Proxy.parse(url) if url else None
        self._connector = ConnectionOpener(connection.address, proxy, connection.ca_cert)
        self._idle: deque[HTTPConnection] = deque()
        self._pool = pool

    def close(self) -> None:
        """Closes the kept connections."""
        while self._idle:
            self._idle.pop().close()

    def request(self, method: str, path: str, **options: Any) -> bytes:
        """As `exchange`, but for the content type."""
        return self.exchange(method, path, **options)[0]

    def exchange(
        self,
        method: str,
        path: str,
        *,
        body: Body = None,
        content_type: str | None = None,
        query: Mapping[str, Any] | None = None,
        timeout: float = READ_TIMEOUT,
        key: str | None = None,
        headers: Mapping[str, str] | None = None,
        limit: int = ANSWER_LIMIT,
    ) -> tuple[bytes, str]:
        """One exchange; returns the decoded body of a 2xx answer, and its content type.

        Args:
            method, path: such as GET and `/v1/algorithms/acme/A`; the path is already percent-encoded.
            body: bytes, or an open file that is streamed.
            content_type: of the body.
            query: parameters; those that are None are left out.
            timeout: seconds to wait for the answer.
            key: another key than the connection's, such as the admin key.
            headers: further ones.
            limit: bytes that the answer may have.

        Raises:
            PlatformError: of the class that fits the answer, Unreachable when none came, TooLarge when it has
                more bytes than `limit`.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        target = path + (f"?{urlencode(given)}" if given else "")
        sent = {**(headers or {}), **self._headers(key)}
        if content_type:
            sent["Content-Type"] = content_type
        with self._answer(method, path, target, body, sent, timeout) as response:
            try:
                return read(response, limit), response.headers.get("Content-Type") or ""
            except AnswerTooLarge:
                raise TooLarge(
                    f"{method} {path}: the answer has more than {limit:,} bytes", hint="ask for less at once"
                ) from None
            except (OSError, HTTPException) as error:
                raise self._unreachable(f"{method} {path}", error) from error

    def json(self, method: str, path: str, **options: Any) -> Any:
        """As `request`, with the answer parsed; an empty body is None.

        Raises:
            PlatformError: as `request`, or the body reports an error or is not JSON.
        """
        body = self.hidden(self.request(method, path, **options), options.get("key"))
        return statuses.read_object(f"{method} {path}", body) if body else None

    @contextmanager
    def stream(self, path: str, *, timeout: float = READ_TIMEOUT) -> Iterator[Iterator[bytes]]:
        """The body of a GET in parts, for as long as the context is open.

        Raises:
            PlatformError: as `request`; Unreachable also while reading, when the body is cut off.
        """
        with self._answer("GET", path, path, None, self._headers(), timeout) as response:
            yield self._parts(f"GET {path}", response)

    def _parts(self, what: str, response: HTTPResponse) -> Iterator[bytes]:
        try:
            yield from body_parts(response)
        except (OSError, HTTPException) as error:
            raise self._unreachable(what, error) from error

    def hidden(self, content: bytes, key: str | None = None) -> bytes:
        """What came back without the key, for messages: the other side has seen it, and may repeat it.

        Args:
            content: what came back.
            key: that was sent; None: the connection's.
        """
        sent = (self.connection.key if key is None else key).encode("utf-8", "replace")
        return content.replace(sent, b"***") if len(sent) >= HIDDEN else content

    def _headers(self, key: str | None = None) -> dict[str, str]:
        own, key = {"Accept-Encoding": "identity"}, key or self.connection.key
        if key or not self.connection.bearer:  # a service may be open to everyone
            own["Authorization"] = authorization(key, bearer=self.connection.bearer)
        return {**self._connector.headers, **own}

    @contextmanager
    def _answer(
        self, method: str, path: str, target: str, body: Body, headers: dict[str, str], timeout: float
    ) -> Iterator[HTTPResponse]:
        """A 2xx answer whose body is not read yet."""
        what = f"{method} {path}"
        try:
            connection, response = self._exchange(method, target, body, headers, timeout)
        except (OSError, HTTPException) as error:
            raise self._unreachable(what, error) from error
        try:
            if not 200 <= response.status < 300:
                key = headers.get("Authorization", "").rpartition(" ")[2]
                content = self.hidden(beginning(response, ERROR_LIMIT), key)
                told = Message()
                for name, value in response.headers.items():
                    told[name] = self.hidden(value.encode(), key).decode()
                raise statuses.error_of(what, response.status, told, content)
            yield response
        finally:
            self._release(connection, response)

    def _exchange(
        self, method: str, target: str, body: Body, headers: dict[str, str], timeout: float
    ) -> tuple[HTTPConnection, HTTPResponse]:
        connection = self._kept() or self._connector.open()
        try:
            return connection, self._send(connection, method, target, body, headers, timeout)
        except _CLOSED:
            if method not in REPEATABLE or not (body is None or isinstance(body, bytes)):
                raise
        connection = self._connector.open()
        return connection, self._send(connection, method, target, body, headers, timeout)

    def _send(
        self,
        connection: HTTPConnection,
        method: str,
        target: str,
        body: Body,
        headers: dict[str, str],
        timeout: float,
    ) -> HTTPResponse:
        try:
            connection.sock.settimeout(timeout)
            try:
                connection.request(method, self._connector.root + target, body, headers)
            except (BrokenPipeError, ConnectionResetError):
                # It may have answered before it had read the whole request, such as with 413.
                if not _is_readable(connection.sock):
                    raise
            return connection.getresponse()
        except ValueError:
            connection.close()
            raise UsageError(
                "the API key has characters that can't be sent", hint="copy the key again"
            ) from None
        except BaseException:
            connection.close()
            raise

    def _kept(self) -> HTTPConnection | None:
        """A kept connection that the platform has not closed since, or None."""
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # readable without a question asked: the other side has hung up

    def _release(self, connection: HTTPConnection, response: HTTPResponse) -> None:
        """Keeps a connection whose answer was read to its end; an unread rest would be the next answer."""
        if response.isclosed() and connection.sock is not None and len(self._idle) < self._pool:
            self._idle.append(connection)
        else:
            response.close()
            connection.close()

    def _unreachable(self, what: str, error: Exception) -> PlatformError:
        address = self.connection.address
        if resource := resource_of(error):
            raise OutOfResource(resource) from error
        if isinstance(error, NoConnection):
            home, source = self.connection.home, self.connection.source
            hint = f"start it with: wrapgen serve --home {home}" if home else f"it was named by {source}"
            return Unreachable(f"{address} does not answer: {error}", hint=hint)
        if isinstance(error, ssl.SSLError):
            return PlatformError(
                f"{address} could not be trusted: {error}",
                hint="name the cluster's certificate authority in REQUESTS_CA_BUNDLE or in the profile",
            )
        if isinstance(error, TimeoutError):
            return Unreachable(f"{what}: no answer in time")
        cause = str(error) or type(error).__name__
        if isinstance(error, (BadStatusLine, UnknownProtocol)) and not isinstance(error, OSError):
            cause = "it is no HTTP"  # in no words of the other side, which has seen the key
        return Unreachable(f"{what}: the answer was cut off ({cause})")


def _is_readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
