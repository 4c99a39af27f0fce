"""Items read from a URL and results written to one, with the caller's rights.

A file of items is JSON Lines or one JSON array, gzipped or not; it is read piece by piece from disk.
"""

import gzip
import io
import json
import tempfile
import uuid
import zlib
from typing import Any  # noqa: F401 - for the type comments

from .data_api import DataApi, DataFailed
from .deadline import TimeUp, within
from .protocol import Failure, InputError

LONG = 65536  # characters read at once
LARGEST = 64 * 1024 * 1024  # characters that one item may have
SPACE = " \t\r\n"
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")
UNREADABLE = (ValueError, EOFError, OSError, zlib.error, RecursionError)  # no UTF-8, no JSON, no gzip


class Sideband:
    """Files of items and results; ``algorithm`` (owner/name) says whose temporary place may be used."""

    def __init__(self, client, algorithm):
        # type: (Any, str) -> None
        self._data_api = DataApi(client)
        self._algorithm = algorithm

    def read(self, url, deadline):
        # type: (str, Any) -> Any
        """Yields the items of a file. Raises ``InputError``, or a retryable ``Failure``."""
        with tempfile.TemporaryFile() as file:
            try:
                within(deadline.left(), self._data_api.get, url, file)
            except (DataFailed, TimeUp) as failed:
                raise _failure("$batch can't be read", failed) from None
            file.seek(0)
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            text = io.TextIOWrapper(gzip.GzipFile(fileobj=file) if zipped else file, encoding="utf-8-sig")
            try:
                yield from read_items(text, by_line=url.endswith(LINES))
            except UNREADABLE as error:
                raise InputError("$batch at {} can't be read: {}".format(url, error)) from None

    def write(self, url, lines, deadline):
        # type: (str | None, Any, Any) -> str
        """Store results as JSON Lines; returns the full URL. Raises ``Failure``."""
        if url is None:
            url = "data://.algo/{}/temp/{}.jsonl".format(self._algorithm, uuid.uuid4().hex)
        with tempfile.TemporaryFile() as file:
            if url.endswith(".gz"):
                with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as zipped:
                    zipped.writelines(lines)
            else:
                file.writelines(lines)
            length = file.tell()
            file.seek(0)
            try:
                within(deadline.left_for_write(), self._data_api.put, url, file, length)
            except (DataFailed, TimeUp) as failed:
                raise _failure("the results can't be written", failed) from None
        return url


def _failure(what, failed):
    if isinstance(failed, TimeUp):
        kind, retryable = "TimeoutError", True
    else:
        kind, retryable = "ConnectionError" if failed.is_down else "InputError", failed.is_down
    return Failure(kind, "{}: {}".format(what, failed), retryable)


def read_items(text, by_line=False):
    # type: (Any, bool) -> Any
    """Yields the values of JSON Lines or of one JSON array from an open text file.

    A file that starts with ``[`` is an array unless its first line is a whole value and others follow;
    ``by_line`` says that it is JSON Lines for certain. Raises ``ValueError``.
    """
    head = _line(text)
    if head.lstrip()[:1] != "[" or by_line:
        yield from _lines(head, text)
        return
    second = _line(text) if _is_whole(head) else ""
    if second:
        yield json.loads(head)
        yield from _lines(second, text)
    else:
        yield from _Array(head, text).elements()


def _line(text):
    """The next line that is not blank, or the start of one that is very long; empty at the end."""
    return next((line for line in iter(lambda: text.readline(LONG), "") if line.strip()), "")


def _is_whole(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _lines(head, text):
    number = 1
    while head:
        while not head.endswith("\n") and len(head) <= LARGEST:  # a long line came in pieces
            more = text.readline(LONG)
            if not more:
                break
            head += more
        try:
            yield json.loads(head)
        except ValueError as error:
            raise ValueError("value {} is not JSON: {}".format(number, error)) from None
        head = _line(text)
        number += 1


class _Array:
    """One JSON array, read so that no more text is held than its longest element needs."""

    def __init__(self, head, file):
        self._text = head
        self._at = 0
        self._file = file
        self._decode = json.JSONDecoder().raw_decode
        self._after = set(SPACE + ",]")  # a value is whole when one of these follows: 12 could be 12.5

    def elements(self):
        """Yields them. Raises ``ValueError`` for anything but one whole array."""
        self._expect("[")
        if self._peek() != "]":
            yield self._value()
            while self._peek() == ",":
                self._expect(",")
                yield self._value()
        self._expect("]")
        if self._peek():
            raise ValueError("something follows the JSON array")

    def _grow(self):
        """Read on; what was used is let go. False at the end of the file."""
        self._text, self._at = self._text[self._at :], 0
        if len(self._text) > LARGEST:
            raise ValueError("an element is malformed, or larger than any call")
        more = self._file.read(max(LONG, len(self._text)))
        self._text += more
        return bool(more)

    def _peek(self):
        """The next character that is no space; empty at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at] in SPACE:
                self._at += 1
            if self._at < len(self._text):
                return self._text[self._at]
            if not self._grow():
                return ""

    def _expect(self, mark):
        if self._peek() != mark:
            raise ValueError("the JSON array is malformed or cut off")
        self._at += 1

    def _value(self):
        self._peek()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except ValueError:
                end = len(self._text)
            if self._text[end : end + 1] in self._after:
                self._at = end
                return value
            if not self._grow():
                raise ValueError("the JSON array is malformed or cut off")
