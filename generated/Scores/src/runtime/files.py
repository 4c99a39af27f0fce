"""Items read from a URL and results written to one, with the caller's rights alone."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import uuid
import zlib
from typing import TYPE_CHECKING, Any, Callable, Iterable

from .exchange import Server
from .protocol import Failure, InputError, read_json

if TYPE_CHECKING:
    from .platform import DataApi

RIGHTS = "X-Algorithm-Rights"  # a header: with "caller", the rights of the wrapper's owner do not count
LARGEST = 512 * 1024 * 1024  # bytes that a file of items may have, unpacked
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, RecursionError)  # no UTF-8, no JSON, no gzip


class Files:
    """Files of items and results."""

    def __init__(
        self, wrapper: str, private: Iterable[str] = (), connect: Callable[[], Server] | None = None
    ) -> None:
        """``wrapper`` is owner and name; what is in a ``private`` place is neither read nor written."""
        self._wrapper, self._owner = wrapper, wrapper.partition("/")[0].lower()
        self._private = [parts_of(url) for url in private]
        self._connect = connect
        self._opened: DataApi | None = None
        self._drops_rights = False  # whether this platform is known to drop the owner's rights where asked

    def read(self, url: str, deadline: Any) -> list[Any]:
        """The items of a file, gzipped or not; a malformed line is an ``InputError``. Raises ``Failure``."""
        body = self._send("GET", url, b"", "$batch can't be read", deadline, deadline.left)
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
        if place.endswith(".gz"):
            body = gzip.compress(body)
        self._send("PUT", place, body, "the results can't be written", deadline, deadline.left_to_answer)
        return place

    def require_owner(self) -> None:
        """Refuse callers who do not act for the wrapper's owner. Raises ``InputError``."""
        names = []
        with contextlib.suppress(Failure, ValueError, TypeError, LookupError, AttributeError):
            listing = json.loads(self._api.send("GET", "data://", headers={RIGHTS: "caller"}).body)
            names = [folder["name"].lower() for folder in listing["folders"]]
        if self._owner not in names:
            raise InputError("$trial, of which nothing is recorded, is for this wrapper's owner")

    @property
    def _api(self) -> DataApi:
        """The platform's, imported and connected to when a file is first asked for."""
        if self._opened is None:
            from . import platform

            self._opened = platform.DataApi((self._connect or platform.connect)(), LARGEST)
        return self._opened

    def _send(
        self, method: str, url: str, body: bytes, what: str, deadline: Any, left: Callable[[], float]
    ) -> bytes:
        """One file, again while the platform is unavailable and there is time."""
        headers = self._headers(url)
        try:
            return deadline.retry(
                lambda: self._api.send(method, url, body, headers, max(1.0, left())).body, left()
            )
        except Failure as failure:
            raise Failure(failure.error_type, f"{what}: {failure}", failure.retryable) from None

    def _headers(self, url: str) -> dict[str, str]:
        """The header by which the owner's rights are dropped. Raises ``InputError`` for what needs them."""
        parts = parts_of(url)
        if parts[:2] == ["data:", ".algo"]:
            return {}
        if ".." in parts or any(parts[: len(private)] == private for private in self._private):
            message = "is not for items or results: it is where this wrapper keeps records or keys"
            raise InputError(f"{url} {message}")
        if parts[:2] == ["data:", self._owner] and not self._drops_rights:
            with contextlib.suppress(Failure):
                self._drops_rights = RIGHTS in self._api.send("HEAD", url, headers={RIGHTS: "caller"}).headers
            if not self._drops_rights:
                raise InputError(f"{url} belongs to this wrapper's owner, whose rights are not the caller's")
        return {RIGHTS: "caller"}


def parts_of(url: str) -> list[str]:
    """The parts of a URL, by which one is compared with a folder that it may be in."""
    return [part for part in url.lower().split("/") if part not in ("", ".")]


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
