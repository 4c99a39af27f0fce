"""Calls of a wrapper with nothing but Python's own library: for places where nothing else is installed.

Spark's executors and Lambda functions use it. Decides nothing; raises the client's errors.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.parse
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException

from wrapgen import wire
from wrapgen.errors import (
    BadRequest,
    NoCredentials,
    NotAuthorized,
    NotFound,
    PaymentRequired,
    PlatformError,
    ServerFault,
    Throttled,
    TooLarge,
    Unreachable,
)

COLLECTION = "data://.my/wrapgen_sideband"
"""Where bodies go that are too large for a call: the caller's own collection."""

_BY_STATUS: dict[int, type[PlatformError]] = {
    400: BadRequest,
    401: NotAuthorized,
    402: PaymentRequired,
    403: NotAuthorized,
    404: NotFound,
    413: TooLarge,
    415: BadRequest,
    422: BadRequest,
    429: Throttled,
}


@dataclass(frozen=True)
class PlainCalls:
    """One platform and one key.

    Args:
        address: base address of the platform's API, without `/v1`.
        key: the API key.
        grace: seconds that an answer may take beyond the call's own time.
    """

    address: str
    key: str
    grace: float = 30.0

    def __repr__(self) -> str:
        return f"PlainCalls({self.address!r})"

    @classmethod
    def of_environment(cls) -> PlainCalls:
        """The platform that the vendor's variables name.

        Raises:
            NoCredentials: there is no key.
        """
        address = os.environ.get("ALGORITHMIA_API") or "https://api.algorithmia.com"
        key = os.environ.get("ALGORITHMIA_API_KEY") or ""
        if not key:
            raise NoCredentials("there is no API key: ALGORITHMIA_API_KEY is not set")
        return cls(address.rstrip("/").removesuffix("/v1"), key)

    def call(self, reference: str, body: bytes, timeout: float, run: str = "") -> bytes:
        """Calls an algorithm with encoded JSON, as part of a run if one is named; the body of the 200 answer.

        Raises:
            PlatformError: of the class that fits.
        """
        path = f"/v1/algo/{urllib.parse.quote(reference)}?timeout={max(1, int(timeout))}"
        return self._ask("POST", path, body, "application/json", timeout, run)

    def fetch(self, url: str) -> bytes:
        """The file at a data or connector URL."""
        return self._ask("GET", _path(url))

    def upload(self, body: bytes) -> str:
        """Stores a body under a name of its own in the caller's collection; its URL."""
        url = f"{COLLECTION}/{uuid.uuid4().hex}.jsonl"
        try:
            self._put(url, body)
        except NotFound:
            parent, name = COLLECTION.rsplit("/", 1)
            described = json.dumps({"name": name, "acl": {"read": []}}).encode()
            with suppress(PlatformError):
                self._ask("POST", _path(parent), described, "application/json")
            self._put(url, body)
        return url

    def discard(self, url: str) -> None:
        """Removes a stored body; one that can't be removed stays, which harms nobody."""
        with suppress(PlatformError):
            self._ask("DELETE", _path(url))

    def _put(self, url: str, body: bytes) -> None:
        self._ask("PUT", _path(url), body, "application/octet-stream")

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        kind: str = "",
        timeout: float = 60.0,
        run: str = "",
    ) -> bytes:
        headers = {"Authorization": f"{'Bearer' if self.key.count('.') == 2 else 'Simple'} {self.key}"}
        if kind:
            headers["Content-Type"] = kind
        if run:
            headers[wire.RUN_HEADER] = run
        request = urllib.request.Request(self.address + path, body, headers, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(  # noqa: S310  # the address is the platform's own
                request, timeout=timeout + self.grace, context=_trust(self.address)
            ) as answer:
                found: bytes = answer.read()
                return found
        except urllib.error.HTTPError as error:
            with error:
                raise _error(f"{method} {path.partition('?')[0]}", error) from None
        except (OSError, HTTPException) as error:
            raise Unreachable(f"{self.address} does not answer: {error}") from None


def _trust(address: str) -> ssl.SSLContext | None:
    if not address.startswith("https:"):
        return None
    return ssl.create_default_context(cafile=os.environ.get("REQUESTS_CA_BUNDLE") or None)


def _path(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return "/v1/data/" + urllib.parse.quote(rest.strip("/") if scheme == "data" else url, safe="/:")


def _error(what: str, error: urllib.error.HTTPError) -> PlatformError:
    body = error.read(20_000)
    try:
        said = json.loads(body)["error"]
        message = str(said["message"] if isinstance(said, dict) else said)
    except (ValueError, TypeError, KeyError):
        message = ""
    kind = _BY_STATUS.get(error.code, ServerFault if error.code >= 500 else PlatformError)
    wait = error.headers.get("Retry-After") or ""
    return kind(
        f"{what}: {error.code}{': ' + message if message else ''}",
        status=error.code,
        retry_after=float(wait) if wait.isdigit() else None,
    )
