"""The limits of JSON, 200 levels and 4,300 digits: over them an item fails alone, all readers read on."""

from __future__ import annotations

import json

import pytest

from wrapgen import protocol
from wrapgen.records import Collected
from wrapgen.records.record import read
from wrapgen.run.hosts import answers
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.integrations.sqs_messages import read_body
from wrapgen.run.report.page import write_report
from wrapgen.run.status import errors_by_type, load
from wrapgen.run.verify import Verification

DEEP, LONG = "[" * 600 + "]" * 600, "7" * 5000
OVER = {"deep": DEEP, "deep object": '{"a":' * 300 + "1" + "}" * 300, "long": LONG, "long float": f"0.{LONG}"}
WITHIN = {
    "200 levels": "[" * 200 + "]" * 200,
    "4,300 digits": "-" + "7" * 4300,
    "digits in a text": f'"{LONG}"',
    "brackets in a text": f'"{DEEP}\\"{DEEP}"',
    "wide": "[" + ",".join(["[{}]"] * 5000) + "]",
    "numbers": "[" + ",".join(["1234567"] * 5000) + "]",
}


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
@pytest.mark.parametrize("pad", [0, 1, 2149, 2150, 2151])
def test_what_is_over_a_limit_is_found_anywhere(text, pad):
    """One level or digit too many is found, wherever in a text it is."""
    assert protocol.over_limit(f'["{"x" * pad}",{{"n":{text}}}]'.encode())


@pytest.mark.parametrize("text", WITHIN.values(), ids=WITHIN)
def test_what_is_within_the_limits_is_let_through(text):
    """At the limits, and where a text only holds brackets and digits, nothing is wrong."""
    assert protocol.over_limit(text.encode()) is None and json.loads(text) is not None


def test_the_limits_are_exact():
    """201 levels and 4,301 digits are too many."""
    assert "200 levels" in (protocol.over_limit(b"[" * 201 + b"]" * 201) or "")
    assert "4,300 digits" in (protocol.over_limit(b"7" * 4301) or "")


@pytest.fixture(params=[True, False], ids=["msgspec", "without msgspec"])
def quick(request, monkeypatch):
    """Both readers of answers: with msgspec, and Python's own as on Spark's executors."""
    if not request.param:
        monkeypatch.setattr(answers, "fast_json", None)


@pytest.mark.parametrize("text", [*OVER.values(), "[" * 100_000 + "]" * 100_000], ids=[*OVER, "very deep"])
def test_a_result_over_a_limit_fails_alone(bench, memory_wrapper, quick, text):
    """A result that other readers could not read is its item's ParsingError, and the others have theirs."""
    wrapper = memory_wrapper()
    plain = wrapper.call

    def call(body, timeout):
        return plain(body, timeout).replace(b'{"seen": 5}', text.encode())

    wrapper.call = call
    summary = bench.run(wrapper, list(range(20)))
    assert (summary.exit_code, summary.counts.succeeded, len(wrapper.calls)) == (10, 19, 2)
    assert [line["error"]["type"] for line in bench.lines() if "error" in line] == ["ParsingError"]


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_an_item_over_a_limit_fails_alone(bench, memory_wrapper, text):
    """The item is recorded as failed without a call of the target; every reader reads what the run left."""
    path = bench.folder / "in.jsonl"
    path.write_text("".join(f'{{"n":{text if n == 25 else n}}}\n' for n in range(40)))
    wrapper = memory_wrapper()
    one = wrapper.one
    wrapper.one = lambda item, id_: item if "$error" in item else one(item, id_)
    for _ in range(2):
        summary = bench.run(wrapper, [], source=find(str(path)))
        assert (summary.exit_code, summary.counts.succeeded) == (10, 39)
    assert wrapper.records["25"] == [(1, "InputError")] and wrapper.attempts["25"] == 0
    assert bench.lines()[25]["error"]["message"].startswith("the item ")
    folder = bench.folder / "out.jsonl.run"
    assert load(folder).as_json()["failed"] == 1 and errors_by_type(folder)["InputError"]["count"] == 1
    assert write_report(folder, None)["failed"] == 1
    with Verification(folder) as verification:
        items = lambda: Selected(find(str(path)), Selection())  # noqa: E731
        checks = [verification.items(), verification.output(items), verification.errors()]
    assert {check.state for check in checks} == {"ok"}


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_a_record_over_a_limit_is_read(text):
    """One record that an earlier wrapper wrote so does not hide the others of its collection."""
    line = f'{{"run": "r", "id": "1", "index": 0 , "try": 2,"result":{text}, "target":"a/B/1.0.0"}}'.encode()
    with Collected() as collected:
        collected.add([(read(line, "here")[0], line)])
        assert collected.tally().results == 1
        found = collected.get("r", "1")
    assert found["target"] == "a/B/1.0.0" and "result" in found


@pytest.mark.parametrize("text", OVER.values(), ids=OVER)
def test_a_message_over_a_limit_is_an_item_that_fails(text):
    """A queue's message over a limit is not taken for a text."""
    _, item = read_body(f'{{"n":{text}}}')
    assert item.startswith(b'{"$error":')


@pytest.mark.parametrize("text", [*OVER.values(), "[" * 9_000 + "]" * 9_000], ids=[*OVER, "very deep"])
@pytest.mark.parametrize(
    ("name", "content", "items"),
    [
        ("in.jsonl", '1\n{"k": "a", "x": %s}\n2\n', 3),
        ("in.json", '[1, {"k": "a",\n "x": %s},\n 2]', 3),
        ("in.json", '{"k": "a",\n "x": %s}', 1),
    ],
)
def test_every_reader_of_json_reads_on_after_what_is_over_a_limit(
    tmp_path, quick, text, name, content, items
):
    """The item alone fails, in JSON Lines, arrays and documents."""
    path = tmp_path / name
    path.write_text(content % text)
    found = [json.loads(entry.item) for entry in Selected(find(str(path)), Selection()).entries()]
    assert len(found) == items and [row for row in found if isinstance(row, int)] in ([1, 2], [])
    (failed,) = [row for row in found if isinstance(row, dict)]
    assert failed["$error"]["type"] == "InputError"


@pytest.mark.parametrize("depth", [979, 5000])
def test_a_deep_record_is_read(depth):
    """So is one that is as deep as Python reads, or deeper."""
    test_a_record_over_a_limit_is_read("[" * depth + "]" * depth)
