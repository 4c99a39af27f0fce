"""Outputs as files: JSON Lines, CSV, TSV and Parquet, each whole or not at all and in constant memory."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra, UsageError
from wrapgen.files import whole
from wrapgen.run.input.decoding import OTHERS, bare
from wrapgen.run.input.items import Items
from wrapgen.run.input.values import plain
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import Log
from wrapgen.run.output.column_types import ColumnType
from wrapgen.run.output.layouts import FIXED, INPUT, Layout, cells, columns, objects
from wrapgen.run.output.outcomes import blocks
from wrapgen.run.scheduling.replies import Fate

_BATCH = 10_000
_ESCAPED = "backslashreplace"
_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z")

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
"""Suffix of an output to its format; anything else is JSON Lines."""


def write(path: Path, layout: Layout, items: Items, slots: Slots, spool: Log) -> None:
    """Writes every outcome in run order, in the format that the file's name says.

    Raises:
        MissingExtra: Parquet without pyarrow.
        RunError: the input can't be joined with the outcomes.
    """
    kind = SUFFIXES.get(path.suffix.lower(), "jsonl")
    if kind == "jsonl":
        _jsonl(path, layout, items, slots, spool)
    else:
        names = columns(layout, items)
        _TABLES[kind](path, layout, names, lambda: cells(layout, names, items, slots, spool))


_NOT_WRITTEN = re.compile(r"\.errors\.jsonl\Z|\.(json|psv|tab)\Z")
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]+:\Z")


def refuse_name(path: Path, *, tables: bool = True) -> None:
    """Makes sure that the name of an output promises nothing but what is written under it.

    Args:
        path: of the output.
        tables: CSV, TSV and Parquet are written too, not JSON Lines alone.

    Raises:
        UsageError: it is a URL, or names a format or compression that is not written.
    """
    if len(path.parts) > 1 and _SCHEME.match(path.parts[0]):
        url = str(path).replace(":/", "://", 1)  # a Path takes the second slash off
        raise UsageError(f"{url} is a URL, and results go to a file", hint="copy it when the run has ended")
    name = path.name.lower()
    found = OTHERS.search(bare(name)) or _NOT_WRITTEN.search(name)
    if found or bare(name) != name or (not tables and path.suffix.lower() in SUFFIXES):
        raise UsageError(
            f"{path}: no {found[0] if found else path.suffix} file is written here",
            hint=f"name it {'.jsonl, .csv, .tsv or .parquet' if tables else '.jsonl'}; pack it afterwards",
        )


def check(path: Path, layout: Layout) -> None:
    """Finds before a run what would fail at its end.

    Raises:
        MissingExtra: Parquet without pyarrow.
        UsageError: --keep without the joined shape, or --csv-safe for no table of text.
    """
    if layout.safe and SUFFIXES.get(path.suffix.lower()) not in ("csv", "tsv"):
        raise UsageError(
            "--csv-safe is for tables that a spreadsheet opens", hint="name the output .csv or .tsv"
        )
    if layout.keep and layout.shape != "joined":
        raise UsageError("--keep names fields of the row to join", hint="add --layout joined")
    if SUFFIXES.get(path.suffix.lower()) == "parquet":
        _pyarrow(path)


def _jsonl(path: Path, layout: Layout, items: Items, slots: Slots, spool: Log) -> None:
    with whole(path) as file:
        if not layout.verbatim:
            file.writelines(map(_line, objects(layout, items, slots, spool)))
            return
        for stretch, block in blocks(slots, spool):
            if stretch.fates == {Fate.OK}:
                file.write(block)
                continue
            at = 0
            for _, slot in stretch.slots():
                line = block[at : at + slot.length]
                file.write(line if slot.fate == Fate.OK else _without_input(line))
                at += slot.length


def _without_input(line: bytes) -> bytes:
    content = json.loads(line)
    del content["input"]
    return _line(content)


def _line(content: Any) -> bytes:
    return _json(content).encode("ascii") + b"\n"


def _json(value: Any, *, ascii_only: bool = True) -> str:
    """JSON in any case: bytes of a row as base64 text, what JSON can't say as null."""
    encode = partial(json.dumps, separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=False)
    try:
        return encode(value)
    except (TypeError, ValueError):
        text = json.dumps(plain(value), default=lambda _: None)
        return encode(json.loads(text, parse_constant=lambda _: None))


def _delimited(delimiter: str) -> _Write:
    def write_table(path: Path, layout: Layout, names: list[str], rows: _Rows) -> None:
        with whole(path) as file:
            # Half a character, which JSON can say and UTF-8 can't, becomes its escape.
            text = io.TextIOWrapper(file, encoding="utf-8", errors=_ESCAPED, newline="")
            writer = csv.writer(
                _Lines(text),
                delimiter=delimiter,
                lineterminator="\r\n",
                quoting=csv.QUOTE_ALL if layout.safe else csv.QUOTE_MINIMAL,
            )
            make = _harmless if layout.safe else _texts
            writer.writerows(map(make, chain([names], rows())))
            text.detach()  # flushes; closing is for `whole`

    return write_table


def _texts(row: list[Any]) -> list[str | None]:
    """Cells as text; a zero, at which some readers of tables end a cell, as JSON's escape."""
    return [cell.replace("\0", "\\u0000") if cell else cell for cell in map(_text, row)]


def _harmless(row: list[Any]) -> list[str | None]:
    """Cells that a spreadsheet would run as formulas, with an apostrophe in front; numbers stay numbers."""
    return [
        f"'{cell}" if cell and cell.lstrip().startswith(_FORMULA) and not _NUMBER.match(cell) else cell
        for cell in _texts(row)
    ]


class _Lines:
    """Ends rows with a line feed; Python before 3.13 quotes cells only for what is in the line end."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._write = text.write

    def write(self, row: str) -> None:
        """One row, as `csv` writes it."""
        self._write(row[:-2] + "\n")


def _parquet(path: Path, layout: Layout, names: list[str], rows: _Rows) -> None:
    """Every cell by the type that its column's values have together; in the first edition as text."""
    pyarrow, parquet = _pyarrow(path)
    types = [ColumnType("int" if name == "index" else "text") for name in names]
    values = [_text if one.name == "text" else _same for one in types]
    if layout.edition > 1:
        types = [one if name in FIXED else ColumnType() for name, one in zip(names, types, strict=True)]
        values = [_value if name.startswith(INPUT) else _same for name in names]
        for row in rows():
            for one, value, cell in zip(types, values, row, strict=True):
                one.observe(value(cell))
    shapes = [one.shaped(_text) for one in types]
    schema = pyarrow.schema([(_utf8(name), one.arrow()) for name, one in zip(names, types, strict=True)])
    cells = rows()
    with whole(path) as file, parquet.ParquetWriter(file, schema) as writer:
        while batch := list(islice(cells, _BATCH)):
            table = zip(values, shapes, schema.types, zip(*batch, strict=True), strict=True)
            arrays = [
                pyarrow.array([shape(value(cell)) for cell in column], kind)
                for value, shape, kind, column in table
            ]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))


def _same(value: Any) -> Any:
    return value


def _value(value: Any) -> Any:
    """A cell of the input's row as JSON has it, as results are already."""
    return value if value is None or isinstance(value, (str, int)) else json.loads(_json(value))


def _pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(extra="parquet", needed_for=f"writing {path}") from error
    return pyarrow, parquet


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return str(plain(value))
    text = _json(value, ascii_only=False)
    return None if text == "null" else text


def _utf8(text: str) -> str:
    return text.encode("utf-8", _ESCAPED).decode("utf-8")


_Rows = Callable[[], Iterator[list[Any]]]
_Write = Callable[[Path, Layout, list[str], _Rows], None]

_TABLES: dict[str, _Write] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "parquet": _parquet,
}
