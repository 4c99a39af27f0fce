"""Reading files: what is not in the contract of every source, and what is wrong with an input."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from itertools import chain

import pyarrow
import pytest
import zstandard
from pyarrow import parquet

from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.files import find, format_of
from wrapgen.run.input.formats import array, document, jsonl, lines
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.reading import told


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_plain_lines_are_texts(tmp_path, encoding):
    """Each line is one text item without its line end, in any encoding that the first bytes tell."""
    (tmp_path / "in.txt").write_bytes("one\r\n\nthree é".encode(encoding))
    source = find(str(tmp_path / "in.txt"))
    assert [row.value for row in source.rows()] == ["one", "", "three é"]
    assert told(source.origin()) == ("" if "8" in encoding else source.reading.encoding)


def test_a_pattern_reads_files_in_the_order_of_their_names(tmp_path):
    """The rows of several files follow each other as one input."""
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(f'"{name}1"\n"{name}2"')
    source = find(str(tmp_path / "*.jsonl"))
    assert [row.value for row in source.rows()] == ["a1", "a2", "b1", "b2"]
    assert list(source.texts()) == [[b'"a1"', b'"a2"'], [b'"b1"', b'"b2"']]


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    """Files that start with a byte order mark read like those that don't."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf{}\n1\n")
    source = find(str(path))
    assert [row.value for row in source.rows()] == [{}, 1]
    assert list(source.texts()) == [[b"{}", b"1"]]


@pytest.mark.parametrize("odd", [b"", b"\n \n", b'{"a":1} 2\n', b'"\xff"\n'])
def test_a_long_file_reads_as_texts_as_it_does_as_rows(tmp_path, odd):
    """Lines over many pieces are the same texts as rows, up to a faulty one, which is named by its place."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(ROWS + odd + ROWS)

    def read(rows):
        found = []
        try:
            found.extend(rows)
        except RunError as error:
            return found, error.message
        return found, ""

    source = find(str(path))
    rows, texts = read(source.rows()), read(chain.from_iterable(source.texts()))
    assert ([row.raw for row in rows[0]], rows[1]) == texts
    assert len(texts[0]) in (4000, 8000)


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64])
def test_an_array_is_read_whatever_the_pieces(step):
    """A JSON array reads the same however small the pieces are that the file comes in."""

    class Trickle(io.BytesIO):
        def read(self, _=-1):
            return super().read(step)

    values = [1, 12.5, -3e10, 'é]\\"', {"a": [1, 2]}, [], None, True, 123456]
    body = json.dumps(values, ensure_ascii=False).encode()
    assert [row.value for row in array(Trickle(body), "in")] == values


@pytest.mark.parametrize(
    ("reader", "body", "says"),
    [
        (jsonl, b'{"a": 1}\n{"a": ', "in:2: not a line of JSON"),
        (jsonl, b'{"a": 1} {"a": 2}\n', "in:1: not one JSON value"),
        (jsonl, b"[NaN]\n", "NaN is not JSON"),
        (jsonl, b'"\xff"\n', "in:1: not a line of JSON"),
        (lines, b"fine\n\xff\n", "in:2: not UTF-8"),
        (array, b'{"a": 1}', "does not start with ["),
        (array, b"[1, 2", "item 2 of the JSON array"),
        (array, b"[1, nope]", "item 2 of the JSON array is not JSON"),
        (array, b"[1,]", "item 1 of the JSON array is not followed by"),
        (array, b"[1] [2]", "there is more after the JSON array"),
        (array, b"[1 2]", "is not followed by"),
        (document, b"", "in is empty"),
        (document, b'{"a": 1}\n{"a": 2}\n', "there is more after the JSON document"),
        (document, b'{"a": 1', "in: the document is not JSON"),
    ],
)
def test_a_wrong_input_names_the_place(reader, body, says):
    """What can't be read is one message that says where."""
    with pytest.raises(RunError) as caught:
        list(reader(io.BytesIO(body), "in"))
    assert says in caught.value.message


DIGESTS = [hashlib.sha256(b"%d" % number).hexdigest() for number in range(4000)]
ROWS = "".join(f'{{"a": {at}, "digest": "{digest}"}}\n' for at, digest in enumerate(DIGESTS)).encode()
PACK = {"gz": gzip.compress, "zst": zstandard.compress}


@pytest.mark.parametrize("suffix", sorted(PACK))
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.999])
def test_a_packed_file_that_is_cut_off_is_an_error(tmp_path, suffix, kept):
    """The rows of a compressed file that breaks off are not taken for all of them."""
    packed = PACK[suffix](ROWS)
    path = tmp_path / f"in.jsonl.{suffix}"
    path.write_bytes(packed[: int(len(packed) * kept)])
    for read in (lambda: find(str(path)).rows(), lambda: find(str(path)).texts()):
        with pytest.raises(RunError, match="can't read"):
            list(read())


@pytest.mark.parametrize("suffix", sorted(PACK))
def test_a_packed_file_that_is_damaged_is_an_error(tmp_path, suffix):
    """Changed bytes at the head of a compressed file are one message."""
    packed = bytearray(PACK[suffix](ROWS))
    packed[16:64] = bytes(48)
    path = tmp_path / f"in.jsonl.{suffix}"
    path.write_bytes(packed)
    with pytest.raises(RunError):
        list(find(str(path)).rows())


@pytest.mark.parametrize("suffix", sorted(PACK))
def test_a_packed_file_may_have_several_parts(tmp_path, suffix):
    """Compressed files that were put one behind the other are read to the end of the last."""
    path = tmp_path / f"in.jsonl.{suffix}"
    path.write_bytes(PACK[suffix](ROWS) + PACK[suffix](ROWS) + PACK[suffix](b'{"a": -1}\n'))
    rows = [row.value["a"] for row in find(str(path)).rows()]
    assert rows == [*range(4000), *range(4000), -1]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.jsonl", "jsonl"),
        ("a.b.JSON.GZ", "json?"),
        ("scores.jsonl.errors.jsonl", "errors"),
        ("x/y.tsv.zst", "tsv"),
        ("data://acme/in/tweets.txt", "lines"),
    ],
)
def test_names_say_formats(name, kind):
    """The suffix before any compression says what a file holds."""
    assert format_of([name]) == kind


@pytest.mark.parametrize("names", [["data.bin"], ["a.csv", "b.jsonl"], ["noname"]])
def test_names_that_say_nothing_are_refused(names):
    """A format that can't be told is asked for."""
    with pytest.raises(UsageError):
        format_of(names)


def test_what_cannot_be_read_twice_is_refused(tmp_path):
    """A pipe by name would hang or end after the first look: the message names standard input instead."""
    os.mkfifo(tmp_path / "in.jsonl")
    with pytest.raises(UsageError, match="can be read twice") as raised:
        find(str(tmp_path / "in.jsonl"))
    assert "as standard input" in raised.value.hint


PARQUET = [
    ("timestamp", datetime(2020, 1, 2, 3, 4, 5, 6), None, "2020-01-02T03:04:05.000006"),
    ("zone", datetime(2020, 1, 2, 3, tzinfo=timezone.utc), None, "2020-01-02T03:00:00+00:00"),
    ("date", date(2020, 1, 2), None, "2020-01-02"),
    ("time", time(1, 2, 3), None, "01:02:03"),
    ("duration", timedelta(minutes=1), None, 60.0),
    ("decimal", Decimal("1.50"), None, 1.5),
    ("whole", Decimal(10**25), None, 10**25),
    ("bytes", b"\xff\x00", {"$binary": "/wA="}, "/wA="),
    ("dates", [date(2020, 1, 2), None], None, ["2020-01-02", None]),
    ("inner", {"at": date(2020, 1, 2), "b": b"x", "n": 1}, None, {"at": "2020-01-02", "b": "eA==", "n": 1}),
    ("nothing", None, None, None),
]


@pytest.mark.parametrize(("name", "value", "alone", "within"), PARQUET, ids=[case[0] for case in PARQUET])
def test_every_type_of_parquet_is_json(tmp_path, name, value, alone, within):
    """Times, decimals, maps and bytes are what the manual says, as an item, within one, and in a template."""
    path = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.Table.from_pylist([{"k": 1, name: value}]), path)

    def item(**selection):
        (entry,) = Selected(find(str(path)), Selection(**selection)).entries()
        return json.loads(entry.item)

    assert item(field=name) == (alone or within)
    assert item() == {"k": 1, name: within}
    text = within if isinstance(within, str) else json.dumps(within, separators=(",", ":"))
    assert item(template=f'{{"one": "{{{name}}}", "text": "is {{{name}}}"}}') == {
        "one": within,
        "text": f"is {text}",
    }


def test_a_map_of_parquet_is_an_object(tmp_path):
    """A map column, nested values included, becomes an object, an empty one too."""
    kind = pyarrow.map_(pyarrow.int64(), pyarrow.date32())
    column = pyarrow.array([[(1, date(2020, 1, 2))], [], None], kind)
    parquet.write_table(pyarrow.table({"m": column}), tmp_path / "in.parquet")
    rows = [row.value["m"] for row in find(str(tmp_path / "in.parquet")).rows()]
    assert rows == [{"1": "2020-01-02"}, {}, None]


def test_ids_of_parquet_are_texts(tmp_path):
    """A date, bytes or a whole decimal can be an id; what has no name of its own can't."""
    table = {"d": [date(2020, 1, 2)], "b": [b"x"], "n": [Decimal("7.00")], "f": [0.5], "e": [""], "o": [b""]}
    path = tmp_path / "in.parquet"
    parquet.write_table(pyarrow.table(table), path)

    def id_of(field):
        (entry,) = Selected(find(str(path)), Selection(field="e", id=field)).entries()
        return entry.id

    assert [id_of(field) for field in "dbn"] == ["2020-01-02", "eA==", "7"]
    for field, says in (("f", "text or a whole number, not 0.5"), ("e", "the id is empty"), ("o", "text or")):
        with pytest.raises(RunError, match=f"row at 1: .*{says}"):
            id_of(field)


DOCUMENTS = {
    "a/1.json": '{\n "n": 1.10,\n "s": "x\\ny"\n}',
    "a/10.json": "[1,\n 2]",
    "b/2.json": "12345678901234567890.5",
}


def documents(folder):
    """A folder of files with one document each."""
    for name, text in DOCUMENTS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    return find(str(folder / "**/*.json"), "document")


def test_one_document_in_each_file_is_one_item(tmp_path):
    """A document is its text without line breaks, no digit changed; its file's name is its id or a field."""
    source = documents(tmp_path)
    items = [entry.item for entry in Selected(source, Selection()).entries()]
    assert items == [rb'{"n": 1.10,"s": "x\ny"}', b"[1,2]", b"12345678901234567890.5"]
    named = list(Selected(source, Selection(template='{"from": "{$file}"}', id="$file")).entries())
    assert [entry.id for entry in named] == list(DOCUMENTS)
    assert json.loads(named[0].item) == {"from": "a/1.json"}
    (alone,) = Selected(find(str(tmp_path / "a/10.json"), "document"), Selection(id="$file")).entries()
    assert (alone.item, alone.id) == (b"[1,2]", "10.json")


def test_json_files_say_themselves_whether_they_are_arrays_or_documents(tmp_path):
    """By name alone a `.json` is an array where it starts as one, else a document; a mix is refused."""
    documents(tmp_path)
    one, two = find(str(tmp_path / "a/1.json")), find(str(tmp_path / "a/10.json"))
    assert (one.format, two.format) == ("document", "json") and "one JSON document" in told(one.origin())
    with pytest.raises(RunError, match=r"a.1\.json has one JSON document, .* an array of items"):
        find(str(tmp_path / "a/*.json"))


def test_a_file_alone_can_name_the_rows_of_a_table(tmp_path):
    """The name of the file is no part of an item that does not ask for it."""
    (tmp_path / "in.csv").write_text("k\na\n")
    (entry,) = Selected(find(str(tmp_path / "in.csv")), Selection(id="$file")).entries()
    assert (entry.item, entry.id) == (b'{"k":"a"}', "in.csv")


def test_few_large_rows_are_held_at_once(tmp_path):
    """Lines and rows of tables are encoded together only while they are small."""
    (tmp_path / "in.txt").write_text("".join(f"{n} {'x' * 50_000}\n" for n in range(6)))
    (tmp_path / "in.csv").write_text("n,text\n" + "".join(f"{n},{'x' * 50_000}\n" for n in range(6)))
    for name in ("in.txt", "in.csv"):
        assert [len(some) for some in find(str(tmp_path / name)).texts()] == [2, 2, 2]
