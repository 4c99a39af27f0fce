"""The small parts of a run by themselves: chunks, answers, waiting, concurrency, ledger, plan."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapgen import protocol
from wrapgen.errors import RunError, UsageError
from wrapgen.run.hosts import answers, fast_json
from wrapgen.run.hosts.answers import Answered, read_answer, read_results
from wrapgen.run.hosts.chunk_call import Terms, request_body
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.lookup import resolve
from wrapgen.run.input.scan import InputScan, scan_input
from wrapgen.run.ledger.folder import FileLog
from wrapgen.run.ledger.ledger import Ledger, read_ledger
from wrapgen.run.pace import Pace, Probe
from wrapgen.run.plan import first_probe, next_probe, plan, wide_probe
from wrapgen.run.scheduling.chunks import Chunk, ChunkCutter, Entry
from wrapgen.run.scheduling.limits import CALM, ChunkSize, Concurrency, ceiling
from wrapgen.run.scheduling.policy import delay, throttle_delay
from wrapgen.run.scheduling.progress import Counts, Progress

# Chunks


def entries(sizes):
    """Items of so many bytes each."""
    return iter([Entry(n, b"x" * size, None) for n, size in enumerate(sizes)])


@given(st.lists(st.integers(1, 60), max_size=200), st.integers(1, 40), st.integers(40, 400))
def test_chunks_hold_every_item_once_within_count_and_bytes(sizes, count, aim):
    """Cutting loses nothing, keeps the order, and a chunk over the aim holds a single item."""
    intake = ChunkCutter(entries(sizes), aim=aim)
    seen = []
    while (chunk := intake.take(count)) is not None:
        assert 1 <= len(chunk) <= count
        assert chunk.weight <= aim or len(chunk) == 1
        seen += chunk.indexes
    assert seen == list(range(len(sizes))) and intake.empty


def test_halves_make_the_whole():
    """The halves of a chunk hold its items, in order, with their attempts."""
    chunk = Chunk([1, 3, 4, 9, 12], [b"a", b"b", b"c", b"d", b"e"], list("vwxyz"), [0, 1, 2, 0, 1], 4)
    one, two = chunk.halves()
    assert [*one.entries(), *two.entries()] == list(chunk.entries())
    assert one.tries == two.tries == 4


def test_the_size_grows_by_doubling_and_remembers_a_fall():
    """After items came back untried, growing again takes a row of whole chunks."""
    size = ChunkSize()
    for expected in (32, 64, 128, 256, 512, 1000, 1000):
        size.whole(size.now)
        assert size.now == expected
    size.too_much(1000)
    assert size.now == 500
    for _ in range(CALM - 1):
        size.whole(500)
    assert size.now == 500
    size.whole(500)
    assert size.now == 1000


def test_a_small_chunk_says_nothing_about_the_size():
    """Remnants that finish don't make chunks grow."""
    size = ChunkSize()
    size.whole(3)
    assert size.now == 16


# Bodies and answers


def terms(timeout: float = 330) -> Terms:
    """Terms of a run."""
    return Terms("r1", timeout, 3, 10_000_000, lambda: 0.0)


def test_a_body_has_the_protocols_keys_and_no_more():
    """Contiguous items carry the first index, others a list; ids only where they are the user's."""
    chunk = Chunk(range(5, 8), [b"1", b'"\xc3\xa9"', b"{}"], None, [0, 0, 0], 1)
    assert json.loads(request_body(chunk, terms())) == {
        "$batch": [1, "é", {}],
        "$run": "r1",
        "$index": 5,
        "$try": 2,
        "$timeout": 300,
    }
    apart = Chunk([5, 9], [b"1", b"2"], ["a", 'b"'], [0, 0])
    body = json.loads(request_body(apart, terms()))
    assert (body["$index"], body["$ids"]) == ([5, 9], ["a", 'b"']) and set(body) <= protocol.PROTOCOL_KEYS


@pytest.mark.parametrize(
    ("timeout", "told"), [(330, 300), (3000, 2970), (4000, 2970), (60, 30), (40, 20), (2, 1)]
)
def test_the_wrapper_is_told_less_time_than_the_platform_gives(timeout, told):
    """30 s less, half of a short time, and never more than 2970."""
    assert terms(timeout).told == told


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(JSON, max_size=8), st.sampled_from([None, 1, 3]))
def test_results_keep_their_text(values, indent):
    """Every result comes back as the value and the text that it was, however the answer is laid out."""
    body = json.dumps(
        {"metadata": {"a": 1}, "result": {"$results": values, "$summary": {"items": 1}}}, indent=indent
    )
    answer = read_answer(body.encode())
    assert isinstance(answer, Answered) and answer.summary == {"items": 1}
    assert [json.loads(text) for text in answer.results] == values
    assert not any("\n" in text for text in answer.results)
    with mock.patch.object(answers, "fast_json", None):
        assert read_answer(body.encode()) == answer, "Python's own reader reads the same"


@given(st.one_of(st.binary(max_size=12), JSON.map(lambda value: json.dumps(value).encode())), st.data())
def test_what_is_checked_without_building_it_is_json(text, data):
    """A text that passes the quick check is one JSON value for Python's own reader too."""
    at = data.draw(st.integers(0, len(text)))
    changed = text[:at] + data.draw(st.binary(max_size=2)) + text[at:]
    if fast_json.are_json([b"1", changed, b"{}"]):
        json.loads(changed.decode("utf-8"))


@given(st.lists(st.one_of(st.text(), st.dictionaries(st.text(), st.text())), max_size=4))
def test_texts_are_written_as_the_protocol_does(values):
    """Texts and objects of texts are the same bytes, written quickly, as everywhere else on the wire."""
    assert fast_json.texts_as_json(values) == list(map(protocol.dumps, values))


@pytest.mark.parametrize(
    "texts",
    [
        [b"1,2", b"[3", b"4]"],
        [b"1 2", b"[3,", b"4]"],
        [b"[1", b"2]"],
        [b'"a', b'b"'],
        [b""],
        [b"1 ", b"2"],
        [b'"\xff"'],
    ],
)
def test_texts_are_json_each_for_itself(texts):
    """Texts that are an array together are not taken for values, nor is anything around a value."""
    assert not fast_json.are_json(texts)
    assert fast_json.are_json([b"[1,2]", b'"\xc3\xa4"', b"{}"])


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ('{"$error":{"type":"T"}}', True),
        ('{ "$error" : null}', True),
        ('{"\\u0024error":1}', True),
        ('{"$error":1,"more":2}', False),
        ('{"$binary":"$error"}', False),
        ('["$error"]', False),
    ],
)
def test_an_error_object_is_known_however_it_is_written(text, error):
    """A result whose only member is $error is an error, with blanks or escapes in it too."""
    assert [at for at, _ in answers.error_objects(["1", text, "{}"])] == ([1] if error else [])


@given(st.lists(JSON, min_size=1, max_size=4), st.data())
def test_a_cut_answer_is_never_taken_for_a_whole_one(values, data):
    """However much of an answer is missing at its end, it is refused."""
    body = json.dumps({"result": {"$results": values, "$summary": {}}, "metadata": {}})
    cut = data.draw(st.integers(0, len(body) - 1))
    with pytest.raises(protocol.ProtocolError):
        read_answer(body[:cut].encode())


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"<html>", b'{"result": 5, "metadata": {}}', b'{"result": {"$results": 5}}', b"{}x"]
)
def test_other_answers_are_refused(body):
    """What no wrapper answers is a protocol error."""
    with pytest.raises(protocol.ProtocolError):
        read_answer(body)


def test_an_error_of_the_whole_call_is_told():
    """An error envelope is the error that it carries."""
    answer = read_answer(b'{"error": {"message": "m", "error_type": "InputError"}, "metadata": {}}')
    assert isinstance(answer, protocol.ItemError) and (answer.type, answer.message) == ("InputError", "m")


@pytest.mark.parametrize("results", [[1, {"a": "x\n"}], [[1, 2], [3, 4]], [[1, 2], [3]], [[1]], [[]]])
def test_results_by_sideband_are_lines_whatever_they_are(results):
    """Each line is one result, one that is itself a list too."""
    text = "".join(json.dumps(result) + "\n" for result in results)
    assert list(map(json.loads, read_results(text))) == results


# Waiting and concurrency


def test_waits_stay_within_their_bounds():
    """Full jitter between 0.5 and 30 s; after a 429 what the platform says, else 2 to 60 s."""
    random = Random(1)
    for losses in range(1, 40):
        assert 0.5 <= delay(losses, random) <= 30
        assert 2 <= throttle_delay(losses, random, None) <= 60
        assert 7 <= throttle_delay(losses, random, 7) <= 7.7


def test_the_ceiling_counts_nested_calls():
    """floor(0.9 × 80 ÷ (1 + parallel)), capped by the user's own limit."""
    assert [ceiling(parallel) for parallel in (1, 8, 24)] == [36, 8, 2]
    assert ceiling(8, 3) == 3 and ceiling(8, 100) == 8 and ceiling(200) == 1


def test_one_congestion_halves_once():
    """Calls that were open together and all came back throttled halve the concurrency once."""
    concurrency = Concurrency(8, first=8)
    for seq in range(8):
        concurrency.throttled(seq, 7)
    assert (concurrency.now, concurrency.halvings) == (4, 1)
    for _ in range(4):
        concurrency.good()
    assert concurrency.now == 5
    concurrency.throttled(9, 9)
    assert concurrency.now == 2


# Ledger


def test_sessions_that_only_opened_leave_no_run_behind_a_torn_beginning(tmp_path):
    """Killed before a sync, and then the power was cut: a run begins anew; after a send it can't."""
    path = tmp_path / "ledger.jsonl"
    log = FileLog(path, write=True)
    ledger = Ledger(log)
    ledger.append([{"e": "run"}, {"e": "open"}])
    ledger.append([{"e": "open"}])
    path.write_bytes(b"\x00" * 9 + path.read_bytes()[9:])
    assert list(read_ledger(log)) == []
    Ledger(log).append([{"e": "run"}, {"e": "open"}, {"e": "send"}])
    assert [entry["e"] for entry in read_ledger(log)] == ["run", "open", "send"]
    path.write_bytes(b"\x00" * 9 + path.read_bytes()[9:])
    with pytest.raises(RunError, match="damaged"):
        list(read_ledger(log))
    log.close()


@pytest.mark.parametrize("torn", [b'{"a": 3, "b"', b'{"e":"send","s":\n', b"\x00" * 70_000, b"\n", b"5\n"])
def test_a_torn_last_line_is_cut_off(tmp_path, torn):
    """What was half written when the runner died vanishes, and writing goes on after the last whole entry."""
    path = tmp_path / "ledger"
    Ledger(FileLog(path, write=True)).append([{"a": 1}, {"a": 2}])
    with path.open("ab") as file:
        file.write(torn)
    assert list(read_ledger(FileLog(path))) == [{"a": 1}, {"a": 2}]
    Ledger(FileLog(path, write=True)).append([{"a": 4}])
    assert [entry["a"] for entry in read_ledger(FileLog(path))] == [1, 2, 4]


def test_damage_before_the_last_line_is_told(tmp_path):
    """A damaged line in the middle is no torn end: going on would lose what follows."""
    path = tmp_path / "ledger"
    path.write_bytes(b'{"a":1}\n{"a"\n{"a":3}\n')
    with pytest.raises(RunError, match=":2: the ledger is damaged"):
        list(read_ledger(FileLog(path)))


# References, survey and plan


@pytest.mark.parametrize(
    ("reference", "exact"),
    [
        ("acme/A", "acme/A/1.10.0"),
        ("acme/A/latest", "acme/A/1.10.0"),
        ("algo://acme/A/1.2", "acme/A/1.2.3"),
        ("acme/A/1.2.*", "acme/A/1.2.3"),
        ("acme/A/0.x", "acme/A/0.1.0"),
        ("acme/A/1.2.3", "acme/A/1.2.3"),
        ("acme/A/9.9.9", "acme/A/9.9.9"),
        ("acme/A/" + "a" * 40, "acme/A/" + "a" * 40),
    ],
)
def test_a_reference_means_one_exact_version(reference, exact):
    """The newest that fits, by number and not by text; an exact one is taken at its word."""
    assert resolve(reference, lambda _: ["0.1.0", "1.2.3", "1.10.0", "1.9.0"]) == exact


def test_a_version_that_is_not_there_is_refused():
    """No release, or none that fits, is a mistake of the user."""
    with pytest.raises(UsageError):
        resolve("acme/A/2", lambda _: ["1.0.0"])
    with pytest.raises(UsageError):
        resolve("acme/A", lambda _: [])


def test_a_survey_counts_sizes_and_equal_items(tmp_path):
    """Sizes, oversize and repeated items of an input."""
    items = [b"12345678"] * 3 + [b"1" * 100, b"2" * 3000]
    found = scan_input(
        iter([Entry(n, item, None) for n, item in enumerate(items)]), tmp_path, aim=1000, compare_items=True
    )
    assert (found.items, found.bytes, found.largest, found.oversize, found.repeated) == (5, 3124, 3000, 1, 2)
    assert found.sizes == {15: 3, 127: 1, 4095: 1}
    assert InputScan.from_json(json.loads(json.dumps(found.as_json()))) == found


ABOUT = Description("t", "both", "s", 300, 10_000_000, 8, 3, None)


def test_a_plan_follows_the_probe():
    """Chunks, calls, concurrency, time at each number of open calls, and billed seconds."""
    scan = InputScan(100_000, 10_000_000, 100)
    found = plan(scan, ABOUT, chunk=1000, probes=[Probe(16, 2.0)])
    assert (found.chunks, found.target_calls) == (6 + 99, 100_000)
    assert (found.open_calls, found.concurrent, found.account_limit) == (8, 72, 80)
    assert found.seconds[1] == 12500.0 and set(found.seconds) == {1, 2, 4, 8}
    assert found.billed_seconds == 105 * 120 + 100_000
    low, high = found.seconds_range[8]
    assert low < 12500 / 8 and high > 12500, "what was not measured may gain everything or nothing"


@pytest.mark.parametrize(("together", "expected"), [(16 / 2.0, 1.0), (8 * 16 / 2.0, 8.0), (32 / 2.0, 2.0)])
def test_calls_that_are_open_at_once_gain_what_was_measured(together, expected):
    """A target that lets one call work, or all eight, or two: no estimate promises more than it gave."""
    probes = [Probe(16, 2.0), Probe(1000, 1000 / together, calls=8)]
    found = plan(InputScan(100_000, 10_000_000, 100), ABOUT, chunk=1000, probes=probes)
    for calls, (low, high) in found.seconds_range.items():
        real = 12500 / min(calls, expected)
        assert low <= real <= high and high < 3.5 * low, calls
        assert 0.7 * real < found.seconds[calls] < 1.4 * real, calls


def test_a_quick_probe_goes_on():
    """Where items are quick, calls as large as those of the run are measured; of slow items a few."""
    assert first_probe(ABOUT) == 16 and first_probe(replace(ABOUT, parallel=24, batch_size=2)) == 96
    assert next_probe(Probe(8, 1.0), 16, 10_000) == 0 and next_probe(Probe(8, 0.1), 16, 10_000) == 160
    assert next_probe(Probe(64, 0.4), 160, 10_000) == 320 and next_probe(Probe(64, 0.4), 160, 1000) == 0
    assert next_probe(Probe(512, 0.0), 2000, 50_000) == 5000, "never more than a tenth of the items"


def test_a_wide_probe_has_the_calls_of_the_run():
    """As many calls as the run has, twice over, and only where that does not take long."""
    room, chunk = wide_probe(Probe(100, 0.5), ABOUT, 8, 10_000)
    assert room == 1000 and 8 * chunk * 2 <= room
    assert wide_probe(Probe(16, 160.0), ABOUT, 8, 10_000) == (0, 0), "items of 10 s are too dear"
    assert wide_probe(Probe(100, 0.5), ABOUT, 1, 10_000) == wide_probe(Probe(2, 0.5), ABOUT, 8, 9) == (0, 0)


def test_a_pace_leaves_out_the_calls_that_started_workers():
    """Where calls were made after the first of each worker, these do not count."""
    now = iter([0.0, 30.0, 31.5, 33.0])
    pace = Pace(10, lambda: next(now))
    assert pace.probe is None
    marks = ((10, 0, 0.0, None), (18, 1, 30.0, (8, 30.0)), (18, 1, 30.0, (8, 30.0)), (26, 2, 31.5, (8, 1.5)))
    for finished, answered, busy, expected in marks:
        counts = Counts(items=99, succeeded=finished)
        pace(Progress(counts, 1, 1, 8, answered=answered, busy=busy))
        found = pace.probe
        assert (found and (found.items, found.seconds)) == expected
    assert pace.probe == Probe(8, 1.5, 1, 28.5) and not pace.is_settled


def test_a_pace_counts_calls_that_are_open_at_once():
    """Few answers of calls that overlap are measured by what the calls took, not by when they came back."""
    now, finished = iter(0.1 * n for n in range(99)), 0
    pace = Pace(0, lambda: next(now))
    for answered in range(1, 9):
        finished += 10
        counts = Counts(items=999, succeeded=finished)
        pace(Progress(counts, 4, 4, 16, answered=answered, busy=2.0 * answered))
    assert pace.probe is not None and pace.probe.calls == 4
    assert round(pace.probe.items / pace.probe.seconds) == 4 * 10 // 2
