"""What Arrow holds, as JSON has it: one rule for Parquet files and Spark, so that items and ids agree.

A value that JSON can't say is `Unsendable`: its row fails and no other. How times are spelt is in `times`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from itertools import islice, repeat
from typing import Any
from uuid import UUID

from wrapgen.run.input.times import UNITS, date_text, instant_text, interval_text, time_text
from wrapgen.run.input.values import Unsendable

Reader = Callable[[Any], list[Any]]
"""Makes JSON values of an Arrow array, None for null."""

EXACT = 15
"""Digits that every double keeps."""

INT96, ENUM, INTERVAL = "INT96", "ENUM", "INTERVAL"
"""What Parquet knows of a column, and Arrow's type does not tell."""

_BYTES = ("is_binary", "is_large_binary", "is_fixed_size_binary", "is_binary_view")
_LISTS = ("is_list", "is_large_list", "is_fixed_size_list", "is_list_view", "is_large_list_view")
_PLAIN = (
    "is_null",
    "is_boolean",
    "is_integer",
    "is_floating",
    "is_string",
    "is_large_string",
    "is_string_view",
)
_DAY = 86_400


def cell_reader(kind: Any, leaves: Iterable[str] = (), *, within: bool = False) -> Reader:
    """What reads the cells of a column of this Arrow type.

    Times are ISO 8601 text, instants in UTC; durations seconds; decimals numbers, or text where a number
    would lose digits; maps objects; UUIDs text; bytes are bytes as a cell, base64 text within one.

    Args:
        kind: the column's type.
        leaves: what Parquet knows of each column of single values in it, from left to right.
        within: the cell becomes a part of an object.

    Raises:
        TypeError: no value of this type can be JSON, or two fields have one name; says which.
    """
    told = _logical(kind, iter(leaves))
    return _as_they_are if _is(kind, _BYTES) and not told and not within else _reader(kind, told)


def _logical(kind: Any, leaves: Iterator[str]) -> Any:
    """What is known of the parts of a type, in the shape of the type."""
    from pyarrow import BaseExtensionType

    if isinstance(kind, BaseExtensionType):
        kind = kind.storage_type
    parts = [kind.field(at).type for at in range(kind.num_fields)]
    return [_logical(part, leaves) for part in parts] if parts else next(leaves, "")


def _is(kind: Any, names: Iterable[str]) -> bool:
    from pyarrow import types

    return any(getattr(types, name)(kind) for name in names if hasattr(types, name))


def _reader(kind: Any, told: Any) -> Reader:
    from pyarrow import BaseExtensionType, types

    if isinstance(kind, BaseExtensionType):
        return _extension(kind, told)
    if types.is_dictionary(kind):
        inner = _reader(kind.value_type, told)
        return lambda array: inner(array.dictionary_decode())
    if types.is_map(kind):
        return _map(kind, told)
    if types.is_struct(kind):
        return _struct(kind, told)
    if _is(kind, _LISTS):
        return _list(_reader(kind.value_type, told[0]))
    return _single(kind, told)


def _single(kind: Any, told: str) -> Reader:
    """Reader of a type without parts."""
    from pyarrow import types

    if types.is_temporal(kind) and not types.is_interval(kind):
        return _temporal(kind, instant=told == INT96 or getattr(kind, "tz", None) is not None)
    if types.is_decimal(kind):
        return _each(_number if kind.scale <= 0 or kind.precision <= EXACT else "{:f}".format)
    if _is(kind, _BYTES):
        return _each({ENUM: _text, INTERVAL: interval_text}.get(told, _base64))
    if _is(kind, _PLAIN):
        return _as_they_are
    raise TypeError(f"values of type {kind} have no JSON")


def _as_they_are(array: Any) -> list[Any]:
    values: list[Any] = array.to_pylist()
    return values


def _each(read: Callable[[Any], Any]) -> Reader:
    def values(array: Any) -> list[Any]:
        return [None if value is None else read(value) for value in array.to_pylist()]

    return values


def _temporal(kind: Any, *, instant: bool) -> Reader:
    """Reader that goes by the numbers: Python's own dates end at the year 9999, and pandas' far before."""
    import pyarrow as pa

    number = pa.int32() if kind.bit_width == 32 else pa.int64()
    unit = UNITS[getattr(kind, "unit", "ms")]
    read: Callable[[int], Any]
    if pa.types.is_date(kind):
        per_day = 1 if kind.bit_width == 32 else _DAY * unit
        read = lambda value: date_text(value // per_day)  # noqa: E731
    elif pa.types.is_timestamp(kind):
        read = instant_text(unit, "+00:00" if instant else "")
    elif pa.types.is_time(kind):
        read = lambda value: time_text(value, unit)  # noqa: E731
    else:
        read = lambda value: value / unit  # noqa: E731
    each = _each(read)
    return lambda array: each(array.view(number))


def _extension(kind: Any, told: Any) -> Reader:
    if kind.extension_name == "arrow.uuid":
        inner = _each(lambda value: str(UUID(bytes=value)))
    elif kind.extension_name == "arrow.json":
        inner = _each(_document)
    else:
        inner = _reader(kind.storage_type, told)
    return lambda array: inner(array.storage)


def _struct(kind: Any, told: list[Any]) -> Reader:
    fields = [kind.field(at) for at in range(kind.num_fields)]
    names = [field.name for field in fields]
    unlike(names)
    if any((field.metadata or {}).get(b"variant") for field in fields):
        return _variant
    readers = [_reader(field.type, part) for field, part in zip(fields, told, strict=True)]
    if all(read is _as_they_are for read in readers):
        return _as_they_are

    def values(array: Any) -> list[Any]:
        columns = [read(part) for read, part in zip(readers, array.flatten(), strict=True)]
        rows = zip(*columns, strict=True) if columns else repeat((), len(array))
        there = array.is_valid().to_pylist()
        return [
            dict(zip(names, row, strict=True)) if ok else None for row, ok in zip(rows, there, strict=True)
        ]

    return values


def _variant(array: Any) -> list[Any]:
    """Spark's variants as the JSON that they hold."""
    from pyspark.sql.types import VariantVal

    rows = array.to_pylist()
    texts = [row and VariantVal(row["value"], row["metadata"]).toJson() for row in rows]
    return [None if text is None else json.loads(text, parse_float=_exact) for text in texts]


def _exact(text: str) -> float | str:
    """A number, or its text where a double would lose digits."""
    return float(text) if Decimal(text) == Decimal(repr(float(text))) else text


def _list(read: Reader) -> Reader:
    if read is _as_they_are:
        return read

    def values(array: Any) -> list[Any]:
        parts = iter(read(array.flatten()))
        lengths = array.value_lengths().to_pylist()
        return [None if length is None else list(islice(parts, length)) for length in lengths]

    return values


def _map(kind: Any, told: Any) -> Reader:
    import pyarrow as pa

    ((key, item),) = told
    of_keys = _each(_text) if _is(kind.key_type, _BYTES) else _reader(kind.key_type, key)
    of_items = _reader(kind.item_type, item)
    pair = pa.struct([("k", kind.key_type), ("v", kind.item_type)])

    def pairs(array: Any) -> list[Any]:
        keys, items = array.flatten()
        return list(zip(of_keys(keys), of_items(items), strict=True))

    lists = _list(pairs)
    return lambda array: [
        None if found is None else _object(found) for found in lists(array.cast(pa.list_(pair)))
    ]


def _object(pairs: list[tuple[Any, Any]]) -> Any:
    found = {}
    for key, value in pairs:
        name = key if isinstance(key, str) else _key(key)
        if not isinstance(name, str):
            return name
        if name in found:
            return Unsendable(f"two keys of a map are {name!r}")
        found[name] = value
    return found


def _key(key: Any) -> Any:
    """A key as text, spelt as JSON spells the value."""
    if key is None or isinstance(key, (dict, list, Unsendable)):
        return (
            key if isinstance(key, Unsendable) else Unsendable("a key of a map is neither text nor a number")
        )
    return json.dumps(key)


def unlike(names: list[str]) -> None:
    """Makes sure that names differ.

    Raises:
        TypeError: two don't; says which.
    """
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        raise TypeError(f"the column {doubled[0]!r} appears twice")


def _number(value: Decimal) -> int | float:
    return int(value) if value == value.to_integral_value() else float(value)


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _text(value: bytes) -> Any:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return Unsendable(f"{value[:40]!r} is not text in UTF-8")


def _document(value: str) -> Any:
    try:
        return json.loads(value, parse_float=_exact)
    except (ValueError, RecursionError) as error:
        return Unsendable(f"a value of type JSON is not JSON: {error}")
