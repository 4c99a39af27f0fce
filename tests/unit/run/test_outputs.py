"""What a run writes: shapes, formats, failed items, and nothing half."""

from __future__ import annotations

import csv
import json
from types import SimpleNamespace

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv as pa_csv

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.output import column_types, layouts
from wrapgen.run.output.layouts import Layout
from wrapgen.run.output.sink import sink_for
from wrapgen.run.summary import EndState

ROWS = [{"name": "ann", "text": "a,b"}, {"name": "bob", "text": 'q"q'}, {"name": "éve", "text": "x\ny"}]
FAULTS = {"1": ["InputError"]}


def target(item):
    """A result with nested values."""
    return {"score": 0.5, "of": item, "none": None}


def table(path) -> list:
    """A CSV file as lists of cells."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_results_alone(bench, memory_wrapper):
    """The bare shape holds each result as it came, and an error object in a failed item's place."""
    bench.run(memory_wrapper(lambda item: item["name"], faults=FAULTS), ROWS, layout=Layout("bare"))
    first, second, third = bench.lines()
    assert (first, third) == ("ann", "éve") and second["$error"]["type"] == "InputError"


def test_joined_with_the_row_or_chosen_fields(bench, memory_wrapper):
    """The joined shape holds the input's row, or only the fields asked for, of row and result."""
    wrapper = memory_wrapper(target, faults=FAULTS)
    bench.run(wrapper, ROWS, layout=Layout("joined"), selection=Selection(field="text"))
    assert bench.lines()[0] == {
        "index": 0,
        "id": "0",
        "input": ROWS[0],
        "result": {"score": 0.5, "of": "a,b", "none": None},
    }
    assert bench.lines()[1]["input"] == ROWS[1] and "error" in bench.lines()[1]
    bench.run(
        wrapper, ROWS, layout=Layout("joined", ["name"], ["score", "nope"]), selection=Selection(field="text")
    )
    assert bench.lines()[2]["input"] == {"name": "éve"}
    assert bench.lines()[2]["result"] == {"score": 0.5, "nope": None}


def test_csv_has_fixed_columns_and_nested_values_as_json(bench, memory_wrapper):
    """A table has the same columns in each row; errors have columns of their own."""
    output = bench.folder / "out.csv"
    bench.run(memory_wrapper(target, faults=FAULTS), ROWS, output=output, layout=Layout("joined"))
    rows = table(output)
    assert rows[0] == ["index", "id", "input.name", "input.text", "result", "error_type", "error_message"]
    assert rows[1][:4] == ["0", "0", "ann", "a,b"]
    assert json.loads(rows[1][4]) == target(ROWS[0])
    assert rows[2][4:] == ["", "InputError", "as planned for 1"]
    assert rows[3][3] == "x\ny"


def test_a_joined_item_of_several_files_tells_its_file(bench, memory_wrapper):
    """Where the input is a pattern, every joined outcome has the name of its file."""
    for name in ("1", "10", "2"):
        (bench.folder / f"in-{name}.jsonl").write_text("1\n")
    source = find(str(bench.folder / "in-*.jsonl"))
    bench.run(memory_wrapper(), [], source=source, layout=Layout("joined"))
    assert [line["file"] for line in bench.lines()] == ["in-1.jsonl", "in-10.jsonl", "in-2.jsonl"]
    output = bench.folder / "out.csv"
    bench.run(memory_wrapper(), [], source=source, layout=Layout("joined"), output=output)
    assert [row[2] for row in table(output)] == ["file", "in-1.jsonl", "in-10.jsonl", "in-2.jsonl"]
    alone = find(str(bench.folder / "in-1.jsonl"))
    bench.run(memory_wrapper(), [], source=alone, layout=Layout("joined"), fresh=True)
    assert "file" not in bench.lines()[0]


def write_table(path, layout, columns, rows):
    """Writes cells as the outcomes of a run."""
    table = SimpleNamespace(layout=layout, columns=lambda: columns, rows=lambda _: iter(rows))
    sink_for(path, layout).write(table)


ODD = st.text(st.sampled_from(list("ab\0 \t\r\n\"',;|\\=-+@#'\x0b\x0c\x85\u2028\ufeff\x1cé")), max_size=5)


@pytest.mark.parametrize(("suffix", "delimiter"), [("csv", ","), ("tsv", "\t")])
@settings(deadline=None, max_examples=60)
@given(texts=st.lists(ODD, max_size=6))
def test_other_readers_read_what_was_written(tmp_path_factory, suffix, delimiter, texts):
    """Python's csv, pandas and Arrow read every cell of a table back as it was; a zero as JSON's escape."""
    pandas = pytest.importorskip("pandas")
    path = tmp_path_factory.getbasetemp() / f"out.{suffix}"
    rows = [["n", "text"], *([str(at), text] for at, text in enumerate(texts))]
    write_table(path, Layout(), rows[0], rows[1:])
    rows = [[n, text.replace("\0", r"\u0000")] for n, text in rows]
    with path.open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file, delimiter=delimiter, strict=True)) == rows
    frame = pandas.read_csv(path, sep=delimiter, dtype=str, keep_default_na=False)
    assert [list(frame.columns), *frame.to_numpy().tolist()] == rows
    table = pa_csv.read_csv(
        path,
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(column_types={"n": pa.string(), "text": pa.string()}),
    )
    assert [table.column_names, *map(list, zip(*table.to_pydict().values(), strict=True))] == rows


def test_parquet_holds_the_same(bench, memory_wrapper):
    """A Parquet output has the types that the results have, and null for what failed."""
    from pyarrow import parquet

    output = bench.folder / "out.parquet"
    bench.run(memory_wrapper(target, faults=FAULTS), ROWS, output=output, layout=Layout(pick=["score"]))
    rows = parquet.read_table(output).to_pylist()
    assert rows[0] == {
        "index": 0,
        "id": "0",
        "result.score": 0.5,
        "error_type": None,
        "error_message": None,
    }
    assert rows[1]["result.score"] is None and rows[1]["error_type"] == "InputError"


RESULTS = [
    {
        "n": 1,
        "f": 1,
        "s": {"a": [1, 2], "b": None},
        "mixed": 1,
        "large": 2**60,
        "huge": 2**70,
        "e": {},
        "l": [],
    },
    {
        "n": 2**53,
        "f": 0.5,
        "s": {"a": [], "c": "\ud83d"},
        "mixed": [{"x": 1}],
        "large": 1,
        "huge": 1,
        "e": {},
    },
]


def test_parquet_keeps_numbers_lists_and_structs(bench, memory_wrapper):
    """Numbers, lists and structs are columns of such; what differs in type from row to row is JSON text."""
    from pyarrow import parquet

    output = bench.folder / "out.parquet"
    bench.run(memory_wrapper(lambda item: RESULTS[item]), [0, 1], output=output, layout=Layout())
    found = parquet.read_table(output)
    kinds = {one.name: str(one.type) for one in found.schema.field("result").type}
    assert kinds == {
        "n": "int64",
        "f": "double",
        "s": "struct<a: list<element: int64>, b: string, c: string>",
        "mixed": "string",
        "large": "int64",
        "huge": "string",
        "e": "string",
        "l": "list<element: string>",
    }
    first, second = (row["result"] for row in found.to_pylist())
    assert first["s"] == {"a": [1, 2], "b": None, "c": None} and first["huge"] == str(2**70)
    assert second["s"] == {"a": [], "b": None, "c": "\\ud83d"} and second["mixed"] == '[{"x":1}]'
    assert (first["large"], second["n"], second["f"], first["e"]) == (2**60, 2**53, 0.5, "{}")


def test_objects_with_ever_other_fields_are_json_text(bench, memory_wrapper, monkeypatch):
    """A map with keys of its own in every row makes no endless list of columns."""
    from pyarrow import parquet

    monkeypatch.setattr(column_types, "MOST_FIELDS", 3)
    output = bench.folder / "out.parquet"
    bench.run(memory_wrapper(lambda item: {f"k{item}": item}), list(range(5)), output=output)
    assert parquet.read_table(output)["result"].to_pylist()[4] == '{"k4":4}'


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.sampled_from("abc"), parts, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=50)
@given(results=st.lists(JSON, max_size=4))
def test_any_results_are_a_parquet_file_of_the_same(tmp_path_factory, results):
    """Whatever results there are, every scalar and text of them is in the file, and none became another."""
    from pyarrow import parquet

    path = tmp_path_factory.getbasetemp() / "any.parquet"
    write_table(path, Layout(), ["result"], [[one] for one in results])
    found = parquet.read_table(path)["result"].to_pylist()
    assert len(found) == len(results)
    for one, read in zip(results, found, strict=True):
        assert _kept(one, read), (one, read)


def _kept(one, read):
    """Whether a value of a column is the result; the fields that others have are null."""
    if isinstance(one, dict) and isinstance(read, dict):
        return all(_kept(one.get(name), read[name]) for name in {*one, *read})
    if isinstance(one, list) and isinstance(read, list):
        return len(one) == len(read) and all(map(_kept, one, read))
    if isinstance(read, str) and not isinstance(one, str):
        return json.loads(read) == one
    return (
        one == read
        or (isinstance(read, str) and json.dumps(one) == read)
        or json.dumps(one, ensure_ascii=False) == read
    )


def test_a_parquet_output_of_the_first_edition_is_still_verified(bench, memory_wrapper):
    """Outputs that 0.1.0 wrote hold text alone; their ledgers say no edition."""
    from pyarrow import parquet

    path = bench.folder / "old.parquet"
    write_table(path, Layout(edition=1), ["index", "result"], [[0, {"a": 1}], [1, None]])
    assert parquet.read_table(path).to_pylist() == [
        {"index": 0, "result": '{"a":1}'},
        {"index": 1, "result": None},
    ]


def test_no_cell_of_a_safe_table_is_a_formula(bench, memory_wrapper):
    """What a spreadsheet would run has an apostrophe in front; numbers and all else are as they were."""
    evil = ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1+1"]
    evil += ["\ufeff=1", "\u200b@x", "\x01=1", "﹦1"]
    harmless = ["-5", "+1.5e3", "a=1", "", "it's", -5, 1.5, {"a": "=1"}]
    output = bench.folder / "out.csv"
    rows = [{"k": value, "=name": "x"} for value in [*evil, *harmless]]
    bench.run(
        memory_wrapper(lambda item: item), rows, output=output, layout=Layout("joined", pick=["k"], safe=True)
    )
    cells = [(row[2], row[4]) for row in table(output)][1:]
    assert cells[: len(evil)] == [(f"'{value}", f"'{value}") for value in evil]
    plain = [("", "") if value is None else value for value in harmless]
    assert [cell for cell, _ in cells[len(evil) :]] == [
        v if isinstance(v, str) else json.dumps(v, separators=(",", ":")) for v in plain
    ]
    assert output.read_bytes().count(b'","') > len(rows)  # another locale's delimiter divides no cell
    with pytest.raises(UsageError, match="--csv-safe is for tables"):
        sink_for(bench.folder / "out.jsonl", Layout(safe=True))


def test_a_table_has_the_fields_of_all_rows(bench, memory_wrapper):
    """Rows that differ in their fields are joined under the columns of all of them, none is left out."""
    output = bench.folder / "out.csv"
    rows = [{"a": 1}, {"b": {"c": 2}, "a": None}, {"b.c": ""}]
    bench.run(memory_wrapper(lambda _: 1), rows, output=output, layout=Layout("joined"))
    found = [row[2:5] for row in table(output)]
    assert found == [["input.a", "input.b", "input.b.c"], ["1", "", ""], ["", '{"c":2}', ""], ["", "", ""]]
    mixed = bench.folder / "mixed.csv"
    bench.run(memory_wrapper(lambda _: 1), [{"a": 1}, [2], "x"], output=mixed, layout=Layout("joined"))
    assert [row[2] for row in table(mixed)] == ["input", '{"a":1}', "[2]", "x"]


def test_too_many_fields_for_a_table_say_what_to_do(bench, memory_wrapper, monkeypatch):
    """Rows with ever other fields make no table, but leave a run that goes on with chosen fields."""
    monkeypatch.setattr(layouts, "MOST_COLUMNS", 5)
    output = bench.folder / "out.csv"
    rows = [{f"f{n}": 1} for n in range(9)]
    summary = bench.run(memory_wrapper(), rows, output=output, layout=Layout("joined"))
    assert summary.state is EndState.INCOMPLETE and "first 6 rows have more than 5 fields" in summary.reason
    assert not output.exists()
    summary = bench.run(memory_wrapper(), rows, output=output, layout=Layout("joined", ["f1", "f1"]))
    assert summary.state is EndState.OK and table(output)[0][2:4] == ["input.f1", "result"]


@pytest.mark.parametrize("layout", [Layout(), Layout("joined"), Layout("bare", pick=["a", "b"])])
def test_a_table_of_nothing_is_a_table(bench, memory_wrapper, layout):
    """An empty input gives a CSV file with its header, and a Parquet file with its columns."""
    from pyarrow import parquet

    output = bench.folder / "out.csv"
    bench.run(memory_wrapper(), [], output=output, layout=layout)
    names = table(output)[0]
    assert names[-2:] == ["error_type", "error_message"] and len(table(output)) == 1
    bench.run(memory_wrapper(), [], output=bench.folder / "out.parquet", layout=layout)
    found = parquet.read_table(bench.folder / "out.parquet")
    assert (found.column_names, found.num_rows) == (names, 0)


def test_what_json_or_utf8_cannot_say_makes_no_broken_output(bench, memory_wrapper):
    """NaN and infinity of a joined row are null, bytes base64 text, half a character its escape."""
    from pyarrow import Table, parquet

    source = bench.folder / "in.parquet"
    row = {"n": float("nan"), "i": float("inf"), "l": [float("nan")], "b": b"\xff", "t": "x"}
    parquet.write_table(Table.from_pylist([row]), source)
    wrapper = memory_wrapper(lambda _: {"big": 1, "half": "\ud83d"})
    joined = {"layout": Layout("joined"), "selection": Selection(field="t"), "source": find(str(source))}
    bench.run(wrapper, [], **joined)
    line = json.loads(bench.output.read_text(), parse_constant=pytest.fail)
    assert line["input"] == {"n": None, "i": None, "l": [None], "b": "/w==", "t": "x"}
    wanted = ["", "", "[null]", "/w==", "x", '{"big":1,"half":"\\ud83d"}']
    bench.run(wrapper, [], output=bench.folder / "out.csv", **joined)
    assert table(bench.folder / "out.csv")[1][2:8] == wanted
    bench.run(wrapper, [], output=bench.folder / "out.parquet", **joined)
    (found,) = parquet.read_table(bench.folder / "out.parquet").to_pylist()
    assert list(found.values())[2:8] == [None, None, [None], "/w==", "x", {"big": 1, "half": "\\ud83d"}]


def test_keep_without_joined_is_refused(tmp_path):
    """Options that have no effect together are said before anything is paid for."""
    with pytest.raises(UsageError):
        sink_for(tmp_path / "out.jsonl", Layout("keyed", ["a"]))


def test_order_is_restored_however_items_came_back(bench, memory_wrapper):
    """Items that succeed late stand in their place all the same."""
    faults = {str(n): ["ServerError", "ServerError", None] for n in range(0, 3000, 7)}
    summary = bench.run(memory_wrapper(faults=faults), list(range(3000)), budget=1.0)
    assert summary.state is EndState.OK
    assert [line["result"]["seen"] for line in bench.lines()] == list(range(3000))


def test_failed_items_can_be_run_again(bench, memory_wrapper):
    """Running the errors file reopens exactly those keys, in the same run, with higher tries."""
    wrapper = memory_wrapper(faults={"3": ["InputError", None], "8": ["InputError", None]})
    bench.run(wrapper, [{"n": n} for n in range(10)], selection=Selection())
    lines = [json.loads(x) for x in (bench.folder / "out.jsonl.errors.jsonl").read_text().splitlines()]
    before = len(wrapper.calls)
    again = bench.folder / "again.jsonl"
    summary = bench.run(wrapper, [], source=MemorySource(lines), reopen=True, output=again)
    assert summary.state is EndState.OK and summary.run == "r1" and summary.counts.items == 2
    (call,) = wrapper.calls[before:]
    assert (call["$run"], call["$ids"], call["$index"], call["$try"]) == ("r1", ["3", "8"], [3, 8], 2)
    assert [json.loads(x) for x in again.read_text().splitlines()] == [
        {"index": 3, "id": "3", "result": {"seen": {"n": 3}}},
        {"index": 8, "id": "8", "result": {"seen": {"n": 8}}},
    ]
    assert wrapper.records["3"] == [(1, "InputError"), (2, "result")]


def test_ids_are_the_users(bench, memory_wrapper):
    """With an id field, calls carry ids and outcomes stand under them."""
    wrapper = memory_wrapper(faults={"k2": ["ServerError", "ServerError", None]})
    bench.run(wrapper, [{"k": f"k{n}"} for n in range(5)], selection=Selection(id="k"))
    assert [line["id"] for line in bench.lines()] == ["k0", "k1", "k2", "k3", "k4"]
    assert wrapper.calls[0]["$ids"] == ["k0", "k1", "k2", "k3", "k4"] and wrapper.calls[0]["$index"] == 0
    assert wrapper.calls[1]["$ids"] == ["k2"] and wrapper.calls[1]["$index"] == 2


def test_a_repeated_id_is_refused_before_the_first_call(bench, memory_wrapper):
    """Two rows with one id are found on disk, wherever they stand, and nothing is sent."""
    wrapper = memory_wrapper()
    rows = [{"k": n} for n in range(5000)]
    rows[4321] = {"k": 17}
    with pytest.raises(RunError, match="row 4,322 of the input has the id of row 18"):
        bench.run(wrapper, rows, selection=Selection(id="k"))
    assert not wrapper.calls


@pytest.mark.parametrize("stuck", ["out.jsonl.part", "out.jsonl.errors.jsonl.part"])
def test_a_run_whose_files_cannot_be_written_is_incomplete(bench, memory_wrapper, stuck):
    """The ledger notes an end only when the files are there; the same command writes them without a call."""
    wrapper = memory_wrapper(faults=FAULTS)
    (bench.folder / stuck).mkdir()
    summary = bench.run(wrapper, ROWS)
    assert (summary.state, summary.exit_code, summary.output) == (EndState.INCOMPLETE, 12, None)
    assert summary.reason.startswith("the files of the run can't be written: ")
    assert not bench.output.exists() and bench.ledger()[-1]["state"] == "incomplete"
    (bench.folder / stuck).rmdir()
    calls = len(wrapper.calls)
    assert bench.run(wrapper, ROWS).state is EndState.ERRORS and len(wrapper.calls) == calls
    assert [entry["e"] for entry in bench.ledger()[-2:]] == ["output", "end"]
