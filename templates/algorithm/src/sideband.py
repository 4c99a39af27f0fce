"""Items read from a URL and results written to one, with the caller's rights.

A file of items is JSON Lines or one JSON array, gzipped or not; it is read piece by piece from disk.
"""

import gzip
import io
import json
import tempfile
import uuid

from .data_api import DataApi, DataFailed
from .protocol import Failure, InputError

PIECE = 65536
SPACE = " \t\r\n"
LINES = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz")


class Sideband:
    """Files of items and results; ``algorithm`` (owner/name) says whose temporary place may be used."""

    def __init__(self, client, algorithm):
        # type: (object, str) -> None
        self._data_api = DataApi(client)
        self._algorithm = algorithm

    def read(self, url):
        # type: (str) -> object
        """Yields the items of a file. Raises ``InputError``, or a retryable ``Failure``."""
        with tempfile.TemporaryFile() as file:
            try:
                self._data_api.get(url, into=file)
            except DataFailed as failed:
                raise _failure("$batch can't be read", failed) from None
            file.seek(0)
            zipped = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            text = io.TextIOWrapper(gzip.GzipFile(fileobj=file) if zipped else file, encoding="utf-8-sig")
            try:
                yield from read_items(text, by_line=url.endswith(LINES))
            except (ValueError, EOFError, OSError) as error:  # not UTF-8, not JSON, or a gzip cut short
                raise InputError("$batch at {} can't be read: {}".format(url, error)) from None

    def write(self, url, lines):
        # type: (str | None, object) -> str
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
                self._data_api.put(url, file, length)
            except DataFailed as failed:
                raise _failure("the results can't be written", failed) from None
        return url


def _failure(what, failed):
    kind = "ConnectionError" if failed.is_down else "InputError"
    return Failure(kind, "{}: {}".format(what, failed), failed.is_down)


def read_items(text, by_line=False):
    # type: (object, bool) -> object
    """Yields the values of JSON Lines or of one JSON array from an open text file.

    A file that starts with ``[`` is an array unless its first line is complete and others follow;
    ``by_line`` says that it is JSON Lines for certain. Raises ``ValueError``.
    """
    lines = (line for line in text if line.strip())
    head = next(lines, "")
    if head.lstrip()[:1] == "[" and not by_line:
        second = next(lines, None) if _is_whole(head) else None
        if second is None:
            yield from _array(_Pieces(head, text))
            return
        yield json.loads(head)
        head = second
    number = 1
    while head:
        try:
            yield json.loads(head)
        except ValueError as error:
            raise ValueError("value {} is not JSON: {}".format(number, error)) from None
        head = next(lines, "")
        number += 1


def _is_whole(line):
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


class _Pieces:
    """Text that grows as more of the file is read."""

    def __init__(self, start, file):
        self.text = start
        self._file = file

    def grow(self, used):
        """Drop what is used and read on; False at the end of the file."""
        more = self._file.read(PIECE)
        self.text = self.text[used:] + more
        return bool(more)


def _array(pieces):
    """The elements of one JSON array, holding no more text than the longest of them needs."""
    decoder = json.JSONDecoder()
    at = _skip(pieces, 0) + 1
    at = _skip(pieces, at)
    first = True
    while pieces.text[at : at + 1] != "]" or not first:
        value, at = _element(decoder, pieces, at)
        yield value
        at = _skip(pieces, at)
        mark = pieces.text[at : at + 1]
        if mark == "]":
            break
        if mark != ",":
            raise ValueError("the JSON array is malformed or cut off")
        at = _skip(pieces, at + 1)
        first = False
    at = _skip(pieces, at + 1)
    if at < len(pieces.text):
        raise ValueError("something follows the JSON array")


def _element(decoder, pieces, at):
    """The value at a place, and where it ends; a number at the very end may go on in the next piece."""
    while True:
        try:
            value, end = decoder.raw_decode(pieces.text, at)
            if end < len(pieces.text):
                return value, end
        except ValueError:
            value = end = None
        if not pieces.grow(at):
            if end is None:
                raise ValueError("the JSON array is malformed or cut off")
            return value, end - at
        at = 0


def _skip(pieces, at):
    while True:
        while at < len(pieces.text) and pieces.text[at] in SPACE:
            at += 1
        if at < len(pieces.text) or not pieces.grow(at):
            return min(at, len(pieces.text))
        at = 0
