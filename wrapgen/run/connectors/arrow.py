"""What Arrow hands out, as JSON has it: one rule for Parquet files and Spark, so that items and ids agree."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, timezone
from datetime import time as day_time
from decimal import Decimal
from typing import Any

Reader = Callable[[Any], Any]
"""Makes JSON of a value that Arrow hands out, null included."""

EXACT = 15
"""Digits that every double keeps."""


def cell_reader(kind: Any) -> Reader | None:
    """What reads the cells of a column of this Arrow type; None where they are JSON as they are, or bytes.

    Times are ISO 8601 text, instants in UTC; durations seconds; decimals numbers, or text where a number
    would lose digits; maps objects; bytes within a value base64 text.
    """
    return None if _is_bytes(kind) else _reader(kind)


def _reader(kind: Any) -> Reader | None:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _reader(kind.value_type)
    read: Reader | None = None
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        read = _time
    elif types.is_duration(kind):
        read = _seconds
    elif types.is_decimal(kind):
        read = _number if kind.scale <= 0 or kind.precision <= EXACT else "{:f}".format
    elif _is_bytes(kind):
        read = _base64
    elif types.is_map(kind):
        read = _object(_reader(kind.item_type) or _same)
    elif types.is_struct(kind):
        read = _fields({field.name: found for field in kind if (found := _reader(field.type))})
    elif types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        read = _each(_reader(kind.value_type))
    return read and _unless_null(read)


def _is_bytes(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind))


def _unless_null(read: Reader) -> Reader:
    return lambda value: None if value is None else read(value)


def _same(value: Any) -> Any:
    return value


def _time(value: Any) -> Any:
    """A time as text, an instant in UTC: so it is the same text wherever the session says it is."""
    if isinstance(value, datetime) and value.tzinfo is not None:
        value = value.astimezone(timezone.utc)
    return value.isoformat() if isinstance(value, (datetime, date, day_time)) else value


def _seconds(value: Any) -> float:
    return float(value.total_seconds())


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _object(read: Reader) -> Reader:
    return lambda pairs: {str(_time(key)): read(value) for key, value in pairs}


def _fields(readers: dict[str, Reader]) -> Reader | None:
    if not readers:
        return None
    return lambda row: {name: readers[name](one) if name in readers else one for name, one in row.items()}


def _each(read: Reader | None) -> Reader | None:
    return read and (lambda values: [read(value) for value in values])
