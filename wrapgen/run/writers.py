"""Outputs as files: JSON Lines, CSV, TSV and Parquet, each whole or not at all and in constant memory."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra, UsageError
from wrapgen.run.items import Items
from wrapgen.run.layouts import Layout, cells, objects
from wrapgen.run.output import blocks, whole
from wrapgen.run.spool import Slots, Spool
from wrapgen.run.states import Fate

_BATCH = 10_000

SUFFIXES = {".csv": "csv", ".tsv": "tsv", ".parquet": "parquet"}
"""Suffix of an output to its format; anything else is JSON Lines."""


def write(path: Path, layout: Layout, items: Items, slots: Slots, spool: Spool) -> None:
    """Writes every outcome in run order, in the format that the file's name says.

    Raises:
        MissingExtra: Parquet without pyarrow.
        RunError: the input can't be joined with the outcomes.
    """
    kind = SUFFIXES.get(path.suffix.lower(), "jsonl")
    if kind == "jsonl":
        _jsonl(path, layout, items, slots, spool)
    else:
        _TABLES[kind](path, cells(layout, items, slots, spool))


def check(path: Path, layout: Layout) -> None:
    """Finds before a run what would fail at its end.

    Raises:
        MissingExtra: Parquet without pyarrow.
        UsageError: --keep without the joined shape.
    """
    if layout.keep and layout.shape != "joined":
        raise UsageError("--keep names fields of the row to join", hint="add --layout joined")
    if SUFFIXES.get(path.suffix.lower()) == "parquet":
        _pyarrow(path)


def _jsonl(path: Path, layout: Layout, items: Items, slots: Slots, spool: Spool) -> None:
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
    return json.dumps(content, separators=(",", ":")).encode("ascii") + b"\n"


def _delimited(delimiter: str) -> Callable[[Path, Iterator[dict[str, Any]]], None]:
    def write_table(path: Path, rows: Iterator[dict[str, Any]]) -> None:
        with whole(path) as file:
            text = io.TextIOWrapper(file, encoding="utf-8", newline="")
            writer = csv.writer(text, delimiter=delimiter, lineterminator="\n")
            first = next(rows, None)
            if first is not None:
                writer.writerow(first)
                writer.writerow(map(_text, first.values()))
                writer.writerows(map(_text, row.values()) for row in rows)
            text.detach()  # flushes; closing is for `whole`

    return write_table


def _parquet(path: Path, rows: Iterator[dict[str, Any]]) -> None:
    """The index as a number, every other cell as text or null: nested values as JSON text."""
    pyarrow, parquet = _pyarrow(path)
    with whole(path) as file:
        writer = None
        while batch := list(islice(rows, _BATCH)):
            schema = pyarrow.schema(
                [(name, pyarrow.int64() if name == "index" else pyarrow.string()) for name in batch[0]]
            )
            writer = writer or parquet.ParquetWriter(file, schema)
            table = [{name: v if name == "index" else _text(v) for name, v in row.items()} for row in batch]
            writer.write_table(pyarrow.Table.from_pylist(table, schema=schema))
        if writer is not None:
            writer.close()


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
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


_TABLES: dict[str, Callable[[Path, Iterator[dict[str, Any]]], None]] = {
    "csv": _delimited(","),
    "tsv": _delimited("\t"),
    "parquet": _parquet,
}
