"""HTTP to the platform, with the address, key, certificates and proxies of the vendor's client.

The vendor's own ``pipe()`` loses status, body and ``Retry-After`` of every answer outside 2xx and has no
timeout (upstream ``Algorithmia/client.py``, ``postJsonHelper``). No policy here: what a status means is
decided by whoever asks.
"""

import base64
import collections
import http.client
import select
import socket
import ssl
import urllib.parse
import urllib.request
from typing import Any  # noqa: F401 - for the type comments

import certifi

from .exchange import receive, send

CONNECT_TIMEOUT = 10.0
READ_GRACE = 30.0
BROKEN = (BrokenPipeError, ConnectionResetError, ConnectionAbortedError)


class ConnectionFailed(Exception):
    """No whole answer came: refused, reset, cut off, or ``timed_out``."""

    def __init__(self, message, timed_out=False):
        # type: (str, bool) -> None
        super().__init__(message)
        self.timed_out = timed_out


class Transport:
    """Sends requests from any number of threads; each uses a connection of its own while it sends."""

    def __init__(self, client, key=None):
        # type: (Any, str | None) -> None
        """``client`` is the vendor's; ``key`` replaces its key (for a datastore with a writer of its own)."""
        address = urllib.parse.urlsplit(client.apiAddress)
        self._secure = address.scheme == "https"
        self._host = address.hostname
        self._port = address.port or (443 if self._secure else 80)
        self._root = address.path.rstrip("/")
        self._netloc = address.netloc.rpartition("@")[2]
        self._headers = dict(_authorization(client, key), Host=self._netloc)
        self._proxy = _proxy(client.requestSession, address)
        self._tls = _tls(client.requestSession.verify) if self._secure else None
        if self._proxy is not None and not self._secure:
            self._headers.update(self._proxy[2])
        self._idle = collections.deque()  # type: collections.deque

    def send(self, method, path, body=b"", headers=None, timeout=60.0, into=None):
        # type: (str, str, Any, dict | None, float, Any) -> Any
        """One exchange; ``path`` starts with /v1.

        ``body`` is bytes or an open file; with ``into``, a successful answer's bytes go to that open file
        piece by piece. Raises ``ConnectionFailed``. A body is never sent twice unless the first
        connection had broken before the platform can have read the whole of it.
        """
        request = (method, self._target(path), body, dict(self._headers, **(headers or {})))
        connection, answer = self._take(), None
        try:
            if connection is not None:
                answer = _exchange(connection, request, timeout, into, again=True)
            if answer is None:
                connection = self._connect()
                answer = _exchange(connection, request, timeout, into)
        except (OSError, http.client.HTTPException) as error:
            if connection is not None:
                connection.close()
            raise ConnectionFailed(_words(error), isinstance(error, socket.timeout)) from None
        if connection.sock is not None:  # else the platform wants it closed
            self._idle.append(connection)
        return answer

    def _take(self):
        """An idle connection that the platform has not closed meanwhile, or None."""
        while self._idle:
            try:
                connection = self._idle.pop()
            except IndexError:  # another thread was quicker
                return None
            if not _is_readable(connection.sock):
                return connection
            connection.close()  # readable without a question asked: the other side has hung up
        return None

    def _connect(self):
        host, port = (self._host, self._port) if self._proxy is None else self._proxy[:2]
        connection = None  # type: Any
        if self._secure:
            connection = http.client.HTTPSConnection(host, port, timeout=CONNECT_TIMEOUT, context=self._tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=CONNECT_TIMEOUT)
        if self._proxy is not None and self._secure:
            connection.set_tunnel(self._host, self._port, self._proxy[2])
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise ConnectionFailed("no connection to {}:{}: {}".format(host, port, _words(error))) from None
        return connection

    def _target(self, path):
        """What stands in the request line: a proxy without a tunnel wants the whole address."""
        if self._proxy is not None and not self._secure:
            return "http://" + self._netloc + self._root + path
        return self._root + path


def _exchange(connection, request, timeout, into, again=False):
    """Send and receive. None if it may go ``again``: it broke before all was sent, nothing can have run."""
    try:
        connection.sock.settimeout(timeout + READ_GRACE)
        send(connection.sock, *request)
    except OSError as error:
        answer = _early(connection)
        connection.close()
        if answer is None and not (again and isinstance(error, BROKEN)):
            raise
        if answer is None and hasattr(request[2], "seek"):
            request[2].seek(0)
        return answer
    return receive(connection, into)


def _early(connection):
    """What the platform answered before it had read the whole request, such as 413; None if nothing."""
    if not _is_readable(connection.sock):
        return None
    try:
        return receive(connection)
    except (OSError, http.client.HTTPException):
        return None


def _words(error):
    return "no answer in time" if isinstance(error, socket.timeout) else str(error) or type(error).__name__


def _authorization(client, key):
    # A key goes bare, as the vendor's client sends it; without any, the platform knows a running
    # algorithm by other means.
    if key or client.apiKey:
        return {"Authorization": key or client.apiKey}
    if client.bearerToken:
        return {"Authorization": "Bearer " + client.bearerToken}
    return {}


def _tls(verify):
    if verify is False:
        return ssl._create_unverified_context()  # noqa: S323 - the user told the vendor's client not to verify
    return ssl.create_default_context(cafile=certifi.where() if verify is True else str(verify))


def _proxy(session, address):
    """(host, port, headers) of the proxy that requests would use for this address, or None."""
    proxies = dict(urllib.request.getproxies()) if session.trust_env else {}
    proxies.update(session.proxies)
    url = proxies.get(address.scheme) or proxies.get("all")
    if not url or (session.trust_env and urllib.request.proxy_bypass(address.hostname)):
        return None
    parts = urllib.parse.urlsplit(url if "://" in url else "http://" + url)
    headers = {}
    if parts.username:
        login = urllib.parse.unquote("{}:{}".format(parts.username, parts.password or "")).encode("utf-8")
        headers["Proxy-Authorization"] = "Basic " + base64.b64encode(login).decode("ascii")
    return parts.hostname, parts.port or 8080, headers


def _is_readable(sock):
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])
