"""What every source of items has to do, over memory and every format of files, plain and compressed."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource

ROWS = [
    {"id": "a", "text": "plain"},
    {"id": "b", "text": 'quotes " and, commas; tabs\tand\nnew lines'},
    {"id": "c", "text": "é \U0001f600 \u2028"},
    {"id": "d", "text": ""},
    *({"id": f"n{n}", "text": f"text {n}"} for n in range(500)),
]


def _jsonl(rows: list[Any]) -> bytes:
    return b"\n\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows) + b"\n"


def _table(rows: list[dict[str, str]], delimiter: str) -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["id", "text"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _parquet(rows: list[Any]) -> bytes:
    import pyarrow
    from pyarrow import parquet

    out = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows), out)
    return out.getvalue()


CONTENT = {
    "jsonl": _jsonl,
    "json": lambda rows: json.dumps(rows, indent=2, ensure_ascii=False).encode(),
    "csv": lambda rows: _table(rows, ","),
    "tsv": lambda rows: _table(rows, "\t"),
    "parquet": _parquet,
}
PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.compress}
FILES = [f"{kind}{pack}" for kind in CONTENT for pack in PACK if (kind, bool(pack)) != ("parquet", True)]


@pytest.fixture(params=["memory", *FILES])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """One source of the same rows after the other."""
    if request.param == "memory":
        return MemorySource(ROWS)
    return file_source(tmp_path, request.param, ROWS)


def file_source(folder: Path, name: str, rows: list[Any]) -> Any:
    """The rows as a file of that kind, such as `csv.gz`."""
    kind, _, pack = name.partition(".")
    path = folder / f"rows.{name}"
    path.write_bytes(PACK[f".{pack}" if pack else ""](CONTENT[kind](rows)))
    return find(str(path))


def test_rows_come_in_order_and_whole(source):
    """Every row comes once, in order, with its values as they were."""
    assert [row.value for row in source.rows()] == ROWS


def test_rows_come_again(source):
    """A source can be read from the start as often as it is needed."""
    first = [row.value for row in source.rows()]
    assert [row.value for row in source.rows()] == first


def test_a_row_that_came_as_json_keeps_its_text(source):
    """Where a row has JSON text, the text says what the value says, on one line."""
    for row in source.rows():
        assert row.raw is None or (json.loads(row.raw) == row.value and b"\n" not in row.raw)


def test_texts_are_the_rows(source):
    """The quick way through an input gives the same rows."""
    texts = source.texts()
    assert texts is None or [json.loads(text) for some in texts for text in some] == ROWS


def test_items_are_the_rows(source):
    """Where nothing is selected every row is an item, under its number."""
    entries = list(Selected(source, Selection()).entries())
    assert [entry.index for entry in entries] == list(range(len(ROWS)))
    assert [json.loads(entry.item) for entry in entries] == ROWS


def test_the_fingerprint_follows_the_rows(source, tmp_path, request):
    """Equal content has equal fingerprints; a changed value has another."""
    other = [*ROWS[:-1], {"id": "n499", "text": "changed"}]
    if isinstance(source, MemorySource):
        assert MemorySource(ROWS).fingerprint() == source.fingerprint() != MemorySource(other).fingerprint()
        return
    name = source.paths[0].name.removeprefix("rows.")
    folder = tmp_path / "other"
    folder.mkdir()
    assert file_source(folder, name, other).fingerprint() != source.fingerprint()
    assert find(str(source.paths[0])).fingerprint() == source.fingerprint()
