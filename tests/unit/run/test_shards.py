"""Shards of a run: every row in one of them, under the index of the whole, with a part of every limit."""

from __future__ import annotations

import json
from dataclasses import replace
from fnmatch import fnmatch
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapgen.errors import RunError, UsageError
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.files import FileSource
from wrapgen.run.input.inputs import find_input
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.input.shards import Shard, Slice, most_calls, of_shard, refuse_open_version, shard_of
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.remote_files import RemoteFile
from wrapgen.run.scheduling.grants import SpendingLimits
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.summary import EndState

from .conftest import MemoryWrapper

COUNTS = st.integers(1, 300)
TOTALS = st.integers(0, 10_000)


@given(COUNTS, TOTALS)
def test_every_row_is_in_one_shard(of, total):
    """For any number of shards and rows: in order, none twice, and no shard has two more than another."""
    parts = [Shard(index, of).rows(total) for index in range(of)]
    assert [row for part in parts for row in part] == list(range(total))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@given(COUNTS, TOTALS, st.floats(0.001, 1e9), st.integers(1, 400))
def test_what_shards_may_spend_is_never_more_than_the_run_may(of, total, most, at_once):
    """Rates of those that work at once, and money of all, add up to the limit at most, and to nearly all."""
    limits = SpendingLimits(most, most, most, 0.0)
    every = [Shard(index, of, at_once) for index in range(of)]
    parts = [shard.spending(limits, total) for shard in every]
    working = every[0].working(total)
    exact = Fraction(most)
    assert sum(Fraction(part.rpm) for part in parts[:working]) <= exact
    assert sum(Fraction(part.tpm) for part in parts[:working]) <= exact
    money = sum(Fraction(part.max_cost) for part in parts)
    assert money <= exact and (not total or money > exact * Fraction(0.999999))
    assert sum(1 for shard in every if len(shard.rows(total))) == min(of, total)


@given(COUNTS, TOTALS, st.integers(1, 500))
def test_open_calls_of_shards_are_never_more_than_the_run_may_have(of, total, most):
    """What can't be divided is refused, and the advice is taken as it stands."""
    shard = Shard(0, of)
    if most < shard.working(total):
        with pytest.raises(UsageError, match="shards can't share") as refused:
            shard.calls(most, total)
        shard = Shard.parse(refused.value.hint.rpartition(" ")[2])
    assert shard.calls(most, total) >= 1 and shard.working(total) * shard.calls(most, total) <= most


@pytest.mark.parametrize(
    ("address", "workers", "calls"),
    [("http://a", None, 2), ("http://a", 4, 1), ("", None, 8), ("", 16, 4), ("", 80, 8)],
)
def test_a_platforms_calls_are_divided_and_a_machines_own_processes_are_not(address, workers, calls):
    """Eight calls at most: of an account they are shared by four shards; processes each machine has."""
    host = MemoryHost(MemoryWrapper().call, address=address)
    assert most_calls(Shard(1, 4), 1000, host, workers) == calls


@pytest.mark.parametrize("rate", ["rpm", "tpm"])
def test_shards_that_start_at_once_do_not_exceed_a_rate_with_their_first_requests(rate):
    """None waits for its first, so there are at most as many shards at once as requests in a minute."""
    about = replace(MemoryHost(MemoryWrapper().call).describe(), **{rate: 2.5})
    host = MemoryHost(MemoryWrapper().call, description=about)
    with pytest.raises(UsageError, match=f"6 shards can't share {rate} 2.5") as refused:
        most_calls(Shard(3, 6), 1000, host, None)
    assert refused.value.hint.endswith("--shard 3/6%2")
    for shard in (Shard(3, 6, 2), Shard(1, 2), Shard(0, 1), None):
        assert most_calls(shard, 1000, host, None) >= 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("4/4", "there is no shard 4/4: shards are numbered from 0"),
        ("/4", "is the variable of its number set"),
        ("1/", "not a shard: '1/'"),
        ("\uff11/3", "not a shard"),
        ("1", "not a shard"),
        ("-1/4", "not a shard"),
        ("1/0", "a run has 1 to"),
        ("0/4%0", "at least one shard"),
        ("0/999999999", "a run has 1 to"),
    ],
)
def test_what_is_no_shard_is_refused_in_words(text, told):
    """With what to say instead."""
    with pytest.raises(UsageError, match=told):
        Shard.parse(text)


def test_a_shard_has_a_name_of_its_own_beside_the_output():
    """Names are in the order of the shards, keep the suffix, and are read back."""
    names = [Shard(index, 11).output(Path("a/b.x.csv")) for index in (0, 2, 10)]
    assert [path.name for path in names] == [f"b.x.shard-{n}-of-11.csv" for n in ("00", "02", "10")]
    assert shard_of(names[1]) == (Shard(2, 11), Path("a/b.x.csv"))
    assert shard_of(Path("b.shard-2-of-11.csv")) is shard_of(Path("b.csv")) is None
    assert of_shard(Shard(1, 4), Path("o.jsonl"), "s3://b/s/", "i")[1] == "s3://b/s/shard-1-of-4"


def in_shards(bench, wrapper, values, of, **options):
    """Each shard in turn; the outputs."""
    found = []
    for index in range(of):
        shard = Shard(index, of)
        output = shard.output(bench.output)
        bench.run(wrapper, values, output=output, shard=shard, **options)
        found.append(output)
    return found


@pytest.mark.parametrize("of", [1, 3, 60])
@pytest.mark.parametrize("layout", ["keyed", "joined"])
def test_shards_write_what_one_run_writes(bench, of, layout):
    """Side by side the outputs of all shards are the output of one run, whatever failed."""
    from wrapgen.run.output.layouts import Layout

    values = [{"n": n} for n in range(53)]
    faults = {"7": ["InputError"], "40": ["ServerError", None]}
    once = bench.run(MemoryWrapper(faults=faults), values, budget=1, layout=Layout(layout))
    wrapper = MemoryWrapper(faults=faults)
    parts = in_shards(bench, wrapper, values, of, budget=1, layout=Layout(layout))
    assert b"".join(part.read_bytes() for part in parts) == bench.output.read_bytes()
    assert once.counts.failed == 1
    assert {call["$run"] for call in wrapper.calls} == {"r1"}
    assert sorted(wrapper.attempts, key=int) == [str(n) for n in range(53)]


def test_shards_come_to_the_same_run_id_by_themselves(bench):
    """Without --run the id follows from input, wrapper and selection; another input is another run."""
    wrapper = MemoryWrapper()
    in_shards(bench, wrapper, list(range(9)), 3, run=None)
    in_shards(bench, other := MemoryWrapper(), list(range(8)), 2, run=None)
    (run,), (different,) = ({call["$run"] for call in each.calls} for each in (wrapper, other))
    assert run.startswith("shards-") and run != different


def test_starting_a_shard_over_needs_a_new_run_id():
    """Its records would be those of the run before, and other shards would not start over."""

    with pytest.raises(UsageError, match="all of its shards have to"):
        Options(fresh=True, shard=Shard(0, 2))


@pytest.mark.parametrize("again", [Shard(1, 3), Shard(0, 2), None])
def test_the_state_of_a_shard_is_of_no_other(bench, again):
    """Neither another division nor a whole run goes on from it, even if changes are accepted."""
    output = Shard(0, 3).output(bench.output)
    bench.run(MemoryWrapper(), list(range(9)), output=output, shard=Shard(0, 3))
    with pytest.raises(RunError, match="this is the state of shard 0/3"):
        bench.run(MemoryWrapper(), list(range(9)), output=output, shard=again, accept_changes=True)


def test_an_input_that_changed_is_refused_in_any_case(bench):
    """Rows would move from one shard to another, where they are not known to be finished."""
    output = Shard(0, 3).output(bench.output)
    bench.run(MemoryWrapper(), list(range(9)), output=output, shard=Shard(0, 3))
    with pytest.raises(RunError, match="moves rows between shards"):
        bench.run(MemoryWrapper(), list(range(10)), output=output, shard=Shard(0, 3), accept_changes=True)


def test_a_row_that_can_not_be_read_stops_every_shard(bench):
    """Whichever shard it is in: one run would not have begun either."""
    values = [{"id": 1}, {"id": 2}, {"id": 3}, {"id": 3}]
    items = {"selection": Selection(id="id")}
    for index in (0, 1):
        output = Shard(index, 2).output(bench.output)
        with pytest.raises(RunError, match="row 4 of the input has the id of row 3"):
            bench.run(MemoryWrapper(), values, output=output, shard=Shard(index, 2), **items)


def test_a_shard_without_rows_succeeds_at_once(bench):
    """More shards than rows: some have nothing to do, make no call, and leave an empty output."""
    wrapper = MemoryWrapper()
    shard = Shard(0, 5)
    summary = bench.run(wrapper, [1, 2], output=shard.output(bench.output), shard=shard)
    assert summary.state is EndState.OK and summary.counts.items == 0 and not wrapper.calls
    assert shard.output(bench.output).read_bytes() == b""


def test_the_ledger_states_the_division(bench):
    """Which shard, and of how many rows, stands with the input; its own items are the survey."""
    output = Shard(1, 2).output(bench.output)
    bench.run(MemoryWrapper(), list(range(7)), output=output, shard=Shard(1, 2))
    header = Folder(folder_for(output)).header()
    assert (header["input"]["shard"], header["input"]["rows"]) == ("1/2", 7)
    assert header["survey"]["items"] == 4


def test_a_pattern_leaves_out_what_other_shards_write(tmp_path):
    """Outputs that appear while shards start are no input of those that start later."""
    for name in (
        "a.jsonl",
        "b.jsonl",
        "out.shard-0-of-3.jsonl",
        "out.jsonl",
        "out.shard-0-of-3.jsonl.errors.jsonl",
        "out.shard-0-of-3.jsonl.run/spool.jsonl",
        "other.shard-0-of-3.jsonl",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1\n")
    output, inputs = (
        Shard(2, 3).output(tmp_path / "out.jsonl"),
        ["a.jsonl", "b.jsonl", "other.shard-0-of-3.jsonl"],
    )
    for own in (output, Shard(99_998, 99_999).output(tmp_path / "out.jsonl")):
        found = find_input(str(tmp_path / "**/*.jsonl"), None, Folder(folder_for(own)), own)
        assert [path.name for path in found.paths] == inputs
    one = str(tmp_path / "out.shard-0-of-3.jsonl")
    assert [str(path) for path in find_input(one, None, Folder(folder_for(output)), output).paths] == [one]


def test_a_pattern_in_a_bucket_leaves_out_what_other_shards_write(tmp_path, monkeypatch):
    """As on a disk: by their names, and an object that is named by itself is read."""
    names = ["a.jsonl", "out.jsonl", "out.shard-0-of-3.jsonl", "out.shard-1-of-3.jsonl.errors.jsonl"]
    there = [f"s3://b/{name}" for name in names]

    def find_remote(name: str) -> list[RemoteFile]:
        return [RemoteFile(url) for url in there if fnmatch(url, name)]

    monkeypatch.setattr("wrapgen.run.input.files.find_remote", find_remote)
    monkeypatch.setattr(FileSource, "detected", lambda source: source)  # reads none of them

    def found(name: str) -> list[str]:
        own = Path("s3://b/out.shard-2-of-3.jsonl")
        return [path.name for path in find_input(name, "jsonl", Folder(tmp_path / "none"), own).paths]

    assert found("s3://b/*.jsonl") == ["a.jsonl"]
    assert found(there[2]) == [names[2]]
    with pytest.raises(UsageError, match="but what the run writes"):
        found("s3://b/out*.jsonl")


def test_failed_items_of_a_run_are_not_divided(bench):
    """Their shards could never be merged: it is refused before the first call, with what to do."""
    wrapper = MemoryWrapper()
    items = Selected(MemorySource([1, 2]), Selection())
    items.run = "monday"
    options = Options(shard=Shard(0, 2))
    with pytest.raises(UsageError, match="failed items of run monday") as refused:
        Session(Folder(bench.folder / "state"), items, MemoryHost(wrapper.call), options)
    assert "without --shard" in refused.value.hint


def test_the_version_of_a_platforms_wrapper_has_to_be_named():
    """Shards that start hours apart would get whatever is the newest by then; a spec says what it is."""
    host = MemoryHost(MemoryWrapper().call, "acme/S/1.0.0", address="http://a")
    for name in ("acme/S", "acme/S/1.0", "acme/S/1.*", "algo://acme/S"):
        with pytest.raises(UsageError) as refused:
            refuse_open_version(Shard(0, 2), name, host)
        assert refused.value.hint == "name the version: acme/S/1.0.0"
        refuse_open_version(None, name, host)
    for name in ("acme/S/1.0.0", "algo://acme/S/1.0.0/", "./spec.yaml", "http://host:1/"):
        refuse_open_version(Shard(0, 2), name, host)


def test_a_slice_reads_sizes_rows_and_entries_alike():
    """Whatever is asked of it, it is the same rows under the same numbers."""
    whole = Selected(MemorySource([{"n": n} for n in range(10)]), Selection())
    part = Slice(whole, Shard(1, 3), 10)
    assert [entry.index for entry in part.entries()] == [3, 4, 5]
    assert [(index, row["n"]) for index, row, _ in part.rows()] == [(3, 3), (4, 4), (5, 5)]
    sizes = part.sizes()
    assert sizes is None or list(sizes) == [
        len(json.dumps({"n": n}, separators=(",", ":"))) for n in (3, 4, 5)
    ]


def test_calls_of_a_shard_are_granted_its_part_alone(bench):
    """Rates and money that a wrapper is told, and calls that are open, are those of the shard."""
    wrapper = MemoryWrapper()
    asked = MemoryHost(wrapper.call).describe()
    limited = replace(asked, rpm=80.0, tpm=4000.0, price={"input": 1.0}, max_cost_item=0.001)
    host = MemoryHost(wrapper.call, "acme/S/1.0.0", address="http://a", description=limited)
    items = Selected(MemorySource(list(range(64))), Selection())
    options = Options(run="r", shard=Shard(1, 4), max_cost=4.0, chunk=4, workers=8)
    with Session(Folder(bench.folder / "s"), items, host, options, bench.world()) as session:
        assert session.most_calls == 2
        assert session.work()[0] is EndState.OK
    rates = [call["$rate"] for call in wrapper.calls]
    assert bench.calls.most <= 2 and max(rate["rpm"] for rate in rates) <= 20
    assert max(rate["tpm"] for rate in rates) <= 1000 and max(rate["cost"] for rate in rates) <= 1
