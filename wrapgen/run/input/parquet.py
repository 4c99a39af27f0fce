"""Rows of a Parquet file, one batch in memory at a time. The only module that imports pyarrow's reader."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra, RunError
from wrapgen.run.input.arrow import ENUM, INT96, INTERVAL, Reader, cell_reader, unlike
from wrapgen.run.input.source import Row
from wrapgen.run.input.times import UNITS, instant_text
from wrapgen.run.remote_files import InputFile

_BATCH = 4096
_MAGIC = b"PAR1"
_ENCRYPTED = b"PARE"
_IS_ENCRYPTED = "it is encrypted; write it again without encryption"


def rows(path: InputFile) -> Iterator[Row]:
    """One object per row, of what JSON can say: see `cell_reader`. A cell of bytes stays bytes.

    Timestamps of the type INT96, which Spark, Hive and Impala write, are instants.

    Raises:
        MissingExtra: pyarrow is not installed.
        RunError: the file is not Parquet, or a column can't be read; names it.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(extra="parquet", needed_for=f"reading {path}") from error
    number = 0
    try:
        _promised(path)
        # INT96 counts nanoseconds from a day; in 64 bits of them the year 9999 would be another one.
        with parquet.ParquetFile(_content(path), coerce_int96_timestamp_unit="us") as file:
            readers = _readers(file)
            readers |= {name: _with_nanoseconds(path, name) for name in _old_timestamps(file)}
            for batch in file.iter_batches(batch_size=_BATCH):
                columns = [read(column) for read, column in zip(readers.values(), batch.columns, strict=True)]
                cells = zip(*columns, strict=True) if columns else ((),) * batch.num_rows
                for row in cells:
                    number += 1
                    yield Row(dict(zip(readers, row, strict=True)), None, number)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, TypeError) as error:
        reason = " ".join(str(error).split())  # Arrow's has several lines
        if "decrypt" in reason.lower():  # its footer is plain
            reason = _IS_ENCRYPTED
        raise RunError(f"can't read {path} after row {number:,}: {reason}") from error


def _content(path: InputFile) -> Any:
    """What pyarrow reads: the path, or the stream of an object."""
    return path if isinstance(path, Path) else path.open("rb")


def _promised(path: InputFile) -> None:
    with path.open("rb") as file:
        start = file.read(len(_MAGIC))
    if start == _ENCRYPTED:
        raise ValueError(_IS_ENCRYPTED)
    if start != _MAGIC:
        raise ValueError("it is not Parquet: it does not start with PAR1")


def _readers(file: Any) -> dict[str, Reader]:
    """Column to reader."""
    names = list(file.schema_arrow.names)
    unlike(names)
    leaves = map(_logical, map(file.schema.column, range(len(file.schema))))
    found = {}
    for column in file.schema_arrow:
        try:
            found[column.name] = cell_reader(column.type, leaves)
        except TypeError as error:  # noqa: PERF203  # tells which column
            raise TypeError(f"column {column.name!r}: {error}") from error
    return found


def _logical(leaf: Any) -> str:
    """What Arrow's type does not tell of a column of single values."""
    known = {leaf.physical_type, leaf.logical_type.type, leaf.converted_type}
    return next((name for name in (INT96, ENUM, INTERVAL) if name in known), "")


def _old_timestamps(file: Any) -> list[str]:
    """The columns that are INT96, but for those within others."""
    leaves = map(file.schema.column, range(len(file.schema)))
    return [leaf.path for leaf in leaves if leaf.physical_type == INT96 and leaf.path == leaf.name]


def _with_nanoseconds(path: InputFile, name: str) -> Reader:
    """Reader of an INT96 column, read twice: in microseconds for every year, and for more digits."""
    import pyarrow
    from pyarrow import parquet

    def nanoseconds() -> Iterator[int | None]:
        with parquet.ParquetFile(_content(path)) as file:
            for batch in file.iter_batches(batch_size=_BATCH, columns=[name]):
                yield from batch.column(0).view(pyarrow.int64()).to_pylist()

    def text(micros: int | None, nanos: int | None) -> str | None:
        if micros is None or nanos is None:
            return None
        return fine(nanos) if nanos // 1000 == micros else coarse(micros)

    fine, coarse = (instant_text(UNITS[unit], "+00:00") for unit in ("ns", "us"))
    rest = nanoseconds()
    return lambda array: list(map(text, array.view(pyarrow.int64()).to_pylist(), islice(rest, len(array))))
