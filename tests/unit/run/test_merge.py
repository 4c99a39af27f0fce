"""Shards become one run: its output is that of one run, byte for byte, and whatever is missing is named."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from wrapgen.errors import RunError, UsageError
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.input.shards import Shard
from wrapgen.run.ledger.folder import FileLog, Folder, errors_for, folder_for, receipt_beside, report_beside
from wrapgen.run.ledger.ledger import Ledger, read_ledger
from wrapgen.run.merge import finished_shards, layout_of, locate_shards, merged_session
from wrapgen.run.output.layouts import Layout
from wrapgen.run.report.facts import facts_of
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.status import load
from wrapgen.run.summary import EndState, Summary
from wrapgen.run.verify import Verification

from .conftest import Bench, MemoryWrapper

VALUES = [{"n": n, "key": f"k{n % 17}-{n}"} for n in range(61)]
FAULTS = {"5": ["InputError"], "30": ["ServerError", None], "44": ["AlgorithmError"], "60": ["InputError"]}


def shard(bench: Bench, index: int, of: int, wrapper: MemoryWrapper | None = None, values=VALUES, **options):
    """One shard to its end; its output."""
    one = Shard(index, of)
    output = one.output(bench.output)
    wrapper = wrapper or MemoryWrapper(faults=FAULTS)
    bench.run(wrapper, values, output=output, shard=one, **{"budget": 1, **options})
    return output


def located(bench: Bench, *places: object) -> list[Path]:
    """What merging takes."""
    return list(map(Path, locate_shards(str(bench.output), list(map(str, places)))))


def merge(bench: Bench, values=VALUES, *, selection=Selection(), fresh=False, output=None):  # noqa: B008
    """Every shard beside the output."""
    output = output or bench.output
    shards = finished_shards([Folder(path) for path in located(bench)])
    items = Selected(MemorySource(values), selection)
    opened = merged_session(shards, Folder(folder_for(output)), items, fresh=fresh, origin={})
    with opened as session:
        layout, report = layout_of(shards), report_beside(output)
        return run_to_files(session, output, layout, lambda _: None, bench.clock, report)


def whole(bench: Bench, **options) -> tuple[Summary, Path]:
    """The same by one run, in a folder of its own, and its output."""
    (bench.folder / "whole").mkdir()
    other = Bench(bench.folder / "whole")
    options = {"budget": 1, "output": other.output, **options}
    return other.run(MemoryWrapper(faults=FAULTS), VALUES, **options), options["output"]


LAYOUTS = [{}, {"layout": Layout("joined")}, {"selection": Selection(id="key")}]


@pytest.mark.parametrize(
    ("name", "of", "options"),
    [("out.jsonl", 64, {})]
    + [
        (name, of, options)
        for name in ("out.jsonl", "out.csv", "out.parquet")
        for of in (1, 3)
        for options in LAYOUTS
    ],
)
def test_a_merged_run_is_one_run_byte_for_byte(bench, name, of, options):
    """Output and failed items in every format and layout, for any number of shards."""
    bench.output = bench.folder / name
    for index in reversed(range(of)):
        shard(bench, index, of, **options)
    summary = merge(bench, selection=options.get("selection", Selection()))
    other, output = whole(bench, output=bench.folder / "whole" / name, **options)
    assert summary.counts.failed == other.counts.failed and summary.counts.items == 61
    assert bench.output.read_bytes() == output.read_bytes()
    both = [errors_for(bench.output), errors_for(output)]
    assert [path.exists() for path in both] in ([True, True], [False, False])
    assert not both[0].exists() or both[0].read_bytes() == both[1].read_bytes()


def test_a_merged_run_is_verified_reported_and_has_a_receipt(bench):
    """Its folder is that of a run: history, ledger, items and output hold, and its numbers are the sums."""
    for index in range(4):
        shard(bench, index, 4)
    summary = merge(bench)
    folder = folder_for(bench.output)
    with Verification(folder) as check:
        found = [check.ledger(), check.history(), check.items(), check.output(lambda: None), check.errors()]
    assert [one.state for one in found] == ["ok"] * 5
    facts = facts_of(folder)
    parts = [facts_of(folder_for(Shard(index, 4).output(bench.output))) for index in range(4)]
    for name in ("sent", "answered", "lost", "of_target"):
        assert facts["calls"][name] == sum(part["calls"][name] for part in parts)
    assert {one["type"]: one["count"] for one in facts["errors"]} == {
        "InputError": 2,
        "AlgorithmError": 1,
    }
    receipt = json.loads(receipt_beside(bench.output).read_text())
    assert receipt["items"]["items"] == 61 and summary.receipt
    assert [(one["first"], one["items"]) for one in receipt["shards"]] == [
        (0, 15),
        (15, 15),
        (30, 15),
        (45, 16),
    ]
    header = Folder(folder).header()
    assert "shard" not in header["input"] and header["survey"]["items"] == 61


class Killed(BaseException):
    """The process is gone."""


def killed(bench: Bench, one: Shard, after: int) -> None:
    """A session of a shard that ends without a word when so many calls were made."""
    wrapper = MemoryWrapper(faults=FAULTS)
    host = MemoryHost(wrapper.call, "acme/SentimentBatch/1.0.0")
    items = Selected(MemorySource(VALUES), Selection())
    folder = Folder(folder_for(one.output(bench.output)))
    world = bench.world()

    def calls(process):
        made = bench.world().calls(process)
        wait = made.wait
        left = [after]

        def dying(seconds):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return wait(seconds)

        made.wait = dying
        return made

    options = Options(run="r1", shard=one, budget=1, chunk=4, workers=None)
    with pytest.raises(Killed), Session(folder, items, host, options, replace(world, calls=calls)) as session:
        session.work()


@pytest.mark.parametrize("after", range(4))
def test_shards_that_were_killed_are_merged_like_others(bench, after):
    """Sends without an answer are lost ones of the merged run, whose history breaks no rule."""
    for index in range(3):
        killed(bench, Shard(index, 3), after)
    for index in (2, 0, 1):
        shard(bench, index, 3, chunk=4)
    merge(bench)
    assert bench.output.read_bytes() == whole(bench)[1].read_bytes()
    with Verification(folder_for(bench.output)) as check:
        history = check.history()
        assert history.ok, history.samples
    state = load(folder_for(bench.output)).run_state
    unanswered = [
        facts_of(folder_for(Shard(index, 3).output(bench.output)))["calls"]["unanswered"]
        for index in range(3)
    ]
    assert state.lost["ConnectionError"] == sum(unanswered) > 0 and state.open == 0


def test_merging_again_changes_nothing(bench):
    """The same command a second time gives the same files, and what the merged run did since stays."""
    for index in range(2):
        shard(bench, index, 2)
    merge(bench)
    first = bench.output.read_bytes(), (folder_for(bench.output) / "spool.jsonl").read_bytes()
    merge(bench)
    assert first == (bench.output.read_bytes(), (folder_for(bench.output) / "spool.jsonl").read_bytes())


def test_failed_items_go_again_in_the_merged_run(bench):
    """The merged errors file is taken as that of any run, and a later merge keeps what came of it."""
    from wrapgen.run.input.files import FileSource
    from wrapgen.run.input.inputs import items_from

    for index in range(2):
        shard(bench, index, 2)
    merge(bench)
    failed = items_from(FileSource("e", [errors_for(bench.output)], "errors"), Selection())
    host = MemoryHost(MemoryWrapper().call, "acme/SentimentBatch/1.0.0")
    items = Selected(MemorySource(VALUES), Selection())
    folder = Folder(folder_for(bench.output))
    with Session(folder, items, host, Options(), bench.world(), corrections=failed) as session:
        assert session.work()[0] is EndState.OK
    assert merge(bench).state is EndState.OK
    shard(bench, 0, 2)  # its state tells of one session more
    with pytest.raises(RunError, match="went on after its shards were merged"):
        merge(bench)
    assert merge(bench, fresh=True).state is EndState.ERRORS


def refused(bench: Bench, *states: Path) -> str:
    """What merging says."""
    found = [Folder(path) for path in states or located(bench)]
    with pytest.raises(RunError, match="these shards can't be merged") as raised:
        finished_shards(found)
    return raised.value.message


def test_everything_that_is_missing_is_named_at_once(bench):
    """Missing, unfinished and damaged shards, in one error."""
    shard(bench, 0, 6)
    killed(bench, Shard(2, 6), 1)
    spool = folder_for(shard(bench, 4, 6)) / "spool.jsonl"
    data = bytearray(spool.read_bytes())
    data[20] ^= 1
    spool.write_bytes(data)
    told = refused(bench)
    assert "shards 1/6, 3/6, 5/6 are missing" in told
    assert "shard 2/6 is not finished: 6 of 10 items are open" in told
    assert "shard 4/6 is damaged: the outcomes of" in told


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"values": VALUES[:-1]}, "another content of the input and another number of rows than 0/2"),
        ({"run": "r2"}, "another run id (r2, not r1) than 0/2"),
        ({"reference": "acme/SentimentBatch/1.0.1"}, "another wrapper (acme/SentimentBatch/1.0.1, not"),
        ({"attempts": 2}, "another limit of attempts than 0/2"),
        ({"selection": Selection(field="n")}, "another selection than 0/2"),
        ({"address": "https://b.example"}, "another platform than 0/2"),
    ],
)
def test_shards_of_different_runs_are_not_merged(bench, change, told):
    """Another input, id, version, limit, selection or platform is told by its name."""
    shard(bench, 0, 2)
    shard(bench, 1, 2, **change)
    assert told in refused(bench)


def test_a_shard_that_is_at_work_is_waited_for(bench):
    """Its state may still change."""
    for index in range(2):
        shard(bench, index, 2)
    with Folder(folder_for(Shard(1, 2).output(bench.output))).locked():
        assert "shard 1/2 is at work" in refused(bench)


def test_a_shard_is_not_written_over(bench):
    """Not even by a user who starts over."""
    states = [Folder(folder_for(shard(bench, index, 2))) for index in range(2)]
    items = Selected(MemorySource(VALUES), Selection())
    with pytest.raises(RunError, match="is the state of a shard"):
        merged_session(finished_shards(states), states[0], items, fresh=True, origin={})


def test_sources_of_wrappers_may_differ_where_the_user_says_so(bench):
    """As where workers had two versions of wrapgen: it is told, and is no fault of the results."""
    states = [Folder(folder_for(shard(bench, index, 2))) for index in range(2)]
    ledger = states[1].ledger
    first, *rest = list(read_ledger(FileLog(ledger)))
    ledger.unlink()
    log = FileLog(ledger, write=True)
    Ledger(log).append([{**first, "wrapper": {**first["wrapper"], "digest": "sha256:other"}}, *rest])
    with pytest.raises(RunError, match="another source of the wrapper than 0/2") as told:
        finished_shards(states)
    assert "--accept-changes" in told.value.hint
    assert len(finished_shards(states, accept_changes=True)) == 2


def test_two_states_of_one_shard_are_told(bench, tmp_path):
    """As where a shard was taken over with a copy of its state: the user says which one counts."""
    for index in range(2):
        shard(bench, index, 2)
    state = folder_for(Shard(1, 2).output(bench.output))
    copy = tmp_path / "copy.run"
    shutil.copytree(state, copy)
    told = refused(bench, *located(bench), copy)
    assert told.endswith(f"both {state} and {copy} are shard 1/2")


def test_divisions_are_not_mixed(bench):
    """A shard of four is none of two."""
    shard(bench, 0, 2)
    shard(bench, 1, 4)
    assert "is shard 1/4" in refused(bench)


def test_the_state_of_a_whole_run_is_no_shard(bench):
    """And neither is an empty folder."""
    shard(bench, 0, 1)
    bench.run(MemoryWrapper(faults=FAULTS), VALUES, budget=1)
    assert "is not the state of a shard" in refused(bench, folder_for(bench.output))
    with pytest.raises(RunError, match="is of a run that was not in shards"):
        merge(bench)


def test_shards_are_found_by_outputs_states_and_folders_of_states(bench, tmp_path):
    """Beside the output, by any of their names, and where --state put them; else it is told."""
    outputs = [shard(bench, index, 2) for index in range(2)]
    states = [folder_for(output) for output in outputs]
    assert located(bench) == states
    assert located(bench, *outputs) == states
    assert located(bench, states[1]) == states[1:]
    assert located(bench, bench.folder) == states
    kept = tmp_path / "kept"
    for index, state in enumerate(states):
        shutil.copytree(state, kept / Shard(index, 2).name)
    assert located(bench, kept) == [kept / "shard-0-of-2", kept / "shard-1-of-2"]
    for places in ([], ["nowhere"]):
        with pytest.raises(UsageError, match=r"there (are|is) no"):
            locate_shards(str(tmp_path / "other.jsonl"), places)


def test_layouts_of_shards_have_to_be_the_same(bench):
    """What the merged output is to hold can't be told else."""
    shard(bench, 0, 2)
    shard(bench, 1, 2, layout=Layout("joined"))
    with pytest.raises(RunError, match="0/2: keyed, 1/2: joined"):
        merge(bench)


def test_an_input_that_changed_since_is_not_merged(bench):
    """It is read once more, and compared."""
    for index in range(2):
        shard(bench, index, 2)
    with pytest.raises(RunError, match="has other content than what the shards read"):
        merge(bench, VALUES[1:])
    assert not bench.output.exists()


def test_a_merge_that_is_cut_off_leaves_no_run(bench, monkeypatch):
    """The ledger has its name once it is complete, so that nothing takes a part for the whole."""
    from wrapgen.run.ledger import merging

    for index in range(2):
        shard(bench, index, 2)
    with monkeypatch.context() as patch:
        patch.setattr(merging, "_TOGETHER", 1)
        patch.setattr(merging, "rename", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            merge(bench)
    assert not Folder(folder_for(bench.output)).ledger.exists() and not bench.output.exists()
    assert merge(bench).counts.items == 61
