"""Items read from a URL and results written to one, with the caller's rights alone.

A file of items is JSON Lines, which are read one by one, or one JSON array, read whole; gzipped or not.
"""

from __future__ import annotations

import codecs
import contextlib
import gzip
import json
import tempfile
import uuid
import zlib
from typing import IO, TYPE_CHECKING, Any, Callable, Iterable, Iterator

from . import protocol
from .exchange import ConnectionFailed, Request, Server
from .protocol import Failure, InputError, Unavailable, whole_number

if TYPE_CHECKING:
    from .platform import DataApi

RIGHTS = "X-Algorithm-Rights"  # a header: with "caller", the rights of the wrapper's owner do not count
LARGEST = 64 * 1024 * 1024  # bytes that one line may have
LARGEST_ARRAY = 512 * 1024 * 1024
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, RecursionError)  # no UTF-8, no JSON, no gzip


class Files:
    """Files of items and results."""

    def __init__(
        self, wrapper: str, private: Iterable[str] = (), connect: Callable[[], Server] | None = None
    ) -> None:
        """``wrapper`` is owner and name; what is in a ``private`` place is neither read nor written.

        ``connect`` opens a platform other than the vendor's client would.
        """
        self._connect = connect
        self._wrapper = wrapper
        self._private = [parts_of(url) for url in private]
        self._opened: DataApi | None = None
        self._drops_rights = False  # whether this platform is known to drop the owner's rights where asked

    def read(self, request: protocol.Request, deadline: Any) -> Iterator[Any]:
        """Yields the items of a file, a malformed line as ``InputError``. Raises ``Failure``, before any."""
        url = request.source or ""
        with tempfile.TemporaryFile() as file:
            self._send(Request("GET", url, into=file), "$batch can't be read", deadline, deadline.left)
            file.seek(0)
            opened: Any = gzip.GzipFile(fileobj=file) if file.read(2) == b"\x1f\x8b" else file
            file.seek(0)
            try:
                request.check_count(sum(1 for _ in read_items(opened, url.endswith(LINES))))
                yield from read_items(opened, url.endswith(LINES))
            except UNREADABLE as error:
                raise InputError(f"$batch at {url} can't be read: {error}") from None

    def write(self, url: str | None, lines: Iterable[bytes], deadline: Any) -> str:
        """Store results as JSON Lines, for None at a temporary place; returns the URL. Raises ``Failure``."""
        place = url or f"data://.algo/{self._wrapper}/temp/{uuid.uuid4().hex}.jsonl"
        with tempfile.TemporaryFile() as file:
            if place.endswith(".gz"):
                with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as zipped:
                    zipped.writelines(lines)
            else:
                file.writelines(lines)
            what = "the results can't be written"
            self._send(Request("PUT", place, file), what, deadline, deadline.left_to_answer)
        return place

    def require_owner(self) -> None:
        """Refuse callers who do not act for the wrapper's owner. Raises ``InputError``."""
        try:
            listing = json.loads(self._api.send(Request("GET", "data://", headers={RIGHTS: "caller"})).body)
            names = [folder["name"].lower() for folder in listing["folders"]]
        except (Unavailable, ValueError, TypeError, LookupError, AttributeError):
            names = []
        if self._wrapper.partition("/")[0].lower() not in names:
            raise InputError("$trial, of which nothing is recorded, is for this wrapper's owner")

    @property
    def _api(self) -> DataApi:
        """The platform's, imported and connected to when a file is first asked for."""
        if self._opened is None:
            from . import platform

            self._opened = platform.DataApi((self._connect or platform.connect)())
        return self._opened

    def _send(self, request: Request, what: str, deadline: Any, left: Callable[[], float]) -> None:
        """One file, again while the platform is unavailable and there is time."""
        request = request._replace(headers=self._headers(request.path))
        try:
            deadline.retry(
                lambda: self._api.send(request._replace(timeout=max(1.0, left()))),
                min(deadline.left_to_record(), left()),
            )
        except Unavailable as error:
            kind = "InputError" if error.lasting else "TimeoutError" if error.timed_out else "ConnectionError"
            raise Failure(kind, f"{what}: {error}", not error.lasting) from None

    def _headers(self, url: str) -> dict[str, str]:
        """The header by which the owner's rights are dropped. Raises ``InputError`` for what needs them."""
        parts, owner = parts_of(url), self._wrapper.partition("/")[0].lower()
        if parts[:2] == ["data:", ".algo"]:
            return {}
        if ".." in parts or any(parts[: len(private)] == private for private in self._private):
            message = "is not for items or results: it is where this wrapper keeps records or keys"
            raise InputError(f"{url} {message}")
        if parts[:2] == ["data:", owner] and not self._drops_rights:
            with contextlib.suppress(ConnectionFailed):
                answer = self._api.ask(Request("HEAD", url, headers={RIGHTS: "caller"}))
                self._drops_rights = RIGHTS in answer.headers
            if not self._drops_rights:
                raise InputError(f"{url} belongs to this wrapper's owner, whose rights are not the caller's")
        return {RIGHTS: "caller"}


def parts_of(url: str) -> list[str]:
    """The parts of a URL, by which one is compared with a folder that it may be in."""
    return [part for part in url.lower().split("/") if part not in ("", ".")]


def read_items(file: IO[bytes], is_lines: bool) -> Iterator[Any]:
    """Yields the values of JSON Lines, a bad one as ``InputError``, or of an array. Raises ``ValueError``.

    With ``[`` an array begins, unless the first line is a whole value and others follow, or it ``is_lines``.
    """
    file.seek(0)
    start = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
    file.seek(start)
    lines = _lines(file)
    first = next(lines, b"")
    if not first.lstrip().startswith(b"["):
        is_lines = True
    elif not is_lines:
        is_lines = not isinstance(_value(first), InputError) and next(lines, b"") != b""
    file.seek(start)
    if is_lines:
        yield from map(_value, _lines(file))
        return
    text = file.read(LARGEST_ARRAY + 1)
    if len(text) > LARGEST_ARRAY:
        raise ValueError("the JSON array has more than 512 MiB; write JSON Lines")
    try:
        yield from json.loads(text.decode("utf-8"), parse_int=whole_number)
    except json.JSONDecodeError as error:
        raise ValueError(f"the JSON array is malformed or cut off: {error}") from None


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    """The lines that are not blank; of one that is longer than any item may be, its beginning."""
    for line in iter(lambda: file.readline(LARGEST), b""):
        if line.strip():
            yield line
        while len(line) == LARGEST and not line.endswith(b"\n"):
            line = file.readline(LARGEST)


def _value(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return InputError(f"this line is not JSON: {error}")
