"""A finished run reconciled with what it left: all damage is found, and nothing is called ok unseen."""

from __future__ import annotations

import json
from contextlib import closing, nullcontext

import pytest

from wrapgen.errors import NotAuthorized
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.ledger.ledger import Ledger
from wrapgen.run.ledger.store import LEDGER
from wrapgen.run.status import load
from wrapgen.run.verify import Verification

VALUES = list(range(50))
FAULTS = {"7": ["InputError"]}
REST = [n for n in VALUES if n != 7]


class Held:
    """Records as `wrapgen.records` gives them."""

    def __init__(self, lines) -> None:
        self.by_id = {line["id"]: line for line in lines}

    def get(self, run, key):
        return self.by_id.get(key)

    def runs(self):
        return {"r1": len(self.by_id)}


def record(index: int, **changes):
    """The record of an item that succeeded."""
    return {
        "run": "r1",
        "id": str(index),
        "index": index,
        "try": 1,
        "result": {"seen": index},
        "target": "nlp/SentimentAnalysis/1.0.5",
        "wrapper": "acme/SentimentBatch@sha256:" + "ab" * 6,
        **changes,
    }


def failure(**changes):
    """The record of the item that failed."""
    error = {"type": "InputError", "message": "as planned for 7", "retryable": False, **changes}
    return {**{name: value for name, value in record(7).items() if name != "result"}, "error": error}


@pytest.fixture
def finished(bench, memory_wrapper):
    """A finished run with one failed item."""
    bench.run(memory_wrapper(faults=FAULTS), VALUES)
    return bench


def verify(bench, records=None, values=VALUES):
    """All checks by name."""
    items = lambda: Selected(MemorySource(values), Selection())  # noqa: E731
    with Verification(bench.folder / "out.jsonl.run") as verification:
        held = Held(records) if records is not None else Held([*map(record, REST), failure()])
        checks = [
            verification.input(items),
            verification.ledger(),
            verification.history(),
            verification.items(),
            verification.output(items),
            verification.errors(),
            verification.records(lambda url, run: nullcontext(held)),
        ]
    return {check.name: check for check in checks}


def test_an_undamaged_run_is_ok(finished):
    """Where nothing is wrong every check says so."""
    assert {name: check.state for name, check in verify(finished).items()} == dict.fromkeys(
        ["input", "ledger", "history", "items", "output", "errors", "records"], "ok"
    )


def test_a_changed_input_is_altered(finished):
    """Another input than the run began with is found."""
    assert verify(finished, values=[1, 2])["input"].faults == {"altered": 1}


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (lambda lines: lines[:-1], {"missing": 1}),
        (lambda lines: [*lines[:10], *lines[11:]], {"missing": 1}),
        (lambda lines: [*lines[:10], *lines[9:]], {"doubled": 1}),
        (lambda lines: [*lines, lines[0]], {"doubled": 1}),
        (lambda lines: [b'{"index":0}\n', *lines[1:]], {"altered": 1}),
    ],
)
def test_a_changed_output_is_found(finished, change, faults):
    """A line that is missing, doubled or altered is told."""
    lines = finished.output.read_bytes().splitlines(keepends=True)
    finished.output.write_bytes(b"".join(change(lines)))
    assert verify(finished)["output"].faults == faults


def test_a_lost_output_and_errors_file_are_missing(finished):
    """Files that are gone are told."""
    finished.output.unlink()
    (finished.folder / "out.jsonl.errors.jsonl").unlink()
    checks = verify(finished)
    assert checks["output"].faults == checks["errors"].faults == {"missing": 1}


def test_a_line_is_missed_in_a_table_too(bench, memory_wrapper):
    """The lines of a table are told apart by their index column."""
    output = bench.folder / "out.csv"
    bench.run(memory_wrapper(), VALUES, output=output)
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join([*lines[:10], *lines[11:]]))
    with Verification(folder_for(output)) as verification:
        check = verification.output(lambda: Selected(MemorySource(VALUES), Selection()))
    assert (check.faults, check.samples) == ({"missing": 1}, ["missing: line 11 of out.csv"])


@pytest.mark.parametrize("damage", [b'{"index":9,', b"\0" * 11])
def test_a_damaged_spool_is_found(finished, damage):
    """Outcomes that do not match their digest are told; the output still is what was written."""
    spool = finished.folder / "out.jsonl.run/spool.jsonl"
    spool.write_bytes(spool.read_bytes().replace(b'{"index":3,', damage))
    checks = verify(finished)
    assert checks["ledger"].faults == checks["items"].faults == {"damaged": 1}
    assert "16 items" in checks["ledger"].samples[0]
    assert checks["output"].state == "ok" and checks["records"].state == "not checked"


@pytest.mark.parametrize("left", [0, 5, 100, -1, None], ids=str)
def test_a_spool_that_is_cut_off_is_a_fault(finished, bench, memory_wrapper, left):
    """Outcomes that are gone are faulty items, and are sent again by the same command."""
    spool = finished.folder / "out.jsonl.run/spool.jsonl"
    content = spool.read_bytes()
    spool.unlink()
    if left is not None:
        spool.write_bytes(content[:left])
    checks = verify(finished)
    assert checks["items"].faults == {"damaged": 1}
    assert [checks[name].state for name in ("input", "output", "errors", "records")] == [
        *["ok"] * 2,
        *["not checked"] * 2,
    ]
    before = finished.output.read_bytes()
    wrapper = memory_wrapper(faults=FAULTS)
    summary = bench.run(wrapper, VALUES)
    assert summary.exit_code == 10 and wrapper.calls and finished.output.read_bytes() == before
    assert {check.state for check in verify(finished).values()} == {"ok"}


@pytest.mark.parametrize(
    ("records", "faults"),
    [
        ([*(record(n) for n in REST if n != 9), failure()], {"missing": 1}),
        ([*map(record, REST)], {"missing": 1}),
        ([*map(record, [*REST, 50]), failure()], {"doubled": 1}),
        ([*(record(n, **({"result": 0} if n == 9 else {})) for n in REST), failure()], {"altered": 1}),
        ([*(record(n, target="nlp/S/2.0.0") for n in REST), failure()], {"other version": 49}),
        ([record(n) for n in VALUES], {"better": 1}),
        (
            [*(record(n, **({"result": {"seen": True}} if n == 1 else {})) for n in REST), failure()],
            {"altered": 1},
        ),
        ([*map(record, REST), failure()], {}),
        ([*map(record, REST), failure(message="other words")], {"altered": 1}),
        ([*map(record, REST), failure(type="ServerError")], {"altered": 1}),
        ([*map(record, REST), failure(type="TimeoutError", retryable=True)], {}),
    ],
)
def test_records_are_reconciled(finished, records, faults):
    """Records that are missing, too many, altered, or from another version are told by item."""
    assert verify(finished, records)["records"].faults == faults


@pytest.mark.parametrize(
    ("result", "state"),
    [
        ({"user": {"pin": "[redacted]", "rows": [1, "[redacted]"]}, "score": 2}, "ok"),
        ("[redacted]", "ok"),
        ({"user": {"pin": "[redacted]", "rows": [1, "[redacted]"]}, "score": 3}, "faulty"),
        ({"user": {"pin": "[redacted]", "rows": ["[redacted]"]}, "score": 2}, "faulty"),
        ({"user": {"pin": "[redacted]"}, "score": 2}, "faulty"),
    ],
)
def test_what_is_redacted_is_not_altered(bench, memory_wrapper, result, state):
    """A record without what the spec redacts is right as far as it can be checked, which is told."""
    whole = {"user": {"pin": 1234, "rows": [1, 2]}, "score": 2}
    bench.run(memory_wrapper(lambda _: whole), [1])
    with Verification(bench.folder / "out.jsonl.run") as verification:
        check = verification.records(lambda *_: nullcontext(Held([record(0, result=result)])))
    assert check.state == state
    assert ("1 with redacted parts, which can't be checked" in check.detail) == (state == "ok")


def test_what_cannot_be_read_is_not_checked(finished):
    """Without access the records are neither right nor wrong, and the reason is told."""

    def refused(url, run):
        raise NotAuthorized("not yours")

    with Verification(finished.folder / "out.jsonl.run") as verification:
        check = verification.records(refused)
    assert (check.state, check.detail) == ("not checked", "not yours")


def test_an_unfinished_run_has_missing_items_and_no_output(bench, memory_wrapper):
    """A run that stopped early is incomplete by what it lacks, and its output is not checked."""
    wrapper = memory_wrapper(calls_fail={3: NotAuthorized("no")})
    bench.run(wrapper, list(range(500)), workers=1)
    with Verification(bench.folder / "out.jsonl.run") as verification:
        assert verification.items().faults == {"missing": 1}
        assert verification.output(lambda: None).state == "not checked"


@pytest.mark.parametrize(("extra", "faults"), [([], {}), ([record(900), record(901)], {"doubled": 1})])
def test_records_of_open_items_are_not_doubled(bench, memory_wrapper, extra, faults):
    """What a call recorded whose answer never came is an open item's; only more than those are too many."""
    bench.run(memory_wrapper(calls_fail={2: NotAuthorized("no")}), list(range(20)), workers=1)
    with Verification(bench.folder / "out.jsonl.run") as verification:
        held = Held([*(record(n) for n in range(20)), *extra])
        check = verification.records(lambda *_: nullcontext(held))
    assert check.faults == faults
    assert check.detail.endswith("4 of items without a final outcome")


def test_the_errors_file_must_hold_the_failed_items(finished):
    """A line of failed items that was changed is told."""
    path = finished.folder / "out.jsonl.errors.jsonl"
    line = json.loads(path.read_text())
    path.write_text(json.dumps({**line, "try": 8}) + "\n")
    assert verify(finished)["errors"].faults == {"altered": 1}


def test_an_item_that_was_mended_since_is_no_fault(finished):
    """A failed item whose errors file was run again has a result under a later try; an older one is told."""
    held = [record(n) for n in VALUES if n != 7]
    later = verify(finished, [*held, record(7, **{"try": 2})])["records"]
    assert later.state == "ok" and "1 of failed items that were corrected since" in later.detail
    assert verify(finished, [*held, record(7)])["records"].faults == {"better": 1}


def test_a_run_of_an_errors_file_may_leave_the_rest_alone(bench, memory_wrapper, finished):
    """Records of the run's other items belong to the run that the errors file came from."""
    errors = bench.folder / "out.jsonl.errors.jsonl"
    mended = bench.folder / "mended.jsonl"
    bench.run(memory_wrapper(), [], source=find(str(errors)), reopen=True, output=mended)
    held = Held([*(record(n) for n in VALUES if n != 7), record(7, **{"try": 2})])
    with Verification(folder_for(mended)) as verification:
        check = verification.records(lambda url, run: nullcontext(held))
    assert check.state == "ok", check
    assert "49 of items that this run did not reopen" in check.detail


def test_an_item_that_is_given_up_has_a_record(bench, memory_wrapper):
    """What the runner gives up without an answer is recorded with the reason, in one call for all."""
    wrapper = memory_wrapper(largest=0)
    plain = wrapper.call

    def call(body, timeout):
        noting = b'"$error":' in body
        wrapper.largest = None if noting else 0
        return plain(body, timeout)

    wrapper.call = call
    summary = bench.run(wrapper, VALUES, budget=1.0, attempts=1)
    assert (summary.counts.failed, summary.unrecorded) == (50, 0)
    assert {kind for seen in wrapper.records.values() for _, kind in seen} == {"TimeoutError"}
    assert len(wrapper.records) == 50 and "recorded" in {entry["e"] for entry in bench.ledger()}
    assert len([call for call in wrapper.calls if "$error" in str(call["$batch"][0])]) == 1


def test_what_can_not_be_recorded_is_counted(bench, memory_wrapper):
    """Where no call can record what was given up, summary, ledger and verify say of how many, and why."""
    summary = bench.run(memory_wrapper(largest=0), VALUES, budget=1.0, attempts=1)
    assert (summary.counts.failed, summary.unrecorded) == (50, 50)
    assert summary.unrecorded_why == "TimeoutError: the call timed out"
    assert load(bench.folder / "out.jsonl.run").as_json()["unrecorded"] == 50
    check = verify(bench, [])["records"]
    assert check.state == "ok" and "50 of items that the runner gave up are missing" in check.detail
    bench.run(memory_wrapper(), VALUES, attempts=1, budget=1.0)
    assert load(bench.folder / "out.jsonl.run").as_json()["unrecorded"] == 0


def test_a_run_that_was_stopped_is_verified(bench, memory_wrapper):
    """Items whose call was recalled before it left are missing; the history is right."""
    bench.run(memory_wrapper(), VALUES, chunk=10, workers=2)
    folder = Folder(bench.folder / "out.jsonl.run")
    lines = folder.ledger.read_bytes().splitlines(keepends=True)
    last = max(at for at, line in enumerate(lines) if json.loads(line)["e"] == "send")
    folder.ledger.write_bytes(b"".join(lines[: last + 1]))
    with closing(folder.open(LEDGER, write=True)) as log:
        Ledger(log).append([{"e": "unsent", "s": json.loads(lines[last])["s"], "w": 1_600_000_000.0}])
    with Verification(folder.path) as verification:
        assert verification.history().ok and "missing" in verification.items().faults
