"""Bytes to and from a platform: pool, timeouts, certificates, proxies. Knows paths, not what they mean.

Nothing is retried here but a kept connection that turned out to be closed, and only for requests that may be
repeated safely. Redirects are not followed: a key goes to the address it was meant for and nowhere else.
"""

from __future__ import annotations

import functools
import http.client
import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from ipaddress import ip_address
from typing import IO, Any
from urllib.parse import unquote, urlencode, urlsplit

import certifi
import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)
from urllib3.response import BaseHTTPResponse

from wrapgen.client import answers
from wrapgen.client.connection import Connection, authorization
from wrapgen.errors import PlatformError, Unreachable, UsageError

CONNECT_TIMEOUT = 10.0
"""Seconds to wait for a connection."""

READ_TIMEOUT = 60.0
"""Seconds to wait for an answer that does not run an algorithm."""

REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
"""Methods that may be sent again when a kept connection was closed under them."""

Body = bytes | IO[bytes] | None


class Transport:
    """A pool of connections to one platform. Safe to share between threads.

    Args:
        connection: where to and with which key.
        pool: connections kept open; more are opened when needed and closed after use.
    """

    def __init__(self, connection: Connection, *, pool: int) -> None:
        self.connection = connection
        self._pool = _manager(connection, pool)

    def close(self) -> None:
        """Closes the kept connections."""
        self._pool.clear()

    def request(
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
    ) -> bytes:
        """One exchange; returns the body of a 2xx answer.

        Args:
            method, path: such as GET and `/v1/algorithms/acme/A`; the path is already percent-encoded.
            body: bytes, or an open file that is streamed.
            content_type: of the body.
            query: parameters; those that are None are left out.
            timeout: seconds to wait for the answer.
            key: another key than the connection's, such as the admin key.
            headers: further ones.

        Raises:
            PlatformError: of the class that fits the answer, or Unreachable when none came.
        """
        more = dict(headers or {})
        response = self._send(method, path, body, content_type, query, timeout, key, more, stream=False)
        if not 200 <= response.status < 300:
            raise answers.error_of(f"{method} {path}", response.status, response.headers, response.data)
        return response.data

    def json(self, method: str, path: str, **options: Any) -> Any:
        """As `request`, with the answer parsed; an empty body is None.

        Raises:
            PlatformError: as `request`, or the body reports an error or is not JSON.
        """
        body = self.request(method, path, **options)
        return answers.read_object(f"{method} {path}", body) if body else None

    @contextmanager
    def stream(self, path: str, *, timeout: float = READ_TIMEOUT) -> Iterator[Iterator[bytes]]:
        """The body of a GET piece by piece, for as long as the context is open.

        Raises:
            PlatformError: as `request`; Unreachable also while reading, when the body is cut off.
        """
        response = self._send("GET", path, None, None, None, timeout, None, {}, stream=True)
        try:
            if response.status != 200:
                raise answers.error_of(f"GET {path}", response.status, response.headers, response.read())
            yield self._pieces(path, response)
        finally:
            # An unread rest would be taken for the next answer on this connection.
            response.close()
            response.release_conn()

    def _pieces(self, path: str, response: BaseHTTPResponse) -> Iterator[bytes]:
        try:
            yield from response.stream(65_536)
        except HTTPError as error:
            raise self._unreachable(f"GET {path}", error) from error

    def _send(
        self,
        method: str,
        path: str,
        body: Body,
        content_type: str | None,
        query: Mapping[str, Any] | None,
        timeout: float,
        key: str | None,
        more: dict[str, str],
        *,
        stream: bool,
    ) -> BaseHTTPResponse:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = self.connection.address + path + (f"?{urlencode(given)}" if given else "")
        own = {"Authorization": authorization(key or self.connection.key), "Accept-Encoding": "identity"}
        headers = {**more, **own}
        if content_type:
            headers["Content-Type"] = content_type
        send = functools.partial(
            self._pool.request,
            method,
            url,
            body=body,
            headers=headers,
            retries=False,
            redirect=False,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
            preload_content=not stream,
        )
        try:
            try:
                return send()
            except ProtocolError as error:
                repeatable = method in REPEATABLE and (body is None or isinstance(body, bytes))
                if not (repeatable and _was_stale(error)):
                    raise
                return send()
        except HTTPError as error:
            raise self._unreachable(f"{method} {path}", error) from error

    def _unreachable(self, what: str, error: HTTPError) -> PlatformError:
        address = self.connection.address
        if isinstance(error, SSLError):
            return PlatformError(
                f"{address} could not be trusted: {error}",
                hint="name the cluster's certificate authority in REQUESTS_CA_BUNDLE or in the profile",
            )
        if isinstance(error, (NewConnectionError, NameResolutionError)):
            home, source = self.connection.home, self.connection.source
            hint = f"start it with: wrapgen serve --home {home}" if home else f"it was named by {source}"
            return Unreachable(f"{address} does not answer: no connection", hint=hint)
        if isinstance(error, ConnectTimeoutError):
            return Unreachable(f"{address} does not answer: no connection within {CONNECT_TIMEOUT:g} s")
        if isinstance(error, ReadTimeoutError):
            return Unreachable(f"{what}: no answer in time")
        return Unreachable(f"{what}: the answer was cut off ({_cause(error)})")


def _was_stale(error: ProtocolError) -> bool:
    """Whether the other side had closed the connection before it answered anything."""
    cause = error.args[1] if len(error.args) > 1 else None
    return isinstance(cause, (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError))


def _cause(error: HTTPError) -> str:
    cause = error.args[1] if len(error.args) > 1 else error
    return str(cause) or type(cause).__name__


def _manager(connection: Connection, pool: int) -> urllib3.PoolManager:
    options: dict[str, Any] = {"maxsize": pool, "block": False}
    if connection.address.startswith("https:"):
        options["ssl_context"] = _trust(connection.ca_cert)
    proxy = _proxy(connection.address)
    if proxy is None:
        return urllib3.PoolManager(num_pools=1, **options)
    parts = urlsplit(proxy)
    headers = {}
    if parts.username:
        secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers = urllib3.make_headers(proxy_basic_auth=secret)
    return urllib3.ProxyManager(proxy, num_pools=1, proxy_headers=headers, **options)


def _trust(ca_cert: str | None) -> ssl.SSLContext:
    """The usual authorities and those of `ca_cert`, joined as in the vendor's Algorithmia/client.py."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    if ca_cert:
        try:
            context.load_verify_locations(ca_cert)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"can't read the certificates in {ca_cert}: {error}") from error
    return context


def _proxy(address: str) -> str | None:
    """The proxy that the usual variables name for this address; none for this machine itself."""
    parts = urlsplit(address)
    if is_loopback(address) or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    return urllib.request.getproxies().get(parts.scheme)


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
