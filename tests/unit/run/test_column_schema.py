"""Types of columns as they are declared for Ray: Spark's DDL, or Arrow's own."""

from __future__ import annotations

import pytest

from wrapgen.errors import UsageError
from wrapgen.run.integrations.column_schema import declared

pa = pytest.importorskip("pyarrow")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("double", pa.float64()),
        ("INT", pa.int32()),
        ("timestamp", pa.timestamp("us", "UTC")),
        ("decimal(12, 2)", pa.decimal128(12, 2)),
        ("decimal", pa.decimal128(10, 0)),
        ("array<array<int>>", pa.list_(pa.list_(pa.int32()))),
        ("map<string, double>", pa.map_(pa.string(), pa.float64())),
        ("label string, score double", pa.struct({"label": pa.string(), "score": pa.float64()})),
        ("label: string", pa.struct({"label": pa.string()})),
        ("struct<a: int, b: array<struct<c: date>>>", None),
        ("`odd name` bigint", pa.struct({"odd name": pa.int64()})),
    ],
)
def test_a_declaration_is_the_type_that_spark_makes_of_it(text, kind):
    """Plain types, nested ones, and the fields of an object."""
    if kind is None:
        inner = pa.list_(pa.struct({"c": pa.date32()}))
        kind = pa.struct({"a": pa.int32(), "b": inner})
    assert declared(text) == kind


def test_arrow_types_are_taken_as_they_are():
    """A type, or a schema as the fields of an object."""
    assert declared(pa.int8()) == pa.int8()
    assert declared(pa.schema([("a", pa.int8())])) == pa.struct({"a": pa.int8()})


@pytest.mark.parametrize(
    "text", ["", "dubble", "a int,", "array<", "map<int>", "double;", "decimal(x)", 7, None]
)
def test_what_is_no_declaration_is_one_clear_message(text):
    """Whatever is wrong with it."""
    with pytest.raises(UsageError, match="not a schema"):
        declared(text)
