"""One set of rules for JSON: lines, arrays, documents and both decoders take and refuse the same."""

from __future__ import annotations

import pytest

from wrapgen.errors import RunError
from wrapgen.run.hosts import answers
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection

GOOD = [
    b"[1E+2]",
    b"-0",
    b"1e400",
    b"-1e-400",
    b"123456789012345678901234567890",
    b"1.0000000000000000000000000001",
    rb'"\u0000"',
    rb'"\ud800"',
    rb'"\/"',
    '"\u2028"'.encode(),
    '"\U0001f600"'.encode(),
    b'{"a":1,"a":2}',
    b'{"":0}',
    b" \t1\r ",
    b'{"$error":1}',
]
BAD = [
    b"01",
    b"+1",
    b".5",
    b"1.",
    b"1e",
    b"-",
    b"--1",
    b"0x1",
    b"NaN",
    b"-Infinity",
    b"[NaN]",
    b'{"a":Infinity}',
    b"nul",
    b"True",
    b"'a'",
    b'"',
    b"[",
    b"[1,]",
    b'{"a":1,}',
    b"[1 2]",
    b'{"a" 1}',
    b"{1:2}",
    b"1 2",
    b'"a" // c',
    b"// x",
    b'"\t"',
    b'"\0"',
    b"\0",
    b"[1]\0",
    rb'"\x"',
    rb'"\u12"',
    b'"\xff"',
    b'"\xc0\xaf"',
    b'"\xed\xa0\x80"',
    b"\xa0 1",
    b"\x0c{}",
    b"\xef\xbb\xbf\xef\xbb\xbf1",
]


def read(path, content, format_, **selection):
    """The items of a file, or None where it is refused."""
    path.write_bytes(content)
    try:
        return [entry.item for entry in Selected(find(str(path), format_), Selection(**selection)).entries()]
    except RunError:
        return None


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("text", [*GOOD, *BAD])
def test_every_reader_takes_and_refuses_the_same(tmp_path, monkeypatch, quick, text):
    """What is JSON is taken as it stands by each reader, decoded or not; what is none is refused by each."""
    if not quick:
        monkeypatch.setattr(answers, "fast_json", None)
    path, taken = tmp_path / "in", text in GOOD
    found = [
        read(path, b"\xef\xbb\xbf0\n\n" + text + b"\r\n1", "jsonl"),
        read(path, b"0\n" + text + b"\n1\n", "jsonl", template="1"),
        read(path, b"[0," + text + b",1]", "json"),
        read(path, text, "document"),
    ]
    assert [one is not None for one in found] == [taken] * 4
    if taken and b"$" not in text:
        assert found[0] == found[2] == [b"0", text.strip(), b"1"] and found[3] == [text.strip()]
