"""Rows of a Parquet file, one batch in memory at a time. The only module that imports pyarrow's reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wrapgen.errors import MissingExtra, RunError
from wrapgen.run.connectors.arrow import cell_reader
from wrapgen.run.connectors.base import Row

_BATCH = 4096


def rows(path: Path) -> Iterator[Row]:
    """One object per row, of what JSON can say: see `cell_reader`. A cell of bytes stays bytes.

    Raises:
        MissingExtra: pyarrow is not installed.
        RunError: the file is not Parquet, or holds a time that can't be told in microseconds without pandas.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(extra="parquet", needed_for=f"reading {path}") from error
    number = 0
    try:
        with parquet.ParquetFile(path) as file:
            readers = {
                column.name: found for column in file.schema_arrow if (found := cell_reader(column.type))
            }
            for batch in file.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    for name, found in readers.items():
                        value[name] = found(value[name])
                    yield Row(value, None, number)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise RunError(f"can't read {path} after row {number:,}: {error}") from error
