"""Files on the platform, by URL: items read from one and results written to one, with the caller's rights."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import urllib.parse
import uuid
import zlib
from typing import Any, Callable, Iterable

from . import platform
from .connection import Response, Server
from .exchange import Transport
from .protocol import Failure, InputError, read_json

RIGHTS = "X-Algorithm-Rights"
AS_CALLER = {RIGHTS: "caller"}  # a header: the rights of the wrapper's owner do not count
LARGEST = 512 * 1024 * 1024  # bytes that a file of items may have, unpacked
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, RecursionError)  # no UTF-8, no JSON, no gzip


class DataApi:
    """Reads and writes files: ``data://owner/collection/file`` or a connector's, ``s3://bucket/file``."""

    def __init__(self, server: Server) -> None:
        self._transport = Transport(server, LARGEST)

    def send(
        self, method: str, url: str, body: bytes = b"", headers: Any = None, seconds: float = 120.0
    ) -> Response:
        """GET or PUT a file, POST to a folder; HEAD always answers. Raises ``Failure`` if not done."""
        scheme, _, rest = url.partition("://")
        root = "/v1/data/" if scheme == "data" else f"/v1/connector/{scheme}/"
        path = root + urllib.parse.quote(rest.strip("/"), safe="/")
        headers = {"Content-Type": "application/octet-stream", **(headers or {})}
        try:
            response = self._transport.send(method, path, body, headers, seconds)
        except Failure as failure:
            raise Failure(failure.error_type, f"{url}: {failure}", True) from None
        status, is_done = response.status, 200 <= response.status < 300
        # 200 may tell of an error where something is written; where it is read, the body is the file's.
        reported = None if is_done and method == "GET" else platform.reported_error(response)
        if method != "HEAD" and (reported or not is_done):
            message = reported[1] if reported else response.headers.get("X-Error-Message", "")
            lasting = 300 <= status < 500 and status not in (408, 409, 425, 429)
            kind = "InputError" if lasting else "ConnectionError"
            refused = Failure(kind, f"{url}: status {status} {message}".strip(), not lasting)
            refused.status = status
            raise refused
        return response


class Files:
    """Files of items and results."""

    def __init__(
        self, wrapper: str, private: Iterable[str] = (), connect: Callable[[], Server] | None = None
    ) -> None:
        """``wrapper`` is owner and name; what is in a ``private`` place is neither read nor written."""
        self._wrapper = wrapper
        self._owners = _place(f"data://{wrapper.partition('/')[0]}")
        self._private = tuple(map(_place, private))
        self._connect = connect
        self._opened: DataApi | None = None
        self._drops_rights = False  # whether this platform is known to drop the owner's rights where asked

    def read(self, url: str, deadline: Any) -> list[Any]:
        """The items of a file, gzipped or not; a malformed line is an ``InputError``. Raises ``Failure``."""
        body = self._send("GET", url, b"", deadline, deadline.left)
        try:
            if body[:2] == b"\x1f\x8b":
                body = gzip.GzipFile(fileobj=io.BytesIO(body)).read(LARGEST + 1)
            return read_items(body, url.endswith(LINES))
        except UNREADABLE as error:
            raise InputError(f"$batch at {url} can't be read: {error}") from None

    def write(self, url: str | None, lines: Iterable[str], deadline: Any) -> str:
        """Store results as JSON Lines, for None at a temporary place; returns the URL. Raises ``Failure``."""
        place = url or f"data://.algo/{self._wrapper}/temp/{uuid.uuid4().hex}.jsonl"
        body = "".join(f"{line}\n" for line in lines).encode("ascii")
        body = gzip.compress(body) if place.endswith(".gz") else body
        self._send("PUT", place, body, deadline, deadline.left_to_answer)
        return place

    def require_owner(self) -> None:
        """Refuse callers who do not act for the wrapper's owner. Raises ``InputError``."""
        places = []
        with contextlib.suppress(Failure, ValueError, TypeError, LookupError, AttributeError):
            listing = json.loads(self._api().send("GET", "data://", headers=AS_CALLER).body)
            places = [_place("data://" + folder["name"]) for folder in listing["folders"]]
        if self._owners not in places:
            raise InputError("$trial, of which nothing is recorded, is for this wrapper's owner")

    def _api(self) -> DataApi:
        """The platform's, connected to when a file is first asked for."""
        self._opened = self._opened or DataApi((self._connect or platform.connect)())
        return self._opened

    def _send(self, method: str, url: str, body: bytes, deadline: Any, left: Callable[[], float]) -> bytes:
        """One file, again while the platform is unavailable and there is time."""
        headers = self._headers(url, left())
        try:
            return deadline.retry(
                lambda: self._api().send(method, url, body, headers, max(1.0, left())).body, left()
            )
        except Failure as failure:
            what = "$batch can't be read" if method == "GET" else "the results can't be written"
            raise Failure(failure.error_type, f"{what}: {failure}", failure.retryable) from None

    def _headers(self, url: str, seconds: float) -> dict[str, str]:
        """The header by which the owner's rights are dropped. Raises ``InputError`` for what needs them."""
        place = _place(url)
        if "/../" in place or place.startswith(self._private):
            message = "is not for items or results: it is where this wrapper keeps records or keys"
            raise InputError(f"{url} {message}")
        if place.startswith("data:/.algo/"):
            return {}
        if place.startswith(self._owners) and not self._drops_rights:
            with contextlib.suppress(Failure):
                answer = self._api().send("HEAD", url, headers=AS_CALLER, seconds=max(1.0, seconds))
                self._drops_rights = RIGHTS in answer.headers
            if not self._drops_rights:
                raise InputError(f"{url} belongs to this wrapper's owner, whose rights are not the caller's")
        return AS_CALLER


def _place(url: str) -> str:
    """A URL in the one spelling by which it is compared with a folder that it may be in."""
    return "".join(f"{part}/" for part in url.lower().split("/") if part not in ("", "."))


def read_items(body: bytes, is_lines: bool) -> list[Any]:
    """The values of JSON Lines, a bad one as ``InputError``, or of one array. Raises ``ValueError``.

    With ``[`` an array begins, unless the first line is a whole value and others follow, or it ``is_lines``.
    """
    if len(body) > LARGEST:
        raise ValueError(f"it has more than {LARGEST} bytes")
    body = body[3:] if body[:3] == b"\xef\xbb\xbf" else body
    lines = [line for line in body.split(b"\n") if line.strip()]
    is_array = bool(lines) and lines[0].lstrip()[:1] == b"[" and not is_lines
    if is_array and (len(lines) == 1 or isinstance(_value(lines[0]), InputError)):
        try:
            return list(read_json(body.decode("utf-8")))
        except json.JSONDecodeError as error:
            raise ValueError(f"the JSON array is malformed or cut off: {error}") from None
    return [_value(line) for line in lines]


def _value(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return InputError(f"this line is not JSON: {error}")
