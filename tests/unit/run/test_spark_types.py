"""What a Spark column takes of a result."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path

import pytest

pa = pytest.importorskip("pyarrow")

from wrapgen.errors import NotAuthorized, PlatformError, UsageError  # noqa: E402
from wrapgen.run.hosts.description import Description  # noqa: E402
from wrapgen.run.hosts.memory import MemoryHost  # noqa: E402
from wrapgen.run.input import parquet  # noqa: E402
from wrapgen.run.input.arrow import cell_reader  # noqa: E402
from wrapgen.run.integrations.spark import _probed, per_batch  # noqa: E402
from wrapgen.run.integrations.table_driver import widened  # noqa: E402
from wrapgen.run.integrations.table_plan import CONTENT, TablePlan, _entry, fitted  # noqa: E402


def test_no_fraction_is_cut() -> None:
    """A number that its column would change is refused, at any depth, and so is a number as a time."""
    nested = pa.struct([("a", pa.list_(pa.int64()))])
    assert fitted(0.5, pa.int64()) is None
    assert fitted({"a": [1, 0.5]}, nested) is None
    assert fitted(20, pa.timestamp("us")) is None
    assert fitted({"a": [1, 2]}, nested) == {"a": [1, 2]}
    assert fitted(20, pa.float64()) == 20.0


def test_inferred_integers_are_doubles() -> None:
    """A probe that saw whole numbers alone leaves room for later rows' fractions, at any depth."""
    found = widened(pa.infer_type([{"a": [1], "b": "x"}]))
    assert fitted({"a": [0.5], "b": "x"}, found) == {"a": [0.5], "b": "x"}


def test_rows_that_are_not_json_have_ids_of_their_own() -> None:
    """With the content as id, a row that is no JSON shares no id with null or with another such row."""
    rows = [None, object(), object()]
    assert len({_entry(0, row, None, True, 0).id for row in rows}) == len(rows)


def read(values: list, kind) -> list:
    """What a column of an Arrow type becomes in items."""
    plan = TablePlan(*[None] * 4, "item", CONTENT, *[None] * 6)
    return [item for item, _ in plan.items(pa.RecordBatch.from_pydict({"item": pa.array(values, kind)}))]


def test_an_instant_is_the_same_text_in_every_zone() -> None:
    """The probe and the tasks get timestamps in different zones, and send one item under one id."""
    moment = datetime(2026, 5, 1, 12, 30, tzinfo=timezone.utc)
    nested = pa.struct([("at", pa.list_(pa.timestamp("us", "Asia/Tokyo")))])
    for zone in ("UTC", "America/Los_Angeles"):
        assert read([moment, None], pa.timestamp("us", zone)) == ["2026-05-01T12:30:00+00:00", None]
    assert read([{"at": [moment]}], nested) == [{"at": ["2026-05-01T12:30:00+00:00"]}]
    assert read([moment.replace(tzinfo=None)], pa.timestamp("us")) == ["2026-05-01T12:30:00"]


def test_no_decimal_loses_a_digit() -> None:
    """A column whose digits a double keeps gives numbers, any other one text; whole ones stay whole."""
    assert read([Decimal("0.10"), Decimal("2.00")], pa.decimal128(10, 2)) == [0.1, 2]
    long = "12345678901234567.123456789"
    assert read([Decimal(long), Decimal(1)], pa.decimal128(38, 9)) == [long, "1.000000000"]
    assert read([Decimal(10**30 + 1)], pa.decimal128(38, 0)) == [10**30 + 1]
    assert read([{"sum": Decimal("1.5")}], pa.struct([("sum", pa.decimal128(38, 9))])) == [
        {"sum": "1.500000000"}
    ]


def test_a_map_is_an_object_though_it_is_empty() -> None:
    """Arrow hands out pairs, which a list of none would hide."""
    assert read([{"a": 1}, {}, None], pa.map_(pa.string(), pa.int64())) == [{"a": 1}, {}, None]


class Refused:
    """A platform that no longer takes the key."""

    def host(self, reference: str) -> MemoryHost:
        """Its answer to anything."""
        return MemoryHost(self.call, reference)

    def call(self, *_: object) -> bytes:
        raise NotAuthorized("the key is wrong", hint="")


class Frame:
    """A data frame of these items, as the probe looks at it, and as a batch of a stream."""

    def __init__(self, *items: str) -> None:
        self._items = list(items)
        self.sparkSession = self.sparkContext = self

    def select(self, *_: str) -> Frame:
        """The columns that there are."""
        return self

    def limit(self, _: int) -> Frame:
        """The rows that there are."""
        return self

    def toArrow(self):
        """As Arrow has it."""
        return pa.table({"item": pa.array(self._items, pa.string())})

    def getLocalProperty(self, _: str) -> str:
        """The id of the stream's query."""
        return "query"


def probed(frame: Frame) -> object:
    """What the probe finds on a platform that refuses everyone."""
    about = Description("t", "both", "s", 300, 10_000, 1, 1, None)
    plan = TablePlan(Refused(), "a/B/1.0.0", about, "run", "item", CONTENT, None, False, 1, 1, 1, 0)
    return _probed(frame, plan)


def test_a_platform_that_stops_everyone_stops_the_probe_in_one_line() -> None:
    """The rows that find out the schema are sent by the driver, which says what a command says."""
    pytest.importorskip("pyspark")
    with pytest.raises(PlatformError, match="the key is wrong"):
        probed(Frame("a"))


def test_a_batch_without_rows_ends_no_stream() -> None:
    """Nothing says what type its results would have, and nothing has to be written."""
    pytest.importorskip("pyspark")
    with pytest.raises(UsageError, match="no row that could say"):
        probed(Frame())
    written: list[object] = []
    per_batch(lambda batch, run: probed(batch), lambda batch, number: written.append(number))(Frame(), 3)
    assert not written


def test_a_parquet_file_has_the_items_that_spark_has(tmp_path: Path) -> None:
    """Instants, long decimals, maps and bytes within a value are the same in both: ids by content agree."""
    from pyarrow.parquet import write_table

    moment = datetime(2026, 5, 1, 12, 30, tzinfo=timezone.utc)
    table = pa.table(
        {
            "at": pa.array([moment, None], pa.timestamp("us", "Asia/Tokyo")),
            "sum": pa.array([Decimal("0.123456789"), Decimal(2)], pa.decimal128(38, 9)),
            "facts": pa.array([[("a", moment)], []], pa.map_(pa.string(), pa.timestamp("us", "UTC"))),
            "held": pa.array([{"raw": b"x"}, None], pa.struct([("raw", pa.binary())])),
        }
    )
    write_table(table, tmp_path / "in.parquet")
    cells = [
        cell_reader(table.schema.field(name).type)(table.column(name).combine_chunks())
        for name in table.column_names
    ]
    spark = [dict(zip(table.column_names, row, strict=True)) for row in zip(*cells, strict=True)]
    assert [row.value for row in parquet.rows(tmp_path / "in.parquet")] == spark
    assert spark[0] == {
        "at": "2026-05-01T12:30:00+00:00",
        "sum": "0.123456789",
        "facts": {"a": "2026-05-01T12:30:00+00:00"},
        "held": {"raw": "eA=="},
    }
