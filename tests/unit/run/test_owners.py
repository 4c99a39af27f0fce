"""The state of a run in a bucket: one owner at a time, whatever the bucket, the clocks and the owners do."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from bucket_machines import FAULTS, VALUES, Killed, Store, killing

from wrapgen.errors import RunError, TakenOver
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.store import LEDGER, SPOOL
from wrapgen.run.output.destination import Destination
from wrapgen.run.settings import World
from wrapgen.run.summary import EndState


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_machine_that_dies_at_any_write_is_replaced(store, bench, moment, memory_wrapper):
    """Killed at each write to the bucket in turn, a run comes to the same end on the next machine."""
    calm = store.machine()
    assert store.run(calm, bench.world()).state is EndState.ERRORS
    expected, at = (calm.path / "out.jsonl").read_bytes(), 0
    while True:
        at += 1
        again = Store(store.folder / f"{moment}{at}", memory_wrapper(faults=FAULTS))
        again.folder.mkdir()
        try:
            again.run(again.machine(killing(at, moment)), bench.world())
            break
        except Killed:
            second = again.machine(take_over=True)
            assert again.run(second, bench.world()).state is EndState.ERRORS
            assert (second.path / "out.jsonl").read_bytes() == expected
            assert not again.broken(second.path / "out.jsonl")
    assert at > 8


def test_of_two_owners_the_first_stops_and_counts_nothing(store):
    """A machine that was replaced while calls were open learns it at its next write, and says by whom."""
    reached, go_on = threading.Event(), threading.Event()
    call, calls = store.wrapper.call, []

    def gated(body: bytes, timeout: float) -> bytes:
        answer = call(body, timeout)
        calls.append(body)
        if len(calls) == 3:
            reached.set()
            assert go_on.wait(60)
        return answer

    store.wrapper.call = gated
    ends: list[BaseException] = []

    def first() -> None:
        try:
            store.run(store.machine(), workers=1)
        except RunError as error:
            ends.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert reached.wait(60)
    second = store.machine(take_over=True)
    assert store.run(second).state is EndState.ERRORS
    go_on.set()
    thread.join(60)
    assert [type(end) for end in ends] == [TakenOver] and "was taken over by" in str(ends[0])
    assert not store.broken(second.path / "out.jsonl")
    lines = [json.loads(line) for line in (second.path / "out.jsonl").read_bytes().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(VALUES)))


class Shelf(Destination):
    """A place that several machines publish at; the last one counts."""

    published: ClassVar[dict[str, Path]] = {}

    def publish(self, file: Path, confirm: Callable[[], None] = lambda: None) -> str:
        """Notes whose file it is, if its owner still owns the run."""
        confirm()
        self.published[file.name] = file.parent
        return file.name


@pytest.mark.parametrize(
    "step",
    ["finish.write_errors", "finish.sink_for", "report.receipt.write_receipt", "report.page.write_report"],
)
def test_an_owner_that_was_replaced_while_it_wrote_a_file_publishes_nothing_more(store, monkeypatch, step):
    """What the new owner published stays, whichever file the one before was about to publish."""
    module, _, name = f"wrapgen.run.{step}".rpartition(".")
    make, others = getattr(import_module(module), name), []

    def slow(*args, **kwargs):
        made = make(*args, **kwargs)
        if not others:
            others.append(store.machine(take_over=True))
            run = store.run(others[0], place=Shelf(others[0].path / "out.jsonl", "s3://b"), fresh=True)
            assert run.state is EndState.ERRORS
        return made

    monkeypatch.setattr(f"{module}.{name}", slow)
    Shelf.published.clear()
    first = store.machine()
    with pytest.raises(TakenOver):
        store.run(first, place=Shelf(first.path / "out.jsonl", "s3://b"))
    assert len(Shelf.published) == 4 and set(Shelf.published.values()) == {others[0].path}


def test_a_living_owner_is_left_alone_and_a_silent_one_is_replaced(store):
    """Who comes second waits for signs of life by its own clock: a sign refuses it, silence lets it in."""
    silent = []

    def faults(what: str, name: str) -> None:
        if silent:
            raise OSError("no network")

    first, told = store.machine(faults, patience=0.1), []
    with first.locked():
        with pytest.raises(RunError, match=r"another runner is at work in memory://states/one \(.*, process"):
            store.machine(on_wait=told.append, lease=4).objects.claim()
        silent.append(True)
        second = store.machine()
        with suppress(RunError):  # a last sign may have been on its way
            second.objects.claim()
        second.objects.claim()
        silent.clear()
        log = first.open(SPOOL, write=True)
        log.append(b"late\n")
        with pytest.raises(TakenOver):
            log.sync()
        third = store.machine()
        third.objects.fetch()
        assert third.open(SPOOL).size == 0
        second.objects.release()
    assert "watching" in told[0]
    with store.machine().locked():  # released: nothing to wait for
        pass


def test_an_idle_owner_hears_that_it_was_replaced(store):
    """Without anything to write, an owner looks whether it still is one."""
    first = store.machine(lease=0.2)
    with first.locked():
        with store.machine(take_over=True).locked():
            pass
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                first.objects.append(SPOOL, 0, b"")
            except TakenOver:
                return
            threading.Event().wait(0.02)
    pytest.fail("it never heard")


@pytest.mark.parametrize("seed", range(6))
def test_a_bucket_that_refuses_and_forgets_its_answers_changes_nothing(store, bench, seed):
    """Writes refused, written but not answered, or late: the run comes to its end with each item once."""
    chance = Random(seed)

    def faults(what: str, name: str) -> None:
        kind = chance.random()
        if kind < 0.15:
            raise OSError(f"503 {what}")
        if kind < 0.25:
            threading.Event().wait(0.005)

    state = store.machine(faults)
    state.objects.fetch = _stubborn(state.objects.fetch)
    assert store.run(state, bench.world()).state is EndState.ERRORS
    assert not store.broken(state.path / "out.jsonl")


def _stubborn(fetch):
    """Reads until it can be read."""

    def again() -> None:
        for _ in range(50):
            with suppress(RunError):
                return fetch()
        return fetch()

    return again


def test_clocks_that_jump_change_nothing(store, bench):
    """Wall clocks that are years apart, and go backwards, decide nothing about owner, order or outcome."""
    chance = Random(3)

    def jumping() -> float:
        return chance.choice([0.0, 1.6e9, 4.0e9])

    for at in (3, 5):
        world = bench.world()
        wild = World(world.calls, world.clock, jumping, world.random, world.wait)
        with pytest.raises(Killed):
            store.run(store.machine(killing(at, "after"), take_over=True), wild)
    last = store.machine(take_over=True)
    world = bench.world()
    assert (
        store.run(last, World(world.calls, world.clock, jumping, world.random, world.wait)).state
        is EndState.ERRORS
    )
    assert not store.broken(last.path / "out.jsonl")


def test_a_session_more_is_noted_by_each_owner(store, bench):
    """The ledger that the last owner reads has the sessions of all, and tries only rise."""
    with pytest.raises(Killed):
        store.run(store.machine(killing(4, "after")), bench.world())
    last = store.machine(take_over=True)
    store.run(last, bench.world())
    kinds = [entry["e"] for entry in read_ledger(last.open(LEDGER))]
    assert kinds.count("open") == 2 and kinds[-1] == "end"
