"""The same run again: what resumes, what is refused, and what is noticed on the way; on a fake clock."""

from __future__ import annotations

import errno
import json
import os
from dataclasses import replace

import pytest

from wrapgen.errors import NotAuthorized, RunError, Unreachable
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.folder import FileLog, Folder, folder_for
from wrapgen.run.output.layouts import Layout
from wrapgen.run.report.page import write_report
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.status import load
from wrapgen.run.summary import EndState


def test_a_finished_run_makes_no_more_calls(bench, memory_wrapper):
    """The same command again finds everything done."""
    wrapper = memory_wrapper()
    bench.run(wrapper, list(range(50)))
    made = len(wrapper.calls)
    again = bench.run(wrapper, list(range(50)))
    assert again.state is EndState.OK and len(wrapper.calls) == made


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reference": "acme/SentimentBatch/1.1.0"}, "the wrapper was acme/SentimentBatch/1.0.0"),
        ({"run": "r2"}, "the run was r1, now r2"),
    ],
)
def test_a_changed_run_is_refused(bench, memory_wrapper, change, says):
    """Another input, wrapper version or run id under the same ledger is refused, unless told to go on."""
    bench.run(memory_wrapper(), [1, 2, 3])
    with pytest.raises(RunError, match=says):
        bench.run(memory_wrapper(), [1, 2, 3], **change)
    assert bench.run(memory_wrapper(), [1, 2, 3], accept_changes=True, **change).state is EndState.OK


ROWS = [{"key": key, "text": f"of {key}"} for key in "abc"]


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ([1, 2], None, "no ids to know them by"),
        ([ROWS[1], ROWS[0], ROWS[2]], "key", "number 1 was a, now it is b"),
        (ROWS[:2], "key", "number 3, c, is gone"),
        (ROWS, None, "no ids to know them by"),
    ],
)
def test_outcomes_never_come_to_stand_under_other_items(bench, memory_wrapper, values, key, says):
    """A changed input whose known items are not where they were is refused even if changes are accepted."""
    bench.run(memory_wrapper(), ROWS, selection=Selection(id="key"))
    with pytest.raises(RunError, match=r"has other content|--id was"):
        bench.run(memory_wrapper(), values, selection=Selection(id=key))
    before = bench.output.read_bytes()
    with pytest.raises(RunError, match=says):
        bench.run(memory_wrapper(), values, selection=Selection(id=key), accept_changes=True)
    assert bench.output.read_bytes() == before


def test_an_input_may_grow(bench, memory_wrapper):
    """Rows added behind those that are known by their ids go into the same run if changes are accepted."""
    wrapper, grown = memory_wrapper(), [*ROWS, {"key": "d", "text": "new"}]
    bench.run(wrapper, ROWS, selection=Selection(id="key"))
    made = len(wrapper.calls)
    again = bench.run(wrapper, grown, selection=Selection(id="key"), accept_changes=True)
    assert again.state is EndState.OK and [line["id"] for line in bench.lines()] == list("abcd")
    assert [call["$ids"] for call in wrapper.calls[made:]] == [["d"]]


def test_the_budget_counts_over_all_sessions(bench, memory_wrapper):
    """What failed before the run was stopped still counts: it goes on only with a higher budget."""
    wrapper = memory_wrapper(faults={str(n): ["InputError"] for n in range(0, 400, 10)})
    assert bench.run(wrapper, list(range(2000)), workers=1).state is EndState.BUDGET
    made = len(wrapper.calls)
    again = bench.run(wrapper, list(range(2000)), workers=1)
    assert again.state is EndState.BUDGET and "items failed, more than 5%" in again.reason
    assert len(wrapper.calls) == made, "not a single call more"
    assert bench.run(wrapper, list(range(2000)), workers=1, budget=0.2).state is EndState.ERRORS


def test_the_rate_is_that_of_the_session(bench, memory_wrapper):
    """What earlier sessions finished is told apart, and does not make this one look faster."""
    wrapper = memory_wrapper(calls_fail={3: NotAuthorized("no")})
    first = bench.run(wrapper, list(range(500)), workers=1)
    assert first.already == 0 and first.rate == first.counts.finished / first.seconds
    second = bench.run(wrapper, list(range(500)), workers=1)
    assert second.already == first.counts.finished > 0
    assert second.rate == (500 - second.already) / second.seconds


def test_an_empty_input_ends_well(bench, memory_wrapper):
    """No items: an empty output, no calls."""
    summary = bench.run(memory_wrapper(), [])
    assert summary.state is EndState.OK and bench.output.read_bytes() == b""


def test_a_second_runner_leaves(bench, memory_wrapper):
    """Two runners on one ledger are not possible; the second says who is there."""
    import os

    from wrapgen.run.ledger.folder import Folder

    with Folder(bench.folder / "out.jsonl.run").locked(), pytest.raises(RunError, match=str(os.getpid())):
        bench.run(memory_wrapper(), [1])


def test_a_run_that_is_finished_is_not_called_stopped(bench, memory_wrapper):
    """Too many errors in the last chunk stop nothing: all items have outcomes, and the output is written."""
    faults = {str(n): ["InputError"] for n in range(60)}
    summary = bench.run(memory_wrapper(faults=faults), list(range(60)), workers=1)
    assert summary.state is EndState.ERRORS and len(bench.lines()) == 60


@pytest.mark.parametrize(
    "after", [[0, 1, 2], list(range(60)), [*range(39), "other"]], ids=["cut", "grown", "edited"]
)
def test_an_input_that_changes_while_it_is_read_is_not_done(bench, memory_wrapper, after):
    """Fewer rows, more rows or other rows than the run began with: the end says so, and is no success."""
    before = list(range(40))
    source = MemorySource(before)

    wrapper = memory_wrapper()
    real = wrapper.call

    def call(body, seconds):
        if b'"$run"' in body:
            source.values = list(after)
        return real(body, seconds)

    wrapper.call = call
    summary = bench.run(wrapper, [], source=source)
    assert summary.state is EndState.INCOMPLETE and "the input changed" in summary.reason


def test_an_input_that_is_cut_inside_a_line_ends_the_run(bench, memory_wrapper):
    """A row that could be read before the first call and can't be now stops the run, and is not sent."""
    path = bench.folder / "in.jsonl"
    path.write_text("".join(f'{{"document": "tweet number {n:05}"}}\n' for n in range(6000)))
    wrapper = memory_wrapper()
    real = wrapper.call

    def call(body, seconds):
        if b'"$run"' in body:
            os.truncate(path, 2000 * 35 - 10)
        return real(body, seconds)

    wrapper.call = call
    summary = bench.run(wrapper, [], source=find(str(path)), workers=1)
    assert summary.state is EndState.INCOMPLETE and summary.counts.failed == 0
    assert summary.reason.startswith("the input changed while it was read: ")
    assert "in.jsonl:2000: not a line of JSON" in summary.reason
    assert bench.ledger()[-1]["state"] == "incomplete"


def test_an_input_that_is_gone_at_the_end_has_changed(bench, memory_wrapper):
    """A run that can't look at its input any more does not call it unchanged."""
    path = bench.folder / "in.jsonl"
    path.write_text("1\n2\n")
    wrapper = memory_wrapper(target=lambda item: path.unlink(missing_ok=True))
    summary = bench.run(wrapper, [], source=find(str(path)))
    assert (summary.state, summary.reason) == (EndState.INCOMPLETE, "the input changed while it was read")


@pytest.mark.parametrize("repeat", ["done", "lost"])
def test_an_entry_of_no_open_call_is_damage(bench, memory_wrapper, repeat):
    """An answer that a ledger tells of twice is not counted twice; one without digests is refused."""
    bench.run(memory_wrapper(calls_fail={2: Unreachable("reset")}), list(range(60)))
    path = bench.folder / "out.jsonl.run/ledger.jsonl"
    (entry, *_) = (line for line in path.read_text().splitlines() if f'"e":"{repeat}"' in line)
    whole = path.read_text()
    path.write_text(whole + entry + "\n")
    assert load(path.parent).counts.finished == 60
    path.write_text("".join(json.dumps(one) + "\n" for one in [*bench.ledger(), json.loads(entry)]))
    with pytest.raises(RunError, match="damaged"):
        load(path.parent)
    with pytest.raises(RunError, match="damaged"):
        bench.run(memory_wrapper(), list(range(60)))


@pytest.mark.parametrize(
    ("kind", "lacks"),
    [
        ("run", "survey"),
        ("run", "wrapper"),
        ("open", "at"),
        ("open", "e"),
        ("send", "t"),
        ("done", "b"),
        ("end", "state"),
        ("output", "path"),
        ("open", None),
    ],
)
def test_an_entry_that_lacks_something_is_damage(bench, memory_wrapper, kind, lacks):
    """A ledger with an entry that is not whole, or without one, is refused in words wherever it is read."""
    bench.run(memory_wrapper(), list(range(3)))
    entries = bench.ledger()
    for entry in entries:
        if entry["e"] == kind and lacks:
            entry.pop(lacks)
    left = [entry for entry in entries if lacks or entry["e"] != kind]
    path = bench.folder / "out.jsonl.run/ledger.jsonl"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in left))
    with pytest.raises(RunError, match="the ledger is damaged"):
        load(path.parent).as_json()
    with pytest.raises(RunError, match="the ledger is damaged"):
        bench.run(memory_wrapper(), list(range(3)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attempts": 5}, "--attempts was 3, now 5"),
        ({"address": "http://b"}, "the platform was http://a, now http://b"),
    ],
)
def test_what_an_outcome_depends_on_may_not_change(bench, memory_wrapper, change, says):
    """Another limit of attempts, or another platform, is refused unless told; what sets the pace is not."""
    first = {"address": "http://a", "workers": 1}
    wrapper = memory_wrapper(calls_fail={2: NotAuthorized("no")})
    assert bench.run(wrapper, list(range(60)), **first).state is EndState.INCOMPLETE
    with pytest.raises(RunError, match=says):
        bench.run(wrapper, list(range(60)), **{**first, **change})
    pace = {"workers": 2, "chunk": 7, "timeout": 99, "budget": 1.0, "patience": 5, "layout": Layout("bare")}
    wrapper.calls_fail[len(wrapper.calls) + 2] = NotAuthorized("no")
    assert bench.run(wrapper, list(range(60)), **{**first, **pace}).state is EndState.INCOMPLETE
    last = bench.run(wrapper, list(range(60)), **{**first, **change, "accept_changes": True})
    assert last.state is EndState.OK


def test_a_local_platform_may_come_back_on_another_port(bench, memory_wrapper):
    """A platform of this machine may come back on another port; another host is another platform."""
    wrapper = memory_wrapper(calls_fail={2: NotAuthorized("no")})
    assert bench.run(wrapper, list(range(60)), address="http://127.0.0.1:8080").state is EndState.INCOMPLETE
    with pytest.raises(RunError, match="now https://api"):
        bench.run(wrapper, list(range(60)), address="https://api.example")
    assert bench.run(wrapper, list(range(60)), address="http://localhost:9090").state is EndState.OK


def test_a_stop_before_the_first_chunk_is_kept(bench, memory_wrapper):
    """Told to stop while the input is surveyed, a run sends nothing."""
    wrapper = memory_wrapper()
    called = MemoryHost(wrapper.call, "acme/W/1.0.0")
    items = Selected(MemorySource(list(range(100))), Selection())
    with Session(Folder(bench.folder / "s.run"), items, called, Options(run="r1"), bench.world()) as session:
        session.stop("interrupted")
        assert session.work() == (EndState.INCOMPLETE, "interrupted")
    assert not wrapper.calls


def test_a_stop_while_finished_rows_are_passed_over_is_kept(bench, memory_wrapper):
    """Told to stop while a resumed run reads past what is finished, it sends nothing more."""
    wrapper = memory_wrapper(calls_fail={2: NotAuthorized("no")})
    assert bench.run(wrapper, list(range(100)), workers=1).state is EndState.INCOMPLETE
    sent = len(wrapper.calls)

    class Stopping(MemorySource):
        def texts(self):
            for number, text in enumerate(super().texts()):
                if number == 3:
                    session.stop("interrupted")
                yield text

    called = MemoryHost(wrapper.call, "acme/SentimentBatch/1.0.0")
    items = Selected(Stopping(list(range(100))), Selection())
    with Session(
        Folder(folder_for(bench.output)), items, called, Options(run="r1"), bench.world()
    ) as session:
        assert session.counts.finished == 16
        assert session.work() == (EndState.INCOMPLETE, "interrupted")
    assert len(wrapper.calls) == sent


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("at", range(1, 13))
def test_a_full_disk_leaves_a_run_that_goes_on(bench, memory_wrapper, at, lasting):
    """Where ledger or spool can't be written the run says so, leaves no half line, and goes on later."""
    wrapper, disk = memory_wrapper(), FullDisk(at, lasting)
    if at == 1:
        with pytest.raises(RunError, match="can't be made or written to: No space left"):
            bench.run(wrapper, list(range(60)), disk=disk, workers=1)
        assert not (bench.folder / "out.jsonl.run").exists()
    else:
        summary = bench.run(wrapper, list(range(60)), disk=disk, workers=1)
        assert summary.exit_code == 12 and "No space left" in summary.reason and summary.output is None
        assert all(entry["e"] for entry in bench.ledger())
    assert bench.run(wrapper, list(range(60)), workers=1).state is EndState.OK
    assert [line["result"]["seen"] for line in bench.lines()] == list(range(60))


class FullDisk:
    """A disk that takes half of the n-th write, and nothing more if it lasts."""

    def __init__(self, at: int, lasting: bool) -> None:
        self.left = at
        self.lasting = lasting

    def write(self, log: FileLog, data: bytes) -> None:
        self.left -= 1
        if self.left == 0 or (self.left < 0 and self.lasting):
            FileLog.append(log, b"" if self.left else data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        FileLog.append(log, data)

    def sync(self, log: FileLog) -> None:
        FileLog.sync(log)


@pytest.mark.parametrize("wall", [-86_400 * 365.0, -1.0, 0.0, 4_102_444_800.0])
def test_a_wrong_clock_damages_no_ledger(bench, memory_wrapper, wall, monkeypatch):
    """A clock before 1970, or far ahead, is a wrong time in the ledger and nothing more."""
    world = bench.world()
    monkeypatch.setattr(bench, "world", lambda: replace(world, unix_time=lambda: wall))
    assert bench.run(memory_wrapper(), list(range(40))).state is EndState.OK
    assert bench.run(memory_wrapper(), list(range(40))).counts.calls == 0
    assert write_report(bench.folder / "out.jsonl.run", None)["succeeded"] == 40
    assert load(bench.folder / "out.jsonl.run").as_json()["last"] == wall
