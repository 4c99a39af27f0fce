"""Items read from a URL and results written to one, with the caller's rights alone.

A file of items is JSON Lines or one JSON array, gzipped or not; it is read piece by piece from disk.
"""

from __future__ import annotations

import codecs
import gzip
import json
import math
import tempfile
import time
import uuid
import zlib
from typing import IO, Any, Iterable, Iterator

from .deadline import Deadline
from .platform import RIGHTS, DataApi, DataFailed
from .protocol import MAX_DIGITS, Failure, InputError, Request
from .transport import Server

BLOCK = 65536  # bytes read at once
LARGEST = 64 * 1024 * 1024  # bytes that one item may have
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
SPACE = " \t\r\n"
AFTER = frozenset(SPACE + ",]")  # a value is whole when one of these follows: 12 could be 12.5
MALFORMED = "the JSON array is malformed or cut off, or something follows it"
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, RecursionError)  # no UTF-8, no JSON, no gzip


class Files:
    """Files of items and results."""

    def __init__(self, server: Server, wrapper: str, private: Iterable[str] = ()) -> None:
        """``wrapper`` is owner and name; what is in a ``private`` place is neither read nor written."""
        self._data_api = DataApi(server)
        self._wrapper = wrapper
        self._private = [parts_of(url) for url in private]
        self._drops_rights = False  # whether this platform is known to drop the owner's rights where asked

    def read(self, request: Request, deadline: Deadline) -> Iterator[Any]:
        """Yields the items of a file; a line that is not JSON is an ``InputError`` among them.

        Everything else that can be wrong is found before the first is yielded. Raises ``InputError``, or a
        retryable ``Failure``.
        """
        url = request.source or ""
        with tempfile.TemporaryFile() as file:
            self._send("GET", url, "$batch can't be read", deadline, deadline.left, into=file)
            file.seek(0)
            is_zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            opened: Any = gzip.GzipFile(fileobj=file) if is_zipped else file
            try:
                request.check_count(sum(1 for _ in read_items(opened, url.endswith(LINES))))
                yield from read_items(opened, url.endswith(LINES))
            except UNREADABLE as error:
                raise InputError(f"$batch at {url} can't be read: {error}") from None

    def write(self, url: str | None, lines: Iterable[bytes], deadline: Deadline) -> str:
        """Store results as JSON Lines, for None at a temporary place; returns the URL. Raises ``Failure``."""
        place = url or f"data://.algo/{self._wrapper}/temp/{uuid.uuid4().hex}.jsonl"
        with tempfile.TemporaryFile() as file:
            if place.endswith(".gz"):
                with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as zipped:
                    zipped.writelines(lines)
            else:
                file.writelines(lines)
            self._send(
                "PUT", place, "the results can't be written", deadline, deadline.left_to_answer, body=file
            )
        return place

    def require_owner(self) -> None:
        """Refuse callers who do not act for the wrapper's owner. Raises ``InputError``."""
        try:
            listing = json.loads(self._data_api.send("GET", "data://", headers={RIGHTS: "caller"}).body)
            names = [folder["name"].lower() for folder in listing["folders"]]
        except (DataFailed, ValueError, TypeError, LookupError, AttributeError):
            names = []
        if self._wrapper.partition("/")[0].lower() not in names:
            raise InputError("$trial, of which nothing is recorded, is for this wrapper's owner")

    def _send(self, method: str, url: str, what: str, deadline: Deadline, left: Any, **facts: Any) -> None:
        """One file, again while the platform is unavailable and there is time."""
        headers = self._headers(url)
        until, pause = deadline.clock() + min(deadline.left_to_record(), left()), 0.5
        if "body" in facts:
            headers["Content-Length"] = str(facts["body"].tell())
        while True:
            for file in facts.values():
                file.seek(0)
            try:
                self._data_api.send(method, url, headers=headers, timeout=max(1.0, left()), **facts)
                return
            except DataFailed as failed:
                if not failed.is_down or deadline.clock() + pause > until:
                    error_type = "ConnectionError" if failed.is_down else "InputError"
                    error_type = "TimeoutError" if failed.timed_out else error_type
                    raise Failure(error_type, f"{what}: {failed}", failed.is_down) from None
            time.sleep(pause)
            pause *= 2

    def _headers(self, url: str) -> dict[str, str]:
        """The header by which the owner's rights are dropped. Raises ``InputError`` for what needs them."""
        parts = parts_of(url)
        if parts[:2] == ["data:", ".algo"]:
            return {}
        if ".." in parts or any(parts[: len(private)] == private for private in self._private):
            raise InputError(
                f"{url} is not for items or results: it is where this wrapper keeps records or keys"
            )
        if parts[:2] == ["data:", self._wrapper.partition("/")[0].lower()] and not self._drops_rights:
            try:
                answer = self._data_api.send("HEAD", url, headers={RIGHTS: "caller"})
                self._drops_rights = RIGHTS in answer.headers
            except DataFailed as failed:
                self._drops_rights = failed.drops_rights
            if not self._drops_rights:
                raise InputError(f"{url} belongs to this wrapper's owner, whose rights are not the caller's")
        return {RIGHTS: "caller"}


def parts_of(url: str) -> list[str]:
    """The parts of a URL, by which one is compared with a folder that it may be in."""
    return [part for part in url.lower().split("/") if part not in ("", ".")]


def read_items(file: IO[bytes], is_lines: bool) -> Iterator[Any]:
    """Yields the values of JSON Lines or of one JSON array from the start of a file.

    A file that starts with ``[`` is an array unless its first line is a whole value and others follow;
    ``is_lines`` says that it is JSON Lines for certain. A line that is not JSON is yielded as ``InputError``.
    Raises ``ValueError`` for an array that is malformed.
    """
    file.seek(0)
    start = len(codecs.BOM_UTF8) if file.read(3) == codecs.BOM_UTF8 else 0
    file.seek(start)
    first = next(_lines(file, BLOCK), b"")
    if not is_lines and first.lstrip().startswith(b"["):
        is_lines = not isinstance(_value(first), InputError) and next(_lines(file, BLOCK), b"") != b""
    else:
        is_lines = True
    file.seek(start)
    yield from (
        map(_value, _lines(file, LARGEST)) if is_lines else _Array(codecs.getreader("utf-8")(file)).elements()
    )


def _lines(file: IO[bytes], limit: int) -> Iterator[bytes]:
    """The lines that are not blank; of one that is longer than the limit, its beginning."""
    for line in iter(lambda: file.readline(limit), b""):
        if line.strip():
            yield line
        while len(line) == limit and not line.endswith(b"\n"):
            line = file.readline(limit)


def _value(line: bytes) -> Any:
    try:
        return json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        return InputError(f"this line is not JSON: {error}")


def _whole_number(text: str) -> float:
    return int(text) if len(text) <= MAX_DIGITS else math.inf  # which no item may hold


class _Array:
    """One JSON array in an open text file, read so that no more is held than its longest element needs."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self._text = ""
        self._at = 0
        self._decode = json.JSONDecoder(parse_int=_whole_number).raw_decode

    def elements(self) -> Iterator[Any]:
        """Yields them. Raises ``ValueError`` for anything but one whole array."""
        expected = "["
        while self._next_character() == expected:
            self._at += 1
            if expected == "," or self._next_character() != "]":
                yield self._value()
                expected = ","
            else:
                break
        if self._next_character() != "]":
            raise ValueError(MALFORMED)
        self._at += 1
        if self._next_character():
            raise ValueError(MALFORMED)

    def _read_on(self) -> bool:
        """Let go of what was used, and read on. False at the end of the file."""
        left = self._text[self._at :]
        if len(left) > LARGEST:
            raise ValueError("an element is malformed, or larger than any call")
        more = self._file.read(max(BLOCK, len(left)))
        self._text, self._at = left + more, 0
        return bool(more)

    def _next_character(self) -> str:
        """The next one that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text) or not self._read_on():
                return self._text[self._at : self._at + 1]

    def _value(self) -> Any:
        self._next_character()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except ValueError:
                end = len(self._text)
            if self._text[end : end + 1] in AFTER:
                self._at = end
                return value
            if not self._read_on():
                raise ValueError(MALFORMED)
