"""Every type of Parquet and Spark is the JSON that a user would write, or an error of its row alone."""

from __future__ import annotations

import json
import uuid
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from wrapgen.errors import RunError
from wrapgen.run.input.arrow import cell_reader
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.times import UNITS, date_text, instant_text
from wrapgen.run.output.layouts import Layout


def items(path, table, **write):
    """The items that a run makes of a table's rows."""
    parquet.write_table(table, path, **write)
    return [json.loads(entry.item) for entry in Selected(find(str(path)), Selection()).entries()]


def read(values, kind, *leaves):
    """The cells of a column of this type."""
    array = values if isinstance(values, pa.Array) else pa.array(values, kind)
    return cell_reader(array.type, leaves)(array)


def micros(*parts):
    """Microseconds since 1970."""
    return int((datetime(*parts) - datetime(1970, 1, 1)) / timedelta(microseconds=1))


FAR = [micros(9999, 12, 31, 23, 59, 59), micros(1, 1, 1), 253_402_300_800_000_000, -62_167_219_200_000_001]
FAR_TEXTS = ["9999-12-31T23:59:59", "0001-01-01T00:00:00", "10000-01-01T00:00:00"]


@pytest.mark.parametrize("int96", [False, True])
def test_a_far_moment_is_that_moment(tmp_path, int96):
    """Moments before 1677 and after 2262 are what the file holds, also as INT96, which are instants."""
    column = pa.array(FAR, pa.int64()).view(pa.timestamp("us"))
    found = items(tmp_path / "in.parquet", pa.table({"t": column}), use_deprecated_int96_timestamps=int96)
    zone = "+00:00" if int96 else ""
    assert [row["t"] for row in found] == [
        *(text + zone for text in FAR_TEXTS),
        "-0001-12-31T23:59:59.999999" + zone,
    ]


def test_int96_keeps_its_nanoseconds(tmp_path):
    """Where 64 bits hold the nanoseconds of a moment all are there; within lists there are microseconds."""
    path, rows = tmp_path / "in.parquet", 10_000
    column = pa.array([*range(1, rows), None]).view(pa.timestamp("ns"))
    table = pa.table({"n": range(rows), "t": column, "within": [[one] for one in column]})
    found = items(path, table, use_deprecated_int96_timestamps=True, row_group_size=3000)
    assert [row["t"] for row in found[:3]] == [f"1970-01-01T00:00:00.00000000{n}+00:00" for n in (1, 2, 3)]
    assert found[-2]["t"] == "1970-01-01T00:00:00.000009999+00:00" and found[-1]["t"] is None
    assert found[-2]["within"] == ["1970-01-01T00:00:00.000009+00:00"]


def test_times_keep_their_digits_and_need_no_known_zone():
    """Nanoseconds are nine digits where six would lose some; a zone that nobody knows still is an instant."""
    assert read(pa.array([1, 1000, 10**9]).view(pa.timestamp("ns")), None) == [
        "1970-01-01T00:00:00.000000001",
        "1970-01-01T00:00:00.000001",
        "1970-01-01T00:00:01",
    ]
    assert read(pa.array([0]).view(pa.timestamp("ms", "Middle/Earth")), None) == ["1970-01-01T00:00:00+00:00"]
    assert read(pa.array([1]).view(pa.time64("ns")), None) == ["00:00:00.000000001"]
    assert read(pa.array([1500]).view(pa.duration("ms")), None) == [1.5]


@settings(deadline=None)
@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(sorted(UNITS)))
def test_a_moment_within_pythons_years_is_what_python_says(count, unit):
    """Every moment is spelt as Python spells it, and has one beyond its years."""
    text = instant_text(UNITS[unit], "")(count)
    try:
        told = datetime(1970, 1, 1) + timedelta(microseconds=count * 1_000_000 // UNITS[unit])
    except OverflowError:
        assert text[0] in "-0" or len(text.split("-")[0]) > 4
        return
    assert datetime.fromisoformat(text[:26]) == told


def test_a_day_outside_pythons_calendar_is_that_day():
    """The calendar goes on before the year 1 and after 9999."""
    first = date(1, 1, 1).toordinal() - date(1970, 1, 1).toordinal()
    assert [date_text(first), date_text(first - 1), date_text(first - 366)] == [
        "0001-01-01",
        "0000-12-31",
        "0000-01-01",
    ]
    assert date_text(first - 367) == "-0001-12-31"
    assert date_text(2_932_896 + 60) == "10000-02-29"  # 10000 is a leap year


NO_LIST = [None] if int(pa.__version__.split(".")[0]) >= 26 else []
"""What stands for a list of a fixed size that is missing: PyArrow below 26 can't read one."""

NAME = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")
TYPES = [
    ("uuid", pa.array([NAME.bytes, None], pa.binary(16)), [str(NAME), None], pa.uuid()),
    ("half", pa.array([1.5], pa.float16()), [1.5], None),
    ("unsigned", pa.array([2**64 - 1], pa.uint64()), [2**64 - 1], None),
    ("dictionary", pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"], None),
    ("views", pa.array(["a"], pa.string_view()), ["a"], None),
    ("large", pa.array([["a"]], pa.large_list(pa.large_string())), [["a"]], None),
    ("fixed", pa.array([[b"x"], *NO_LIST], pa.list_(pa.binary(), 1)), [["eA=="], *NO_LIST], None),
    (
        "days",
        pa.array([[date(2020, 1, 2)], [], None], pa.list_(pa.date64())),
        [["2020-01-02"], [], None],
        None,
    ),
    ("money", pa.array([Decimal("0.10")], pa.decimal256(40, 2)), ["0.10"], None),
    ("nothing", pa.nulls(2), [None, None], None),
    ("structs", pa.array([{"a": b"x"}, None, {"a": None}]), [{"a": "eA=="}, None, {"a": None}], None),
]


@pytest.mark.parametrize(("name", "array", "told", "kind"), TYPES, ids=[case[0] for case in TYPES])
def test_a_type_is_the_json_that_a_user_would_write(tmp_path, name, array, told, kind):
    """Each type of a column, whole and in a slice, also within a file."""
    if kind is not None:
        array = pa.ExtensionArray.from_storage(kind, array)
    assert read(array, None) == told
    assert read(array[1:], None) == told[1:]
    assert [row[name] for row in items(tmp_path / "in.parquet", pa.table({name: array}))] == told


def test_what_only_parquet_knows_is_told_at_any_depth(tmp_path):
    """An enum is text and an interval an ISO 8601 duration, where the file's schema says so."""
    nested = pa.array([{"a": b"RED", "n": 1}, None])
    assert read(nested, None, "ENUM", "") == [{"a": "RED", "n": 1}, None]
    assert read([b"RED"], None, "ENUM") == ["RED"] and read([b"RED"], None) == [b"RED"]
    parts = b"".join(part.to_bytes(4, "little") for part in (1, 2, 3004))
    assert read([parts], pa.binary(12), "INTERVAL") == ["P1M2DT3.004S"]
    parquet.write_table(pa.table({"e": [["RED"], None]}), tmp_path / "in.parquet", store_schema=False)
    text, enum = (
        bytes([0x25, 0, 0x4C, 0x1C, 0, 0]),
        bytes([0x25, 8, 0x4C, 0x4C, 0, 0]),
    )  # as the schema says it
    (tmp_path / "in.parquet").write_bytes((tmp_path / "in.parquet").read_bytes().replace(text, enum))
    assert [row.value for row in find(str(tmp_path / "in.parquet")).rows()] == [{"e": ["RED"]}, {"e": None}]
    document = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a": [1]}', None]))
    assert read(document, None) == [{"a": [1]}, None]


def test_keys_of_maps_are_spelt_as_json_spells_them(tmp_path):
    """Bytes are text as a key, numbers and booleans as in JSON; slices and nulls keep their place."""
    for kind, key, told in [
        (pa.binary(), b"k1", "k1"),
        (pa.int64(), 1, "1"),
        (pa.bool_(), True, "true"),
        (pa.date32(), date(2020, 1, 2), "2020-01-02"),
        (pa.timestamp("us", "UTC"), datetime(2020, 1, 2, tzinfo=timezone.utc), "2020-01-02T00:00:00+00:00"),
    ]:
        array = pa.array([[], [(key, b"x")], None], pa.map_(kind, pa.binary()))
        assert read(array[1:], None) == [{told: "eA=="}, None]
        assert items(tmp_path / "in.parquet", pa.table({"m": array})) == [
            {"m": {}},
            {"m": {told: "eA=="}},
            {"m": None},
        ]


NAMED = pa.map_(pa.binary(), pa.int64())
BAD = [
    ("not a number", pa.array([1.0, float("nan")]), "column 'x': the value is NaN"),
    ("infinity", pa.array([[1.0], [0.5, float("-inf")]]), "column 'x.1': the value is -infinity"),
    ("two keys", pa.array([[], [(b"a", 1), (b"a", 2)]], NAMED), "column 'x': two keys of a map are 'a'"),
    ("key", pa.array([[], [(b"\xff", 1)]], NAMED), "column 'x': b'\\xff' is not text in UTF-8"),
    ("time", pa.array([0, 86_400_000], pa.int32()).view(pa.time32("ms")), "column 'x': a time of day is"),
]


@pytest.mark.parametrize(("column", "says"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
def test_what_json_cannot_say_is_an_error_of_its_row_alone(tmp_path, column, says):
    """The row with the value becomes an item that fails and says its row and column; the others go."""
    table = pa.table({"n": [1, 2], "x": column})
    first, second = items(tmp_path / "in.parquet", table)
    assert first["n"] == 1
    error = second["$error"]
    assert error["type"] == "InputError" and error["message"].startswith(f"row 2, {says}")
    (_, good) = Selected(find(str(tmp_path / "in.parquet")), Selection(field="n")).entries()
    assert good.item == b"2"
    made = Selected(find(str(tmp_path / "in.parquet")), Selection(template='{"t": "is {x}", "n": "{n}"}'))
    (_, filled) = made.entries()
    assert b"row 2, column 'x" in filled.item and b"InputError" in filled.item


def test_columns_of_one_name_are_refused(tmp_path):
    """Of two columns, or two fields of a struct, with one name none is lost: the file is refused."""
    path = tmp_path / "in.parquet"
    one = pa.array([1])
    parquet.write_table(pa.Table.from_arrays([one, one], names=["a", "a"]), path)
    with pytest.raises(RunError, match="column 'a' appears twice"):
        list(find(str(path)).rows())
    with pytest.raises(TypeError, match="column 'b' appears twice"):
        cell_reader(pa.struct([("b", pa.int64()), ("b", pa.int64())]))


def test_a_joined_row_has_null_for_what_json_cannot_say(tmp_path, bench, memory_wrapper):
    """The outcome of a row that failed for a value stands with the rest of the row."""
    column = pa.array([0.5, float("nan"), None])
    keys = pa.array([[(b"\xff", 1)]] * 3, pa.map_(pa.binary(), pa.int64()))
    parquet.write_table(pa.table({"n": [1, 2, 3], "x": column, "m": keys}), tmp_path / "in.parquet")
    source = find(str(tmp_path / "in.parquet"))
    for name in ("out.jsonl", "out.csv", "out.parquet"):
        summary = bench.run(
            memory_wrapper(), [], source=source, layout=Layout("joined"), output=bench.folder / name,
            selection=Selection(field="n"), budget=1.0,
        )  # fmt: skip
        assert summary.reason == ""
    assert bench.lines()[1]["input"] == {"n": 2, "x": None, "m": None}
