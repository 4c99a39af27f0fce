"""Columns of any name and any type, as items and passing through."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from wrapgen.errors import UsageError
from wrapgen.run.output.layouts import Layout
from wrapgen.run.output.sink import sink_for
from wrapgen.spark import apply

TYPES = {
    "null": None,
    "-5Y": -5,
    "float(1.5)": 1.5,
    "cast(1.5 as decimal(38,18))": "1.500000000000000000",
    "'a' collate UTF8_LCASE": "a",
    "parse_json('{\"a\": [1, 0.5]}')": {"a": [1, 0.5]},
    "X'6162'": "YWI=",
    "date'-0044-03-15'": "-0044-03-15",
    "timestamp'9999-12-31 23:59:59Z'": "9999-12-31T23:59:59+00:00",
    "timestamp_ntz'0001-01-01 00:00:00'": "0001-01-01T00:00:00",
    "interval '1 2:03:04' day to second": 93784.0,
    "map(X'6b', array(date'2020-01-02'))": {"k": ["2020-01-02"]},
    "map(true, 1)": {"true": 1},
    "named_struct('a.b', 1, 'c d', null)": {"a.b": 1, "c d": None},
}
"""What a column is, and the JSON that its item is."""

PASSING = [
    "interval '1-2' year to month",
    "make_interval(1, 2, 3, 4, 5, 6, 7.5)",
    "named_struct('y', array(interval '1-2' year to month))",
    "named_struct('a', 1, 'a', 2)",
    "map(interval '1-2' year to month, 1)",
]
"""Columns that have no JSON."""


@pytest.fixture
def common(platform, request) -> dict:
    """What every call of `apply` here takes."""
    facts = platform.facts
    run = f"columns-{time.time_ns():x}"
    return {"id": "n", "run": run, "schema": "json", "address": facts["address"], "key": facts["api_key"]}


def test_a_column_of_any_type_is_an_item_or_passes(platform, spark, common):
    """Each type is the JSON that a user would write; what has none passes, and comes back as it was."""
    columns = [f"{expression} as `c.{at}`" for at, expression in enumerate([*TYPES, *PASSING])]
    frame = spark.session.sql(f"select 7 as n, {', '.join(columns)}")
    names = [f"c.{at}" for at in range(len(TYPES))]
    scored = apply(frame, platform.reference, input=["n", *names], **common)
    assert [field.name for field in scored.schema] == [*frame.columns, "result", "error"]
    assert [one.dataType for one in scored.schema.fields[:-2]] == [one.dataType for one in frame.schema]
    passing = [f"string(`c.{at}`)" for at in range(len(TYPES), len(columns))]
    assert scored.selectExpr(*passing).first() == frame.selectExpr(*passing).first()
    assert scored.select("error").first().error is None
    (record,) = platform.records(common["run"]).values()
    assert record["input"] == {"n": 7, **dict(zip(names, TYPES.values(), strict=True))}
    for at in range(len(TYPES), len(columns)):
        with pytest.raises(UsageError, match=f"column 'c.{at}' is .*, which has no JSON"):
            apply(frame, platform.reference, input=f"c.{at}", **common)


def test_a_value_that_json_cannot_say_is_an_error_of_its_row(platform, spark, common):
    """NaN ends no job: its row says which column; the others are scored."""
    frame = spark.session.sql("select id as n, if(id = 1, double('NaN'), 0.5D) as `x.y` from range(3)")
    rows = apply(frame, platform.reference, input=["n", "x.y"], **common).collect()
    assert [row.error is None for row in rows] == [True, False, True]
    assert "column 'x.y': the value is NaN" in rows[1].error.message


def test_names_of_columns_are_spark_s_names(platform, spark, common):
    """Backticks, names that differ in case and names that stand twice are found, or refused in one line."""
    frame = spark.session.sql("select 1 as n, 'x' as `a``b.c`, 2 as twice, 3 as twice, 4 as Result")
    with pytest.raises(UsageError, match="a column 'Result' already"):
        apply(frame, platform.reference, input="a`b.c", **common)
    with pytest.raises(UsageError, match="2 columns are called 'twice'"):
        apply(frame, platform.reference, input="twice", output="out", **common)
    row = apply(frame, platform.reference, input="A`B.C", output="out.put", error="er`r", **common).first()
    assert tuple(row) == (1, "x", 2, 3, 4, '"X"', None)
    spark.session.conf.set("spark.sql.caseSensitive", "true")
    try:
        scored = apply(frame.drop("twice"), platform.reference, input="a`b.c", **common)
        assert tuple(scored.first()) == (1, "x", 4, '"X"', None)
        with pytest.raises(UsageError, match="no column 'A`B"):
            apply(frame, platform.reference, input="A`B.C", **common)
    finally:
        spark.session.conf.unset("spark.sql.caseSensitive")


def test_a_result_may_have_any_type_that_a_column_can(platform, spark, common):
    """A type that Arrow lacks is refused in one line; a result that does not fit is its row's error."""
    frame = spark.session.sql("select 1 as n")
    declared = {**common, "input": ["n"]}
    row = apply(frame, platform.reference, **{**declared, "schema": "timestamp"}).first()
    assert row.result is None and row.error.type == "ParsingError"
    with pytest.raises(UsageError, match="results can't be interval"):
        apply(frame, platform.reference, **{**declared, "schema": "interval"})


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
def test_spark_reads_the_tables_of_a_run(spark, tmp_path, suffix, delimiter):
    """A table that a run wrote is read back cell by cell, with the two options that the manual names."""
    texts = [
        'a"b',
        '""',
        "a,b",
        "a\tb",
        "line\nbreak",
        "cr\rhere",
        "crlf\r\nx",
        "\\",
        '\\"',
        "  led",
        "\r",
        "#c",
        "\u2028",
    ]
    rows = [[str(at), text] for at, text in enumerate(texts)]
    path = tmp_path / f"out.{suffix}"
    table = SimpleNamespace(layout=Layout(), columns=lambda: ["n", "text"], rows=lambda _: iter(rows))
    sink_for(path, table.layout).write(table)
    read = spark.session.read.csv(str(path), header=True, sep=delimiter, escape='"', multiLine=True)
    assert [list(row) for row in read.collect()] == rows
