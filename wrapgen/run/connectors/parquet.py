"""Rows of a Parquet file, one batch in memory at a time. The only module that imports pyarrow's reader."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wrapgen.errors import MissingExtra, RunError
from wrapgen.run.connectors.base import Row

_BATCH = 4096


def rows(path: Path) -> Iterator[Row]:
    """One object per row; dates and times become ISO 8601 text when the item is made.

    Raises:
        MissingExtra: pyarrow is not installed.
        RunError: the file is not Parquet.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingExtra(extra="parquet", needed_for=f"reading {path}") from error
    try:
        with parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    yield Row(value, None, number)
    except pyarrow.ArrowException as error:
        raise RunError(f"can't read {path}: {error}") from error
