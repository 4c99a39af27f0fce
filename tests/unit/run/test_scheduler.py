"""The scheduler by itself, over any order of events: what holds for every item whatever its host does."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wrapgen.run.scheduling.actions import (
    PHASES,
    Cause,
    Finish,
    Lose,
    Phase,
    Read,
    Send,
    Settle,
    Step,
    Stop,
    Unsend,
    WaitUntil,
)
from wrapgen.run.scheduling.chunks import Chunk, ChunkCutter, Entry
from wrapgen.run.scheduling.limits import ChunkSize, Concurrency, ErrorBudget
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.progress import Counts
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Outcome, Reply
from wrapgen.run.scheduling.scheduler import Adaptive, DeliveryLimits, IllegalEvent, Scheduler

ATTEMPTS = 3
ERROR = '{"type":"ServerError","message":"no","retryable":true}'
FAULTS = [fault for fault in LossKind if fault is not LossKind.STOPPED]


def scheduler(items: int, *, patience: float = 1e9, open_calls: int = 3, **limits) -> Scheduler:
    adaptive = Adaptive(ChunkSize(largest=8, first=4), Concurrency(open_calls), ErrorBudget(share=1))
    random = Random(5)
    return Scheduler(
        DeliveryLimits(ATTEMPTS, **limits),
        adaptive,
        SharedBackoff(random, patience),
        random,
        Counts(items=items),
    )


class World:
    """Drives a scheduler by chance, with a host that fails as it is told, and checks every step of it."""

    def __init__(self, items: int, choose, *, faulty: int, patience: float = 1e9) -> None:
        self.choose = choose
        self.faulty = faulty
        self.now = 0.0
        self.scheduler = scheduler(items, patience=patience, prefetch=1)
        self.cutter = ChunkCutter(iter([Entry(n, b"1", None) for n in range(items)]))
        self.open: dict[int, Chunk] = {}
        self.attempts: Counter[int] = Counter()
        self.tries: dict[int, int] = {}
        self.final: dict[int, Fate] = {}
        self.sends = 0

    def run(self, *, at_most: int = 20_000) -> Stop | None:
        """Until the end, which has to come."""
        for _ in range(at_most):
            action = self.scheduler.next(self.now)
            if isinstance(action, Finish):
                assert not self.open
                return action.stop
            if isinstance(action, Read):
                self.scheduler.add(self.cutter.take(action.count), last=self.cutter.empty)
            elif isinstance(action, Send):
                self.send(action)
            elif self.open:
                self.reply(self.choose(sorted(self.open)))
            else:
                assert isinstance(action, WaitUntil) and action.moment is not None, "nobody will ever act"
                assert action.moment > self.now, "waiting makes no progress"
                self.now = action.moment
        raise AssertionError("the run does not end")

    def send(self, action: Send) -> None:
        chunk = action.chunk
        assert action.seq not in self.open
        busy = {index for other in self.open.values() for index in other.indexes}
        assert not busy.intersection(chunk.indexes), "an item is in two calls at once"
        assert not self.final.keys() & set(chunk.indexes), "a finished item is sent again"
        assert len(self.open) <= 4 and list(chunk.indexes) == sorted(chunk.indexes)
        for index in chunk.indexes:
            assert self.attempts[index] < ATTEMPTS
            assert chunk.tries + 1 > self.tries.get(index, 0), "a try is used twice"
        self.open[action.seq] = chunk
        self.sends += 1

    def reply(self, seq: int) -> None:
        chunk = self.open.pop(seq)
        kept = self.scheduler.received(seq, self.outcome(chunk), self.now)
        if not isinstance(kept, Unsend):
            self.tries.update(dict.fromkeys(chunk.indexes, chunk.tries + 1))
        if isinstance(kept, Settle):
            for index, outcome in zip(chunk.indexes, kept.reply.outcomes, strict=True):
                self.attempts[index] = outcome.attempts
                if outcome.fate is not Fate.AGAIN:
                    assert index not in self.final
                    self.final[index] = outcome.fate
        else:
            assert isinstance(kept, (Lose, Unsend))

    def outcome(self, chunk: Chunk) -> Reply | Lost:
        """What becomes of a send: after enough faults the host works."""
        if self.faulty <= 0:
            return Reply([Outcome(Fate.OK, "1", before) for before in chunk.attempts], {"calls": len(chunk)})
        self.faulty -= 1
        fault = self.choose([None, *FAULTS])
        if fault is not None:
            return Lost(fault, "SomeError", "no", self.choose([None, 2.0]))
        return Reply([self.item(before) for before in chunk.attempts], {"throttled": self.choose([0, 1])})

    def item(self, before: int) -> Outcome:
        tried = before + 1
        again = Fate.AGAIN if tried < ATTEMPTS else Fate.FAILED
        return self.choose(
            [
                Outcome(Fate.OK, "1", before),
                Outcome(Fate.FAILED, ERROR, tried),
                Outcome(Fate.AGAIN, ERROR, before),
                Outcome(again, ERROR, tried),
            ]
        )


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(0, 60), st.randoms(use_true_random=False))
def test_every_item_is_finished_once_after_any_faults(items, faulty, random):
    """Once faults cease the run ends; each item has one final outcome, within its attempts."""
    world = World(items, random.choice, faulty=faulty)
    assert world.run() is None
    assert set(world.final) == set(range(items))
    counts = world.scheduler.counts
    assert counts.finished == items and counts.calls <= world.sends
    assert counts.failed == sum(fate is Fate.FAILED for fate in world.final.values())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 30), st.randoms(use_true_random=False))
def test_faults_that_never_cease_end_the_run(items, random):
    """A host that fails forever ends the run, by patience or because every item is finished."""
    world = World(items, random.choice, faulty=10**9, patience=300)
    stop = world.run()
    assert (stop is None) == (set(world.final) == set(range(items)))
    assert stop is None or stop.cause is Cause.PATIENCE


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 30), st.integers(0, 40), st.integers(0, 40), st.randoms(use_true_random=False))
def test_a_delivery_that_is_stopped_sends_nothing_more(items, faulty, after, random):
    """Open calls end and count; the first reason stays."""
    world = World(items, random.choice, faulty=faulty)
    told = Stop(Cause.TOLD, "interrupted")
    for _ in range(after):
        action = world.scheduler.next(world.now)
        if isinstance(action, Read):
            world.scheduler.add(world.cutter.take(action.count), last=world.cutter.empty)
        elif isinstance(action, Send):
            world.send(action)
    world.scheduler.stop(told)
    world.scheduler.stop(Stop(Cause.TOLD, "again"))
    sent = world.sends
    assert world.run() == told and world.sends == sent and world.scheduler.allowed(world.now) == 0


def test_illegal_events_are_errors():
    """A reply to nothing, a reply given twice and a chunk that nobody asked for are mistakes of a driver."""
    one = scheduler(2)
    with pytest.raises(IllegalEvent, match="not open"):
        one.received(0, Reply([], {}), 0.0)
    with pytest.raises(IllegalEvent, match="asked for"):
        one.add(Chunk([0], [b"1"], None, [0]), last=True)
    assert isinstance(one.next(0.0), Read)
    with pytest.raises(IllegalEvent, match="missing"):
        one.add(None, last=False)
    one.add(Chunk([0, 1], [b"1", b"2"], None, [0, 0]), last=True)
    send = one.next(0.0)
    assert isinstance(send, Send)
    done = Reply([Outcome(Fate.OK, "1", 0)] * 2, {"calls": 2})
    one.received(send.seq, done, 0.0)
    with pytest.raises(IllegalEvent, match="not open"):
        one.received(send.seq, done, 0.0)
    assert one.next(0.0) == Finish(None) == one.next(0.0)


def test_every_phase_is_reached_and_only_one_is_the_end():
    """From reading all phases can be reached, and a delivery that has ended stays so."""
    reached = {Phase.READING}
    for _ in Phase:
        reached |= {after for (before, _), after in PHASES.items() if before in reached}
    assert reached == set(Phase)
    assert {after for (before, _), after in PHASES.items() if before is Phase.ENDED} == {Phase.ENDED}
    assert (Phase.STOPPING, Step.MORE) not in PHASES and (Phase.READING, Step.END) not in PHASES


def test_nothing_new_is_read_while_too_much_waits():
    """Items that wait are held in memory: from 32 MB on no more are read until some are through."""
    one = scheduler(1000, aim=10**9)
    read, sent = 0, 0
    for _ in range(200):
        action = one.next(0.0)
        if isinstance(action, Read):
            read += 1
            one.add(Chunk([read], [b"x" * 4_000_000], None, [0]), last=False)
        elif isinstance(action, Send):
            sent += 1
            one.received(action.seq, Reply([Outcome(Fate.AGAIN, ERROR, 1)], {"calls": 1}), 0.0)
    assert read == sent == 8
