"""Items read from a URL and results written to one."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import engine, files, protocol
from runtime import platform as api
from standins import Platform, Reply
from test_protocol import JSON


def read(text: str, by_line: bool = False) -> list[Any]:
    return files.read_items(text.encode(), by_line)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("", []),
        ("\n \n", []),
        ("1\n2\n", [1, 2]),
        ('"a"\n\n{"b": null}', ["a", {"b": None}]),
        ("[]", []),
        (" [ ] \n", []),
        ("[1, 2]", [1, 2]),
        ("[1,\n 2\n]\n", [1, 2]),
        ("[\n[1],\n[2]\n]", [[1], [2]]),
        ("[1]\n[2]\n", [[1], [2]]),
        ("[1]\n\n\n", [1]),
        ("123", [123]),
        ("[12]", [12]),
    ],
)
def test_json_lines_and_arrays_are_told_apart(text: str, items: list[Any]) -> None:
    """An array is one value over the whole file; two whole lines are JSON Lines, even of lists."""
    assert read(text) == items


def test_a_name_can_settle_what_a_single_line_means() -> None:
    """In a file named .jsonl one line that is a list is one item."""
    assert read("[1, 2]\n", by_line=True) == [[1, 2]]


@pytest.mark.parametrize("text", ["[1, 2", "[1 2]", "[1,]", "[1] x", '[1\n, "', "[,]", "[1,,2]"])
def test_what_is_neither_is_an_error(text: str) -> None:
    """Malformed or cut files are told, not guessed."""
    with pytest.raises(ValueError, match="JSON array"):
        read(text)


@pytest.mark.parametrize(
    ("text", "bad"),
    [
        ("1\nx\n2", [1]),
        ("{", [0]),
        ('"a"\n\n"b\n"c"', [1]),
        ("[1]\n[2\n[3]", [1]),
        ("1\r\n2\r\n", []),
        ('"a\u2028b"\n"c"', []),
        ('"a\u0085b"\n1', []),
        ('"a"\r"b"\n3', [0]),
        ("1\n" + "[" * 99999 + "\n2", [1]),
    ],
)
def test_a_malformed_line_is_its_items_failure(text: str, bad: list[int]) -> None:
    """Lines end with a line feed and nothing else, and one that is not JSON is told in its place."""
    assert [place for place, value in enumerate(read(text)) if isinstance(value, protocol.InputError)] == bad


@settings(max_examples=200)
@given(st.lists(JSON, max_size=8), st.sampled_from([None, 1]), st.booleans())
def test_a_file_gives_the_items_that_were_written(values: list[Any], indent: int | None, array: bool) -> None:
    """Whatever they are, as lines or as one array over any number of lines."""
    text = json.dumps(values, indent=indent) if array else "".join(json.dumps(v) + "\n" for v in values)
    assert read(text, by_line=not array) == values


@pytest.mark.parametrize("text", ["[" + "1," * 100 + "1]", "1\n" * 101])
def test_a_file_beyond_any_size_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """It is read whole, so that there is a limit; the message names it."""
    monkeypatch.setattr(files, "LARGEST", 200)
    assert read("[" + "1," * 40 + "1]") == [1] * 41
    with pytest.raises(ValueError, match="more than 200 bytes"):
        read(text)


URL = "data://acme/in/items.json"


def ample() -> engine.Deadline:
    """The time of a call that has just begun."""
    return engine.Deadline(300)


def files_of(platform: Platform, wrapper: str = "owner/W", private: Any = ()) -> files.Files:
    return files.Files(wrapper, private, lambda: api.connect(platform.client()))


@pytest.mark.parametrize("zipped", [False, True])
def test_a_batch_is_read_from_a_url_with_the_callers_key(platform: Platform, zipped: bool) -> None:
    """JSON Lines or an array, gzipped or not, whatever the name says."""
    body = b'["a", {"$binary": "AAE="}]'
    platform.files["acme/in/items.json"] = gzip.compress(body) if zipped else body
    items = files_of(platform).read(URL, ample())
    assert list(items) == ["a", {"$binary": "AAE="}]
    assert platform.requests[0].headers["Authorization"] == platform.client().apiKey


DAMAGED = gzip.compress(b"[1, 2]", mtime=0)[:10] + b"\xff" * 20  # a head, then no kind of block
CUT_OFF = gzip.compress(b"[1, 2]", mtime=0)[:-6]


@pytest.mark.parametrize("body", [b"[1", b"[1, \xff]", CUT_OFF, b"\x1f\x8bjunk", DAMAGED, b"[" * 5000])
def test_a_broken_file_is_an_input_error(platform: Platform, body: bytes) -> None:
    """Cut off, no gzip, or an array that is not JSON or not UTF-8: found before anything is called."""
    platform.files["acme/in/items.json"] = body
    with pytest.raises(protocol.InputError, match="can't be read"):
        files_of(platform).read(URL, ample())


def test_a_file_that_breaks_off_is_not_taken_for_the_whole(platform: Platform) -> None:
    """A download that ends early is a failure that may be tried again, never fewer items."""
    platform.data = lambda method, path: Reply(200, b"1\n2\n3\n", cut=100)
    with pytest.raises(protocol.Failure) as caught:
        files_of(platform).read(URL, engine.Deadline(0.5))
    assert (caught.value.error_type, caught.value.retryable) == ("ConnectionError", True)


@pytest.mark.parametrize(
    ("status", "kind", "again"),
    [(404, "InputError", False), (403, "InputError", False), (503, "ConnectionError", True)],
)
def test_a_file_that_can_not_be_had_fails_the_call(
    platform: Platform, status: int, kind: str, again: bool
) -> None:
    """What the caller got wrong is final; a platform in trouble may be asked again."""
    platform.data = lambda method, path: Reply(status, {"error": {"message": "no"}})
    with pytest.raises(protocol.Failure) as caught:
        files_of(platform).read(URL, engine.Deadline(0.5))
    assert (caught.value.error_type, caught.value.retryable) == (kind, again)


def test_results_go_to_the_url_or_to_a_temporary_place(platform: Platform) -> None:
    """JSON Lines; gzipped where the name says so; the full URL comes back."""
    platform.collections.add("acme/out")
    sideband = files_of(platform)
    assert sideband.write("data://acme/out/r.jsonl", ["1", "2"], ample()) == "data://acme/out/r.jsonl"
    zipped = "data://acme/out/r.jsonl.gz"
    assert sideband.write(zipped, iter(["1", "2"]), ample()) == zipped
    url = sideband.write(None, ["3"], ample())
    assert url.startswith("data://.algo/owner/W/temp/")
    assert platform.files["acme/out/r.jsonl"] == b"1\n2\n"
    assert gzip.decompress(platform.files["acme/out/r.jsonl.gz"]) == b"1\n2\n"
    assert platform.files[url.replace("data://", "")] == b"3\n"


def test_results_that_can_not_be_written_fail_the_call(platform: Platform) -> None:
    """A missing collection is the caller's mistake."""
    with pytest.raises(protocol.Failure, match="can't be written") as caught:
        files_of(platform).write("data://acme/none/r.jsonl", ["1"], ample())
    assert caught.value.error_type == "InputError"


@pytest.mark.parametrize("reads", [True, False])
def test_a_platform_that_does_not_answer_can_not_outlast_the_call(platform: Platform, reads: bool) -> None:
    """Reading items and writing results end with the time of the call, as what may be tried again."""
    release = threading.Event()

    def hangs(method: str, path: str) -> Reply:
        assert release.wait(60)
        return Reply(200, b"1\n")

    platform.data = hangs
    sideband, soon = files_of(platform), engine.Deadline(1)
    with pytest.raises(protocol.Failure, match="no answer in time") as caught:
        if reads:
            sideband.read(URL, soon)
        else:
            sideband.write(URL, ["1"], soon)
    release.set()
    assert (caught.value.error_type, caught.value.retryable) == ("TimeoutError", True)


@pytest.mark.parametrize("body", [b'{"error": "disk full", "text": "x"}', b'{"error": {"message": "no"}}'])
def test_an_item_with_an_error_in_it_is_an_item(platform: Platform, body: bytes) -> None:
    """What a file of items says is no error of the platform, which tells of one by its status."""
    platform.data = lambda method, path: Reply(200, body)
    assert files_of(platform).read(URL, ample()) == [json.loads(body)]
    with pytest.raises(protocol.Failure, match="can't be written"):
        files_of(platform).write(URL, ["1"], engine.Deadline(0.5))


@pytest.mark.parametrize("path", ["../acme/log/x", "/../acme/log/x", "./../x", "owner/../../acme/log", ".."])
def test_no_url_leaves_the_temporary_place_with_the_wrappers_rights(platform: Platform, path: str) -> None:
    """A URL that begins there and goes up is refused, to read or to write, before anything is sent."""
    for use in (files_of(platform).read, lambda url, soon: files_of(platform).write(url, ["1"], soon)):
        with pytest.raises(protocol.InputError, match="is not for items or results"):
            use(f"data://.algo/{path}", ample())
    assert not platform.requests


ENDLESS = """
import runtime.platform
from runtime.protocol import Failure
def apply(value, state):
    if isinstance(value, Failure): raise value
    return value
runtime.platform.serve(apply, lambda: True)
"""


def test_input_that_can_not_be_read_does_not_end_the_worker() -> None:
    """Nested beyond what Python reads, or cut off: an error in the answer, and the next call is answered."""
    lines = ['{"content_type": "json", "data": %s}' % ("[" * 200_000 + "]" * 200_000), "{", '{"content_type"']
    lines.append('{"content_type": "text", "data": "next"}')
    source = Path(files.__file__).parents[1]
    environment = {**os.environ, "PYTHONPATH": str(source), "ALGORITHMIA_API_KEY": "simKey"}
    ran = subprocess.run(
        [sys.executable, "-c", ENDLESS],
        input="\n".join(lines),
        env=environment,
        capture_output=True,
        text=True,
    )
    answers = [json.loads(line) for line in ran.stdout.splitlines() if line.startswith("{")]
    assert [answer.get("error", {}).get("error_type") for answer in answers] == ["InputError"] * 3 + [None], (
        ran
    )
    assert answers[-1]["result"] == "next"


def test_asking_for_rights_can_not_outlast_the_call(platform: Platform) -> None:
    """Whether a platform drops the owner's rights is asked within the time that the call has left."""
    release, waited = threading.Event(), []

    def hangs(method: str, path: str) -> Reply:
        waited.append(release.wait(60))
        return Reply(200, b"1\n")

    platform.data = hangs
    with pytest.raises(protocol.InputError, match="belongs to this wrapper's owner"):
        files_of(platform, "acme/W").read(URL, engine.Deadline(1))
    assert not waited
    release.set()
