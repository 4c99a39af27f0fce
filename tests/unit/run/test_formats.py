"""Reading files: what is not in the contract of every source, and what is wrong with an input."""

from __future__ import annotations

import gzip
import hashlib
import io
import json

import pytest
import zstandard

from wrapgen.errors import RunError, UsageError
from wrapgen.run.connectors.files import find, format_of
from wrapgen.run.connectors.formats import array, delimited, jsonl, lines


def test_plain_lines_are_texts():
    """Each line is one text item without its line end; an empty line is an empty text."""
    rows = list(lines(io.BytesIO("\ufeffone\r\n\nthree é".encode()), "in"))
    assert [row.value for row in rows] == ["one", "", "three é"]


def test_a_pattern_reads_files_in_the_order_of_their_names(tmp_path):
    """The rows of several files follow each other as one input."""
    for name in ("b", "a"):
        (tmp_path / f"{name}.jsonl").write_text(f'"{name}1"\n"{name}2"')
    source = find(str(tmp_path / "*.jsonl"))
    assert [row.value for row in source.rows()] == ["a1", "a2", "b1", "b2"]
    assert list(source.texts()) == [b'"a1"', b'"a2"', b'"b1"', b'"b2"']


def test_a_byte_order_mark_is_no_part_of_the_first_row(tmp_path):
    """Files that start with a byte order mark read like those that don't."""
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\xef\xbb\xbf{}\n1\n")
    source = find(str(path))
    assert [row.value for row in source.rows()] == [{}, 1]
    assert list(source.texts()) == [b"{}", b"1"]


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
        (array, b"[1] [2]", "something follows the JSON array"),
        (array, b"[1 2]", "is not followed by"),
        (lambda s, n: delimited(s, n, ","), b"a,b\n1,2\n3\n", "in:3: 1 cells under 2 columns"),
        (lambda s, n: delimited(s, n, ","), b"a,a\n1,2\n", "the column 'a' stands twice"),
        (lambda s, n: delimited(s, n, ","), b'a,b\n"1,2\n', "not a table"),
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
        ("a.b.JSON.GZ", "json"),
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
