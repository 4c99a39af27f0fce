"""Tables as other programs write them: each is read as it is meant, or refused by name and line."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapgen import protocol
from wrapgen.errors import RunError
from wrapgen.run.input.decoding import text_lines
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.reading import Reading, told
from wrapgen.run.input.tables import NO_QUOTE
from wrapgen.run.output.layouts import Layout
from wrapgen.run.output.sink import sink_for


def source_of(path, content, **given):
    """The source of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return find(str(path), reading=Reading(**given))


def read(path, content, **given):
    """The rows of a file with this content."""
    return [row.value for row in source_of(path, content, **given).rows()]


MEANT = [
    ("semicolons", "csv", "\ufeffname;n\r\nMüller;1\r\n", [{"name": "Müller", "n": "1"}], "semicolons"),
    ("decimal commas", "csv", "a;b;c\n1,5;2,5;x\n", [{"a": "1,5", "b": "2,5", "c": "x"}], "semicolons"),
    ("bars", "csv", "a|b\n1|2\n", [{"a": "1", "b": "2"}], "bars"),
    ("tabs", "csv", "a\tb\n1\t2\n", [{"a": "1", "b": "2"}], "tabs"),
    ("for Excel", "csv", "sep=;\r\na;b\r\n1;2\r\n", [{"a": "1", "b": "2"}], "semicolons"),
    ("one column", "csv", "text\na;b\n\nc|d\n", [{"text": "a;b"}, {"text": ""}, {"text": "c|d"}], ""),
    ("a mark in the header", "csv", "text (a;b)\nx\ny\n", [{"text (a;b)": "x"}, {"text (a;b)": "y"}], ""),
    ("quoted", "csv", '"a;b",c\n"x\ny","q""q"\n', [{"a;b": "x\ny", "c": 'q"q'}], ""),
    ("old Mac", "csv", "a,b\r1,2\r3,4\r", [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}], ""),
    ("empty lines", "csv", "\na,b\n\n1,2\n\n", [{"a": "1", "b": "2"}], ""),
    ("nothing", "csv", "", [], ""),
    ("quotes as text", "tsv", 'id\ttext\n1\t"Hello" he said\n2\t5" pipe\n', None, "quotes are text"),
    ("a quoted word", "tsv", 'id\ttext\n1\t"hello"\n2\tx\n3\ty\n', None, "quotes are text"),
    ("quotes of cells", "tsv", 'id\ttext\n1\t"a\nb"\n', [{"id": "1", "text": "a\nb"}], ""),
    ("doubled quotes", "tsv", 'n\tt\n1\t"a ""b"""\n', [{"n": "1", "t": 'a "b"'}], ""),
    ("a quoted column", "tsv", 'n\tt\n1\t"a"\n2\t"b"\n', [{"n": "1", "t": "a"}, {"n": "2", "t": "b"}], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "content", "rows", "words"), [m[1:] for m in MEANT], ids=[m[0] for m in MEANT]
)
def test_a_table_is_read_as_it_is_meant(tmp_path, suffix, content, rows, words):
    """What divides and quotes cells is found out; what is not usual is told."""
    if rows is None:
        header, *lines = [line.split("\t") for line in content.splitlines()]
        rows = [dict(zip(header, line, strict=True)) for line in lines]
    source = source_of(tmp_path / f"in.{suffix}", content)
    assert [row.value for row in source.rows()] == rows
    assert words in told(source.origin()) and bool(words) == bool(told(source.origin()))


UNCERTAIN = [
    ("rows run together", "tsv", 'n\tt\n1\t"a\n2\td"\n3\tx\n', "quotes as text leave 3 rows, as quotes 2"),
    ("two that fit", "csv", "name;price, EUR\nx;1,5\n", "commas or semicolons"),
    ("one that does not", "csv", "name;note\nx;y;z\n", "its delimiter is not certain"),
    ("no tabs", "tsv", "a,b\n1,2\n", "its name says tabs, its lines commas"),
    ("JSON", "csv", '{"a": 1, "b": 2}\n{"a": 3, "b": 4}\n', "its name says csv, its first line is JSON"),
    ("empty lines alone", "csv", "\n\r\n\n", "nothing but empty lines"),
    ("a column twice", "csv", "a,a\n1,2\n", "the column 'a' appears twice"),
    ("a short row", "csv", 'a,b\n"1\n",2\n3\n', ":4: 1 cells under 2 columns"),
    ("an open quote", "csv", 'a,b\n1,2\n3,"4\n5,6\n', ":3: not a table (a quote opens here"),
    ("a bad byte", "csv", b"a,b\n" + b"1,2\n" * 70_000 + b"\xff,3\n", ":70002: not UTF-8"),
    ("a bad byte in a quoted cell", "csv", b'a,b\n"1\n\xff",2\n', ":3: not UTF-8"),
    ("in UTF-16", "csv", "\ufeffa,b\n1,2\n".encode("utf-16-le") + b"\x00\xd8x\x00", ":3: not UTF-16-LE"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "content", "says"), [u[1:] for u in UNCERTAIN], ids=[u[0] for u in UNCERTAIN]
)
def test_what_is_not_certain_is_refused(tmp_path, suffix, content, says):
    """A table that may mean two things, or is none, is one message that names the place or the option."""
    with pytest.raises(RunError) as raised:
        read(tmp_path / f"in.{suffix}", content)
    assert says in raised.value.message


def test_the_user_decides(tmp_path):
    """Delimiter, quote and encoding as they are given come before everything that could be found out."""
    path = tmp_path / "in.csv"
    assert read(path, "a;b,c\n1;2,3\n", delimiter=",") == [{"a;b": "1;2", "c": "3"}]
    assert read(path, "a~b\n'1~2'~3\n", delimiter="~", quote="'") == [{"a": "1~2", "b": "3"}]
    assert read(path, 'a,b\n"1,2\n', quote=NO_QUOTE) == [{"a": '"1', "b": "2"}]
    assert read(path, "a,b\né,2\n".encode("cp1252"), encoding="cp1252") == [{"a": "é", "b": "2"}]
    merging = 'id\ttext\n1\t"abc\n2\tdef"\n'
    assert len(read(tmp_path / "in.tsv", merging, quote=NO_QUOTE)) == 2
    assert len(read(tmp_path / "in.tsv", merging, quote='"')) == 1


def test_files_of_one_input_are_read_alike(tmp_path):
    """Files that differ in what divides their cells are refused; quotes of one hold for all."""
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text("a;b\n1;2\n")
    with pytest.raises(RunError, match=r"a\.csv has commas, .*b\.csv has semicolons"):
        find(str(tmp_path / "*.csv"))
    (tmp_path / "a.tsv").write_text("a\tb\n1\t2\n")
    (tmp_path / "b.tsv").write_text('a\tb\n1\t"2" x\n')
    assert [row.value["b"] for row in find(str(tmp_path / "*.tsv")).rows()] == ["2", '"2" x']


def test_another_reading_is_another_input(tmp_path):
    """The fingerprint of a table in the usual dialect is that of 0.1.0; any other dialect has its own."""
    content = "a,b\n1,2\n"
    usual = source_of(tmp_path / "in.csv", content).fingerprint()
    assert usual == f"sha256:{hashlib.sha256(b'csv' + content.encode() + bytes(1)).hexdigest()}"
    assert source_of(tmp_path / "in.csv", content, quote="'").fingerprint() != usual


TEXT = st.text(st.sampled_from(list('ab"\r\n\t,;|=é ')), max_size=6)


@settings(deadline=None)
@given(st.lists(st.tuples(TEXT, TEXT, TEXT), max_size=5), st.sampled_from([",", ";", "|"]))
def test_what_a_spreadsheet_writes_is_read(tmp_path_factory, rows, delimiter):
    """A table that quotes as CSV does comes back cell by cell, whatever its delimiter, or is refused."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("a", "b", "c"), *rows])
    path = tmp_path_factory.getbasetemp() / "in.csv"
    assert read(path, text.getvalue()) == [dict(zip("abc", row, strict=True)) for row in rows]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(st.text("ab", max_size=2), TEXT), max_size=5), st.sampled_from(["csv", "tsv"]))
def test_an_output_can_be_the_next_input(tmp_path_factory, rows, suffix):
    """What wrapgen writes as a table it reads back cell by cell, or refuses: nothing merges in silence."""
    path = tmp_path_factory.getbasetemp() / f"again.{suffix}"
    columns = ["index", "text"]
    table = SimpleNamespace(layout=Layout(), columns=lambda: columns, rows=lambda _: map(list, rows))
    sink_for(path, table.layout).write(table)
    try:
        found = [tuple(row.value.values()) for row in find(str(path)).rows()]
    except RunError as error:
        assert suffix == "tsv" and "its quotes as text leave" in error.message
        return
    assert found == rows


@pytest.mark.parametrize("name", ["$error", "$binary", "$literal"])
def test_a_column_that_looks_like_the_protocol_is_literal(tmp_path, name):
    """A table whose only column is called like a protocol object has items that say so."""
    (tmp_path / "in.csv").write_text(f"{name}\nYQ==\n\n")
    items = Selected(find(str(tmp_path / "in.csv")), Selection())
    wanted = [{"$literal": {name: "YQ=="}}, {"$literal": {name: ""}}]
    assert [json.loads(entry.item) for entry in items.entries()] == wanted
    assert list(items.sizes()) == [len(protocol.dumps(item)) for item in wanted]


@given(st.text(st.sampled_from("a\r\né\u2028"), max_size=30), st.integers(1, 5))
def test_lines_are_the_same_in_any_blocks(text, step):
    """Lines end with a line feed, a carriage return or both, wherever the blocks of a file end."""

    class Trickle(io.BytesIO):
        def read1(self, _=-1):
            return super().read(step)

    found = list(text_lines(Trickle(text.encode()), "in"))
    assert found == io.StringIO(text, newline="").readlines()
