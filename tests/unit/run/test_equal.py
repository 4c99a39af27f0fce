"""Equal items sent once: every place is answered, whatever happens on the way."""

from __future__ import annotations

import json
from collections import Counter
from io import BytesIO
from random import Random

import pytest

from wrapgen.errors import UsageError
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.inputs import in_their_run, open_input
from wrapgen.run.input.items import Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.folder import FileLog, Folder, folder_for
from wrapgen.run.ledger.replay import rebuild
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.summary import EndState
from wrapgen.run.verify import Verification

VALUES = [{"text": f"t{number % 37}"} for number in range(400)]


def sent(wrapper):
    """How often each item was sent."""
    return Counter(json.dumps(item) for call in wrapper.calls for item in call["$batch"])


def test_each_kind_is_sent_once_and_every_place_is_answered(bench, memory_wrapper):
    """400 items of 37 kinds: 37 are sent, the output is that of a run that sends them all."""
    wrapper = memory_wrapper()
    summary = bench.run(wrapper, VALUES, equal="once")
    assert (summary.state, summary.counts.succeeded, summary.counts.equal) == (EndState.OK, 400, 363)
    assert set(sent(wrapper).values()) == {1}
    assert len(sent(wrapper)) == 37
    once = bench.output.read_bytes()
    bench.run(memory_wrapper(), VALUES, fresh=True)
    assert bench.output.read_bytes() == once
    assert summary.as_json()["equal"] == 363


def test_ids_stay_those_of_their_items(bench, memory_wrapper):
    """An outcome that was taken over has the id of its own place, whatever is in that id."""
    hostile = ['","result":', "\\", '"', '\\","error":', "é"]
    values = [{"text": "same", "id": f"{name}{number}"} for number, name in enumerate(hostile * 3)]
    bench.run(memory_wrapper(), values, equal="once", selection=Selection(field="text", id="id"))
    assert [line["id"] for line in bench.lines()] == [value["id"] for value in values]
    assert {json.dumps(line["result"]) for line in bench.lines()} == {'{"seen": "same"}'}


def test_equal_items_fail_alike_and_are_all_listed(bench, memory_wrapper):
    """A final error is that of every equal item, and each is in the file of failed items."""
    wrapper = memory_wrapper(faults={"0": ["InputError"]})
    summary = bench.run(wrapper, ["bad", "good"] * 20, equal="once", budget=1.0)
    assert (summary.counts.succeeded, summary.counts.failed, summary.counts.equal) == (20, 20, 38)
    listed = [json.loads(line) for line in (bench.folder / "out.jsonl.errors.jsonl").open()]
    assert [line["index"] for line in listed] == list(range(0, 40, 2))
    assert {line["input"] for line in listed} == {"bad"}


@pytest.mark.parametrize("seed", range(8))
def test_a_run_that_stops_anywhere_ends_as_if_it_had_not(bench, memory_wrapper, seed):
    """Sessions that end at any call, with or without --equal once, leave the output of an undisturbed run."""
    chance = Random(seed)
    values = [chance.choice(["a", "b", "c", {"d": 1}, [2], 3]) for _ in range(120)]
    for _ in range(4):
        broken = {chance.randint(1, 3): b"not an answer"}
        wrapper = memory_wrapper(calls_fail=dict.fromkeys(range(min(broken), 200), b"no"))
        bench.run(
            wrapper, values, equal=chance.choice(["once", "each"]), chunk=chance.randint(1, 9), patience=1
        )
    summary = bench.run(memory_wrapper(), values, equal="once")
    assert summary.state is EndState.OK
    assert [line["result"] for line in bench.lines()] == [{"seen": value} for value in values]
    with Verification(folder_for(bench.output)) as found:
        assert {check.state for check in (found.ledger(), found.items(), found.errors())} == {"ok"}


def test_what_was_taken_over_is_not_taken_over_again(bench, memory_wrapper):
    """The same command again sends nothing and adds nothing."""
    bench.run(memory_wrapper(), VALUES, equal="once")
    spool = (bench.folder / "out.jsonl.run/spool.jsonl").read_bytes()
    again = memory_wrapper()
    assert bench.run(again, VALUES, equal="once").counts.equal == 363
    assert not again.calls
    assert (bench.folder / "out.jsonl.run/spool.jsonl").read_bytes() == spool


def test_nothing_is_taken_over_from_another_version(bench, memory_wrapper):
    """After a change that was accepted, an open item is sent though an equal one was answered before."""
    first = memory_wrapper(target=lambda item: "old", calls_fail=dict.fromkeys(range(2, 99), b"no"))
    values = ["same", *(f"x{number}" for number in range(20)), "same", "same"]
    bench.run(first, values, chunk=8, patience=1, workers=1)
    second = memory_wrapper(target=lambda item: "new")
    options = {"equal": "once", "accept_changes": True, "reference": "acme/SentimentBatch/2.0.0"}
    assert bench.run(second, values, **options).state is EndState.OK
    results = [line["result"] for line in bench.lines()]
    assert results[0] == "old"
    assert results[-2:] == ["new", "new"]
    assert sent(second)['"same"'] == 1


def test_a_damaged_outcome_is_made_again(bench, memory_wrapper):
    """Outcomes that were taken over match their digests, or are taken over once more."""
    bench.run(memory_wrapper(), VALUES, equal="once")
    whole, spool = bench.output.read_bytes(), bench.folder / "out.jsonl.run/spool.jsonl"
    data = spool.read_bytes()
    at = data.rindex(b'"seen"')
    spool.write_bytes(data[:at] + b'"sEEn"' + data[at + 6 :])
    again = memory_wrapper()
    summary = bench.run(again, VALUES, equal="once")
    assert summary.damage
    assert bench.output.read_bytes() == whole
    assert not again.calls


def test_a_corrected_item_is_sent_again(bench, memory_wrapper):
    """A failed item that a user gives back is sent, not answered with the failure of one that it equals."""
    wrapper = memory_wrapper(faults={"0": ["InputError"]})
    bench.run(wrapper, ["bad", "good", "bad", "bad"], equal="once", budget=1.0)
    errors = bench.folder / "out.jsonl.errors.jsonl"
    kept = [json.loads(line) for line in errors.read_text().splitlines()]
    again = memory_wrapper()
    given = MemorySource(kept[1:])
    summary = bench.run(
        again, [], source=given, reopen=True, equal="once", output=bench.folder / "again.jsonl"
    )
    assert summary.state is EndState.OK
    assert sum(sent(again).values()) == 1


def test_another_word_is_an_error():
    """`equal` takes two words."""
    with pytest.raises(UsageError, match="equal must be each or once, not 'twice'"):
        Options(equal="twice")


class Killed(BaseException):
    """As SIGKILL: nothing after it runs."""


class DyingDisk:
    """Ends the run at its n-th write or sync of a log, half of what was written being there."""

    def __init__(self, at):
        self.left = at

    def write(self, log, data):
        self.left -= 1
        if self.left == 0:
            FileLog.append(log, data[: len(data) // 2])
            raise Killed
        FileLog.append(log, data)

    def sync(self, log):
        self.left -= 1
        if self.left == 0:
            raise Killed
        FileLog.sync(log)


def test_a_kill_at_any_write_changes_nothing(bench, memory_wrapper, tmp_path):
    """Killed at each effect in turn and resumed: the same output, and a record for each kind."""
    values = [{"text": f"t{number % 7}"} for number in range(20)]
    options = {"equal": "once", "chunk": 4, "workers": 1, "budget": 1.0}
    faults = {"3": ["InputError"]}
    bench.run(memory_wrapper(faults=faults), values, **options)
    expected, at = bench.output.read_bytes(), 0
    while True:
        at += 1
        here = type(bench)(tmp_path / str(at))
        here.folder.mkdir()
        wrapper, disk = memory_wrapper(faults=faults), DyingDisk(at)
        try:
            here.run(wrapper, values, disk=disk, **options)
        except Killed:
            here.run(wrapper, values, **options)
        assert here.output.read_bytes() == expected, f"killed at effect {at}"
        assert set(wrapper.records) == {str(number) for number in range(7)}
        assert max(sent(wrapper).values()) <= 2, (
            "a kind may be in the call that was open, and in one after it"
        )
        if disk.left > 0:
            break
    assert at > 10


def test_items_that_were_sent_after_all_count_no_more(bench, memory_wrapper):
    """Corrected and sent in their run, items count as sent; also for what reads the ledger alone."""
    wrapper = memory_wrapper(faults={"0": ["InputError"]})
    values = ["bad", "good", "bad", "bad", "good"]
    path = bench.folder / "in.jsonl"
    path.write_text("".join(json.dumps(value) + "\n" for value in values))
    assert command(bench, wrapper, path, budget=1.0).counts.equal == 3
    errors = bench.folder / "out.jsonl.errors.jsonl"
    lines = [{**json.loads(line), "input": f"fixed {n}"} for n, line in enumerate(errors.open())]
    errors.write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = command(bench, memory_wrapper(), errors)
    assert (summary.state, summary.counts.equal) == (EndState.OK, 1)
    assert rebuild(Folder(folder_for(bench.output)), None).counts.equal == 1
    assert [line["result"]["seen"] for line in bench.lines()] == [
        "fixed 0",
        "good",
        "fixed 1",
        "fixed 2",
        "good",
    ]


def command(bench, wrapper, path, **options):
    """One session as the command works it: INPUT is a path."""
    folder, output = Folder(folder_for(bench.output)), bench.output
    none = {"stdin": BytesIO(), "data": None, "replace": False}
    given = open_input(str(path), None, Selection(), folder, output=output, **none)
    items, corrections = in_their_run(given, folder, output)
    host = MemoryHost(wrapper.call, "acme/B/1.0.0")
    options = Options(equal="once", **options)
    with Session(folder, items, host, options, bench.world(), corrections=corrections) as session:
        return run_to_files(session, output, Layout(), lambda _: None, bench.clock)
