"""Rows of a Parquet file, one batch in memory at a time. The only module that imports pyarrow's reader."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra, RunError
from wrapgen.run.connectors.base import Row

_BATCH = 4096

_Convert = Callable[[Any], Any]


def rows(path: Path) -> Iterator[Row]:
    """One object per row, of what JSON can say: see `_converter`. A cell of bytes stays bytes.

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
            convert = {
                column.name: found
                for column in file.schema_arrow
                if not _is_bytes(column.type) and (found := _converter(column.type))
            }
            for batch in file.iter_batches(batch_size=_BATCH):
                for value in batch.to_pylist():
                    number += 1
                    for name, found in convert.items():
                        value[name] = found(value[name])
                    yield Row(value, None, number)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise RunError(f"can't read {path} after row {number:,}: {error}") from error


def _converter(kind: Any) -> _Convert | None:
    """What makes JSON of a column's values: None where they are JSON already.

    Times and dates become ISO 8601 text, durations seconds, decimals numbers, maps objects, bytes base64.
    """
    from pyarrow import types

    convert: _Convert | None = None
    if types.is_date(kind) or types.is_time(kind) or types.is_timestamp(kind):
        convert = _iso
    elif types.is_duration(kind):
        convert = _seconds
    elif types.is_decimal(kind):
        convert = _number
    elif _is_bytes(kind):
        convert = _base64
    elif types.is_map(kind):
        convert = _object(_converter(kind.item_type))
    elif types.is_struct(kind):
        convert = _fields({field.name: found for field in kind if (found := _converter(field.type))})
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        convert = _each(_converter(kind.value_type))
    elif types.is_dictionary(kind):
        return _converter(kind.value_type)
    return convert and _unless_null(convert)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _unless_null(convert: _Convert) -> _Convert:
    return lambda value: None if value is None else convert(value)


def _iso(value: Any) -> str:
    return str(value.isoformat())


def _seconds(value: Any) -> float:
    return float(value.total_seconds())


def _number(value: Any) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _object(convert: _Convert | None) -> _Convert:
    return lambda pairs: {str(key): convert(value) if convert else value for key, value in pairs}


def _fields(convert: dict[str, _Convert]) -> _Convert | None:
    if not convert:
        return None
    return lambda value: {name: convert[name](one) if name in convert else one for name, one in value.items()}


def _each(convert: _Convert | None) -> _Convert | None:
    return convert and (lambda values: [convert(value) for value in values])
