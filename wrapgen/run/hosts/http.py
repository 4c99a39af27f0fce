"""A wrapper that is served at a URL of its own, by `serve.py` of `wrapgen build --serve`: no platform."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from wrapgen import protocol
from wrapgen.client import statuses
from wrapgen.client.connection import Connection, ca_bundle
from wrapgen.client.transport import Transport
from wrapgen.errors import AlgorithmFailed, NotAuthorized, PlatformError, UsageError
from wrapgen.references import split_url
from wrapgen.run.hosts.description import DESCRIBE, DESCRIBE_SECONDS, Description, read_description
from wrapgen.run.hosts.failures import CALL_ERRORS, fault_of_type, lost_by, platform_answer
from wrapgen.run.scheduling.replies import Lost

TOKEN = "WRAPPER_TOKEN"  # noqa: S105 - the variable's name
"""The variable that holds the token of a served wrapper, here and there."""

_OWN_STATUSES = frozenset({400, 413, 422, 500, 502, 503, 504})
"""Statuses with which a served wrapper says that a call failed; its error's type says how."""


def service_at(url: str, token: str | None = None, environ: Mapping[str, str] = os.environ) -> Connection:
    """Where a served wrapper is, and the token for it.

    Args:
        url: with or without a path, such as `http://host:8080/`.
        token: None takes that of the variable `TOKEN`; without one, requests carry none.
        environ: this process's variables.

    Raises:
        UsageError: it is no such URL.
    """
    parts = split_url(url)
    if not parts.hostname:
        raise UsageError(f"not the URL of a wrapper: {url!r}", hint="write for example http://host:8080/")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise UsageError(
            "the URL of a wrapper has no user name, password, query or fragment",
            hint=f"put the wrapper's token into the variable {TOKEN}",
        )
    key = environ.get(TOKEN, "") if token is None else token
    return Connection(url.rstrip("/"), key.strip(), "its URL", ca_cert=ca_bundle(environ), bearer=True)


class HttpHost:
    """A served wrapper; see `Host`.

    Args:
        connection: as `service_at` makes it.
        pool: connections that are kept open.
    """

    sideband = None

    def __init__(self, connection: Connection, *, pool: int = 8) -> None:
        self.address = connection.address
        self._transport = Transport(connection, pool=pool)
        self._description: Description | None = None

    @property
    def reference(self) -> str:
        """The wrapper's name, once it has described itself; else where it is."""
        name = self._description.name if self._description else ""
        return f"{name}/served" if name else self.address

    @property
    def concurrency(self) -> int | None:
        """Calls that it takes at once, as it said; beyond them it would have calls wait, or refuse them."""
        return self._description.calls if self._description else None

    def answer(self, body: bytes, timeout: float, content_type: str) -> protocol.Answer:
        """The result of one call with an input of any kind, as `wrapgen call` makes it.

        Args:
            body: the encoded input.
            timeout: seconds that the call may take.
            content_type: of the body.

        Raises:
            AlgorithmFailed: the wrapper answered with an error.
            PlatformError, UsageError: of the class that fits.
        """
        try:
            found, kind = self._send(body, timeout, content_type)
        except PlatformError as error:
            if _is_own(error):
                raise AlgorithmFailed(error.message, error_type=str(error.error_type)) from None
            raise
        if kind == "application/octet-stream":
            return protocol.Answer(found, {"content_type": "binary"})
        try:
            return protocol.Answer(json.loads(found), {"content_type": "json"})
        except (ValueError, RecursionError) as error:
            raise statuses.not_json(f"calling {self.address}", found) from error

    def _send(self, body: bytes, timeout: float, kind: str = "application/json") -> tuple[bytes, str]:
        seconds = timeout + protocol.TIMEOUT_MARGIN
        try:
            found, kind = self._transport.exchange("POST", "/", body=body, content_type=kind, timeout=seconds)
            is_result = kind == "application/octet-stream" or found[:1] in (b"[", b"{", b'"')
            return (found if is_result else self._transport.hidden(found)), kind
        except NotAuthorized as error:
            error.hint = f"put the wrapper's token into the variable {TOKEN}, or name another with --key-env"
            raise

    def call(self, body: bytes, timeout: float) -> bytes | Lost:
        """One call of the wrapper; see `Host`."""
        try:
            return self._enveloped(body, timeout)
        except CALL_ERRORS as error:
            if isinstance(error, PlatformError) and _is_own(error):
                kind = str(error.error_type)
                return Lost(fault_of_type(kind), kind, error.message, error.retry_after)
            return lost_by(error)

    def _enveloped(self, body: bytes, timeout: float) -> bytes:
        """The answer as a platform would give it."""
        return b'{"result":%b}' % platform_answer(self._send(body, timeout)[0])

    def describe(self) -> Description:
        """What the wrapper says of itself; see `Host`."""
        if self._description is None:
            self._description = read_description(self._enveloped(DESCRIBE, DESCRIBE_SECONDS), self.address)
        return self._description

    def in_run(self, run: str) -> HttpHost:
        """Itself: each call's body names the run."""
        del run
        return self

    def close(self) -> None:
        """Closes the kept connections."""
        self._transport.close()


def _is_own(error: PlatformError) -> bool:
    """Whether a served wrapper said so itself: its error's type counts then, and not the status."""
    return bool(error.error_type) and error.status in _OWN_STATUSES
