"""The beginning of a file as a table or as text. Pure: bytes in, what to show out.

A file's name and its content say what it is; whatever can't be read as that is shown as text, or not at all.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from wrapgen.platform.web.shown import laid_out

READ_BYTES = 256 * 1024
"""Bytes that are read of a file, and that come out of a compressed one."""

SHOWN_BYTES = 1024 * 1024
"""Most bytes of JSON that is laid out for reading."""

LINES = 100
"""Lines, items or rows that are shown."""

COLUMNS = 30
CELL = 200
"""Characters of a cell that are shown."""

VALUE = "value"
"""The column of what is no object."""

_BROKEN = object()
"""What a line that is not JSON is."""

_GZIP = 31
"""zlib's word for a gzip head with the largest window."""


@dataclass(frozen=True)
class Preview:
    """What is shown of a file.

    Args:
        kind: `JSON Lines`, `JSON`, `CSV`, `text`, or `binary` of which nothing is shown.
        columns: of a table.
        table: rows of cells, as many as there are columns.
        text: where it is no table.
        hidden: columns that are left out.
        whole: whether this is all of the file.
    """

    kind: str
    columns: tuple[str, ...] = ()
    table: tuple[tuple[str, ...], ...] = ()
    text: str = ""
    hidden: int = 0
    whole: bool = True


def preview(name: str, head: bytes, *, whole: bool) -> Preview:
    """What is shown of a file.

    Args:
        name: the file's.
        head: its first READ_BYTES, or all of it.
        whole: whether that is all.
    """
    name = name.lower()
    if name.endswith(".gz") or head[:2] == b"\x1f\x8b":
        head, whole = _unzipped(head, whole)
        name = name.removesuffix(".gz")
    text = _decoded(head, whole)
    if text is None:
        return Preview("binary", whole=whole)
    for ending, read in _READERS:
        if name.endswith(ending) and (found := read(text, whole)) is not None:
            return found
    if text.lstrip()[:1] == "{" and (found := _json_lines(text, whole)) is not None:
        return found
    return _plain(text, whole)


def cell(value: Any) -> str:
    """A value in a table: text as it is, anything else as compact JSON; cut where it is long."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text if len(text) <= CELL else text[:CELL] + "…"


def _unzipped(head: bytes, whole: bool) -> tuple[bytes, bool]:
    reader = zlib.decompressobj(_GZIP)
    try:
        found = reader.decompress(head, READ_BYTES)
    except zlib.error:
        return head, whole
    return found, whole and reader.eof and not reader.unused_data


def _decoded(head: bytes, whole: bool) -> str | None:
    """UTF-8 text, without half a character at a cut; None if it is something else."""
    if b"\x00" in head:
        return None
    try:
        return codecs.getincrementaldecoder("utf-8-sig")().decode(head, final=whole)
    except UnicodeDecodeError:
        return None


def _complete_lines(text: str, whole: bool) -> Iterator[str]:
    lines = text.split("\n")
    if not whole and len(lines) > 1:
        lines.pop()  # cut in the middle
    return (line.rstrip("\r") for line in lines if line.strip())


def _json_lines(text: str, whole: bool) -> Preview | None:
    lines = list(_complete_lines(text, whole))
    if not lines or _read(lines[0]) is _BROKEN:
        return None
    values = [line if (value := _read(line)) is _BROKEN else value for line in lines[:LINES]]
    return _table("JSON Lines", values, whole and len(lines) <= LINES)


def _read(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return _BROKEN


def _json(text: str, whole: bool) -> Preview | None:
    try:
        value = json.loads(text) if whole else None
        if isinstance(value, list):
            return _table("JSON", value[:LINES], len(value) <= LINES)
        shown = laid_out(text, SHOWN_BYTES) if whole else text
    except (ValueError, RecursionError):
        return _json_lines(text, whole)
    return Preview("JSON", text=shown, whole=whole)


def _separated(text: str, whole: bool, mark: str) -> Preview | None:
    if not whole:
        text = text.rpartition("\n")[0] or text
    rows = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=mark):
            rows.append(row)
            if len(rows) > LINES + 1:
                break
    except csv.Error:
        return None
    if not rows:
        return None
    names, rest = rows[0], rows[1 : LINES + 1]
    columns = tuple(map(cell, names[:COLUMNS]))
    table = tuple(
        tuple(cell(value) for value in [*row, *[""] * len(columns)][: len(columns)]) for row in rest
    )
    hidden = max(0, len(names) - COLUMNS)
    return Preview("CSV", columns, table, hidden=hidden, whole=whole and len(rows) <= LINES + 1)


def _table(kind: str, values: list[Any], whole: bool) -> Preview:
    names = list(dict.fromkeys(_names(values)))
    columns = tuple(names[:COLUMNS])
    table = tuple(
        tuple(
            cell(value[name]) if name in value else ""
            for value in [one if isinstance(one, dict) else {VALUE: one}]
            for name in columns
        )
        for one in values
    )
    return Preview(kind, tuple(map(cell, columns)), table, hidden=len(names) - len(columns), whole=whole)


def _names(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        yield from value if isinstance(value, dict) else (VALUE,)


def _plain(text: str, whole: bool) -> Preview:
    lines = text.split("\n")
    return Preview("text", text="\n".join(lines[:LINES]), whole=whole and len(lines) <= LINES + 1)


_READERS = (
    (".jsonl", _json_lines),
    (".ndjson", _json_lines),
    (".json", _json),
    (".csv", lambda text, whole: _separated(text, whole, ",")),
    (".tsv", lambda text, whole: _separated(text, whole, "\t")),
)
"""What reads the text of a file, by the ending of its name; None if it can't."""
