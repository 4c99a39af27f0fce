"""From bytes in UTF-8 to rows: JSON Lines, a JSON array or document, and plain lines. Knows no files.

CSV and TSV are in `tables`; Parquet, which can't be read as a stream of bytes, is in `parquet`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Callable, Iterator
from itertools import repeat
from typing import IO, Any

from wrapgen import protocol
from wrapgen.errors import RunError
from wrapgen.run.hosts.answers import end_of, no_constant, scan
from wrapgen.run.hosts.fast_json import are_json, texts_as_json
from wrapgen.run.input.source import Row
from wrapgen.run.input.values import Unsendable

_BLOCK = 1 << 16
_TOGETHER = 500
_SPACE = " \t\r\n"
_BLANK = _SPACE.encode()
_LINE_BREAK = re.compile(r"\s*\n\s*")
_IN_NUMBERS = "0123456789.eE+-"


def jsonl(stream: IO[bytes], name: str) -> Iterator[Row]:
    """One JSON value per line; blank lines are skipped."""
    for number, line in enumerate(stream, start=1):
        if raw := line.strip(_BLANK):
            yield Row(_value(raw, number, name), raw, number)


def jsonl_texts(stream: IO[bytes], name: str) -> Iterator[list[bytes]]:
    """As `jsonl`, each value only as its text: checked, but not decoded; some together, for speed."""
    read, padded = 0, False
    while block := stream.read(_BLOCK):
        lines = (block + stream.readline()).removesuffix(b"\n").split(b"\n")
        texts = _stripped(lines) if padded else lines
        if are_json(texts):
            yield texts
        elif not padded and are_json(texts := _stripped(lines)):
            padded = True
            yield texts
        else:
            for number, line in enumerate(lines, start=read + 1):
                if text := line.strip(_BLANK):
                    _value(text, number, name)
                    yield [text]
        read += len(lines)


def _stripped(lines: list[bytes]) -> list[bytes]:
    """Lines without the white space around their values; none of blank lines."""
    return list(filter(None, map(bytes.strip, lines, repeat(_BLANK))))


def texts_of(rows: Iterator[Row]) -> Iterator[list[bytes]]:
    """Rows that are texts, or objects of texts, as they travel; some together, but few large ones."""
    values: list[Any] = []
    size = 0
    for value, _, _ in rows:
        values.append(value)
        size += len(value) if isinstance(value, str) else sum(map(len, value.values()))
        if size > _BLOCK or len(values) == _TOGETHER:
            yield _as_json(values)
            values, size = [], 0
    if values:
        yield _as_json(values)


def _as_json(values: list[Any]) -> list[bytes]:
    # A table has one header: if any row could be taken for a protocol object, every row could.
    alike = isinstance(values[0], dict) and len(values[0]) == 1
    return texts_as_json(list(map(protocol.to_wire, values)) if alike else values)


def _value(raw: bytes, number: int, name: str) -> Any:
    try:
        text = raw.decode("utf-8")
        value, end = _scanned(text, 0)
    except (ValueError, StopIteration, LookupError, RecursionError) as error:
        raise RunError(f"{name}:{number}: not a line of JSON ({_reason(error)})", hint=_FORMATS) from error
    if end != len(text):
        raise RunError(
            f"{name}:{number}: not one JSON value: {text[end : end + 20]!r} follows", hint=_FORMATS
        )
    return value


def _scanned(text: str, at: int) -> tuple[Any, int]:
    """As `scan`; what is over the limits of JSON is `Unsendable`: a number alone, a nesting as a whole."""
    try:
        return scan(text, at)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return _lenient(text, at)
    except RecursionError:
        return Unsendable("it is nested too deep"), end_of(text, at)


def _whole_number(digits: str) -> int | Unsendable:
    return int(digits) if len(digits) <= protocol.MAX_DIGITS else Unsendable("a number has too many digits")


def lines(stream: IO[bytes], name: str) -> Iterator[Row]:
    """Each line is one text; only the line's end is taken off. Empty lines count."""
    for number, line in enumerate(stream, start=1):
        try:
            text = line.removesuffix(b"\n").removesuffix(b"\r").decode("utf-8")
        except UnicodeDecodeError as error:
            hint = "name its encoding: --encoding cp1252, say"
            raise RunError(f"{name}:{number}: not UTF-8 ({_reason(error)})", hint=hint) from error
        yield Row(text, None, number)


def document(stream: IO[bytes], name: str) -> Iterator[Row]:
    """The one JSON value that a file holds, over however many lines."""
    feed = _Feed(stream, name)
    if not feed.skip():
        raise RunError(f"{name} is empty: it holds no JSON document")
    value, raw = feed.value("the document")
    if feed.skip():
        raise RunError(f"{name}: there is more after the JSON document", hint=_FORMATS)
    yield Row(value, raw, 1)


def array(stream: IO[bytes], name: str) -> Iterator[Row]:
    """The elements of one JSON array, streamed: memory holds one element and a part of the file."""
    feed = _Feed(stream, name)
    if feed.skip() != "[":
        raise RunError(f"{name}: not a JSON array: it does not start with [", hint=_FORMATS)
    feed.at += 1
    number = 0
    mark = feed.skip()
    while mark != "]":
        number += 1
        value, raw = feed.value(f"item {number} of the JSON array")
        yield Row(value, raw, number)
        mark = feed.skip()
        if mark == ",":
            feed.at += 1
            mark = feed.skip()
            if mark != "]":
                continue
        elif mark == "]":
            break
        raise RunError(f"{name}: item {number} of the JSON array is not followed by , or ]")
    feed.at += 1
    if feed.skip():
        raise RunError(f"{name}: there is more after the JSON array", hint=_FORMATS)


class _Feed:
    """Text that is read as it is needed, and a position in it."""

    def __init__(self, stream: IO[bytes], name: str) -> None:
        self._stream = stream
        self._name = name
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._ended = False
        self.text = ""
        self.at = 0

    def more(self) -> bool:
        """Reads on, dropping what lies behind the position; False at the end. Large values grow the step."""
        if self._ended:
            return False
        block = self._stream.read(max(_BLOCK, len(self.text) - self.at))
        self._ended = not block
        try:
            self.text = self.text[self.at :] + self._decoder.decode(block, final=self._ended)
        except UnicodeDecodeError as error:
            raise RunError(f"{self._name}: not UTF-8 ({_reason(error)})") from error
        self.at = 0
        return True

    def skip(self) -> str:
        """The next character that is not white space, left in place; empty at the end."""
        while True:
            while self.at < len(self.text):
                if self.text[self.at] not in _SPACE:
                    return self.text[self.at]
                self.at += 1
            if not self.more():
                return ""

    def value(self, what: str) -> tuple[Any, bytes]:
        """The JSON value here, and its text on one line; `what` it is, for messages."""
        while True:
            try:
                value, end = _scanned(self.text, self.at)
                # A number at the edge of a block may go on in the next, as 12. does in 12.5.
                if self._ended or (end < len(self.text) and self.text[end] not in _IN_NUMBERS):
                    raw = self.text[self.at : end]
                    self.at = end
                    # JSON has line breaks between its tokens only: no digit of a number is touched.
                    return value, _LINE_BREAK.sub("", raw).encode("utf-8")
                fault: Exception = ValueError("cut off")
            except (ValueError, StopIteration, LookupError, RecursionError) as error:
                fault = error
            if not self.more():
                raise RunError(
                    f"{self._name}: {what} is not JSON ({_reason(fault)})", hint=_FORMATS
                ) from fault


def _reason(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at column {error.colno}"
    if isinstance(error, StopIteration):
        return "no value where one should start"
    return str(error) or type(error).__name__


_FORMATS = "say what it is with --format jsonl, json, document, csv, tsv, lines or parquet"

_lenient: Callable[[str, int], tuple[Any, int]] = json.JSONDecoder(
    parse_constant=no_constant, parse_int=_whole_number
).scan_once  # type: ignore[attr-defined]

READERS: dict[str, Callable[[IO[bytes], str], Iterator[Row]]] = {
    "jsonl": jsonl,
    "json": array,
    "document": document,
    "lines": lines,
    "errors": jsonl,
}
"""Format to reader: takes a binary stream and a name for messages."""

TABLES = ("csv", "tsv")
"""Formats that `tables` reads."""

FORMATS = (*READERS, *TABLES, "parquet")
"""What an input may be."""

SUFFIXES = {
    ".errors.jsonl": "errors",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "lines",
    ".parquet": "parquet",
}
"""File suffix to format; of `.json` files the content says whether they are arrays or documents."""
