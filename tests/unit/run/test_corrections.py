"""Correcting failed items: they go again in the run that they failed in, and into its output."""

from __future__ import annotations

import json
import shutil
from io import BytesIO

import pytest

from wrapgen.errors import NotAuthorized, RunError
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.files import find
from wrapgen.run.input.inputs import in_their_run, open_input
from wrapgen.run.input.items import Reopened, Selection
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.output.layouts import Layout
from wrapgen.run.report.page import write_report
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.status import errors_by_type, load
from wrapgen.run.summary import EndState
from wrapgen.run.verify import Verification


def picky(memory_wrapper, **options):
    """A wrapper that takes numbers only."""
    wrapper = memory_wrapper(**options)
    good = wrapper.one

    def one(item, id_):
        refused = {"type": "InputError", "message": "a number, please", "retryable": False, "attempts": 1}
        return good(item, id_) if isinstance(item, int) else {"$error": refused}

    wrapper.one = one
    return wrapper


def go(bench, wrapper, name, *, layout=Layout(), **options):  # noqa: B008
    """One session as the command works it: INPUT is a path."""
    folder, output = Folder(folder_for(bench.output)), bench.output
    given = open_input(
        str(name), None, Selection(), folder, stdin=BytesIO(), data=None, replace=False, output=output
    )
    items, corrections = in_their_run(given, folder, output)
    called = MemoryHost(wrapper.call, "acme/B/1.0.0")
    options = Options(**options)
    with Session(folder, items, called, options, bench.world(), corrections=corrections) as session:
        return run_to_files(session, output, layout, lambda _: None, bench.clock)


@pytest.fixture
def failed(bench, memory_wrapper):
    """A finished run of 400 items, 30 of which failed, and the file of those."""
    path = bench.folder / "in.jsonl"
    path.write_text("".join(f'"{n}"\n' if n % 10 == 3 and n < 300 else f"{n}\n" for n in range(400)))
    assert go(bench, picky(memory_wrapper), path, budget=1.0).counts.failed == 30
    return bench.folder / "out.jsonl.errors.jsonl"


def corrected(path, to, which=lambda index: True):
    """A copy of an errors file whose inputs are numbers, as somebody corrects it in an editor."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["input"] = int(line["input"]) if which(line["index"]) else line["input"]
    to.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return to


def states(bench):
    """What verify says of everything but the records."""
    from wrapgen.run.input.inputs import input_again

    with Verification(folder_for(bench.output)) as verification:
        header = verification.run_state.header
        items = lambda: input_again(header["input"], header["selection"], verification.folder)  # noqa: E731
        checks = [
            verification.input(items),
            verification.ledger(),
            verification.items(),
            verification.output(items),
            verification.errors(),
        ]
    return {check.name: check.state for check in checks}


@pytest.mark.parametrize("name", ["out.jsonl.errors.jsonl", "fixed.jsonl", "other.ndjson"])
def test_corrected_items_complete_the_same_output(bench, memory_wrapper, failed, name):
    """Whatever the corrected file is called, its items go into the run's own output; nothing else is sent."""
    given = corrected(failed, bench.folder / name)
    wrapper = picky(memory_wrapper)
    summary = go(bench, wrapper, given)
    assert summary.state is EndState.OK and summary.counts.succeeded == 400
    assert [line["result"]["seen"] for line in bench.lines()] == list(range(400))
    assert sum(wrapper.attempts.values()) == 30 and {call["$try"] for call in wrapper.calls} == {3}
    assert not failed.exists() and set(states(bench).values()) == {"ok"}
    report = write_report(folder_for(bench.output), None)
    assert sum(one["items"] for one in report["sends"]) == 400 == report["succeeded"]
    assert sum(one["items"] for one in report["attempts"]) == 400
    if name != failed.name:
        assert go(bench, wrapper, given).counts.calls == 0  # the same command again has nothing to do


def test_items_that_are_still_bad_stay_failed(bench, memory_wrapper, failed):
    """RunStatus-bad items do not end a run by its budget: the rest is in the errors file again."""
    given = corrected(failed, bench.folder / "fixed.jsonl", lambda index: index < 50)
    summary = go(bench, picky(memory_wrapper), given)
    assert summary.state is EndState.ERRORS and summary.counts.failed == 25
    assert len(failed.read_text().splitlines()) == 25
    assert [group["count"] for group in errors_by_type(folder_for(bench.output)).values()] == [25]
    assert set(states(bench).values()) == {"ok"}
    again = corrected(failed, bench.folder / "fixed.jsonl")
    assert go(bench, picky(memory_wrapper), again).state is EndState.OK
    assert load(folder_for(bench.output)).counts.failed == 0


def test_a_stopped_correction_goes_on_without_its_file(bench, memory_wrapper, failed):
    """What was corrected is kept before it is sent: the run's first command finishes it as well."""
    given = corrected(failed, failed)
    wrapper = picky(memory_wrapper, calls_fail={1: NotAuthorized("no", status=401)})
    assert go(bench, wrapper, given).state is EndState.INCOMPLETE
    failed.unlink(missing_ok=True)
    known = load(folder_for(bench.output)).counts
    assert go(bench, picky(memory_wrapper), bench.folder / "in.jsonl").state is EndState.OK
    assert known.succeeded + known.failed < 400 == load(folder_for(bench.output)).counts.finished
    assert [line["result"]["seen"] for line in bench.lines()] == list(range(400))


def test_a_correction_can_be_corrected(bench, memory_wrapper, failed):
    """While corrected items are open, another file's inputs take the place of the first ones."""
    wrong = corrected(failed, bench.folder / "fixed.jsonl", lambda index: False)
    stopped = picky(memory_wrapper, calls_fail={1: NotAuthorized("no", status=401)})
    go(bench, stopped, wrong, workers=1)
    assert go(bench, picky(memory_wrapper), corrected(wrong, wrong)).state is EndState.OK
    counts = load(folder_for(bench.output)).counts
    assert (counts.succeeded, counts.failed) == (400, 0)


def test_a_joined_output_is_completed(bench, memory_wrapper):
    """The rows of the input are found again, wherever the corrected items come from."""
    path = bench.folder / "in.jsonl"
    path.write_text('1\n"2"\n3\n')
    go(bench, picky(memory_wrapper), path, layout=Layout("joined"))
    given = corrected(bench.folder / "out.jsonl.errors.jsonl", bench.folder / "fixed.jsonl")
    assert go(bench, picky(memory_wrapper), given, layout=Layout("joined")).state is EndState.OK
    assert [(line["input"], line["result"]["seen"]) for line in bench.lines()] == [(1, 1), ("2", 2), (3, 3)]


def test_items_that_are_none_of_the_run_are_refused(bench, memory_wrapper, failed):
    """An index that has not failed, or that has another id, is told before anything is sent."""
    line = json.loads(failed.read_text().splitlines()[0])
    fixed = bench.folder / "fixed.jsonl"
    for change, says in (({"id": "x"}, "item 3 of the run is 3, not x"), ({"index": 900}, "has not failed")):
        fixed.write_text(json.dumps({**line, **change}) + "\n")
        with pytest.raises(RunError, match=says):
            go(bench, picky(memory_wrapper), fixed)


def test_an_edited_errors_file_is_no_fault(bench, memory_wrapper, failed):
    """Between correcting and running, verify says that inputs were corrected; another change is a fault."""
    corrected(failed, failed)
    with Verification(folder_for(bench.output)) as verification:
        check = verification.errors()
    assert check.state == "ok" and "corrected" in check.detail
    failed.write_text(failed.read_text().replace("a number", "a word"))
    assert states(bench)["errors"] == "faulty"


def test_corrections_that_are_damaged_are_not_used(bench, memory_wrapper, failed):
    """A kept correction that does not match its digest is not sent; the item goes as it was."""
    wrapper = picky(memory_wrapper, calls_fail={1: NotAuthorized("no", status=401)})
    go(bench, wrapper, corrected(failed, bench.folder / "fixed.jsonl"), workers=1)
    kept = folder_for(bench.output) / "corrections.jsonl"
    kept.write_bytes(kept.read_bytes().replace(b"3", b"4"))
    assert go(bench, picky(memory_wrapper), bench.folder / "in.jsonl", budget=1.0).counts.failed == 30


def test_another_output_has_a_run_of_its_own(bench, memory_wrapper, failed):
    """With another -o, failed items make an output of their own, without a budget, as before."""
    shutil.copy(failed, bench.folder / "x.errors.jsonl")
    summary = bench.run(
        picky(memory_wrapper),
        [],
        source=find(str(bench.folder / "x.errors.jsonl")),
        reopen=True,
        output=bench.folder / "retried.jsonl",
    )
    assert summary.state is EndState.ERRORS and summary.counts.failed == 30
    assert isinstance(summary.errors, str) and Reopened(find(summary.errors)).run == summary.run
