"""Calls with real threads: who may call when, and what becomes of a chunk that was ready and never left."""

from __future__ import annotations

import threading
from collections.abc import Callable
from random import Random
from typing import Any

import pytest

from wrapgen.errors import NotAuthorized, Throttled, Unreachable
from wrapgen.run.hosts.call_threads import CallThreads
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.report.tally import Tally
from wrapgen.run.scheduling.chunks import Chunk, Entry, gather
from wrapgen.run.scheduling.replies import LossKind, Lost, Reply
from wrapgen.run.settings import World
from wrapgen.run.summary import EndState

PATIENCE = 30.0
ANSWER = b'{"result": {"$results": [1], "$summary": {"calls": 1}}, "metadata": {}}'


class Door:
    """Calls that end when they are let out, one at a time."""

    def __init__(self) -> None:
        self.inside = 0
        self.most = 0
        self.begun: list[bytes] = []
        self._lock = threading.Lock()
        self._arrived = threading.Semaphore(0)
        self._let_out = threading.Semaphore(0)

    def call(self, body: bytes, timeout: float) -> bytes:
        """One call."""
        with self._lock:
            self.begun.append(body)
            self.inside += 1
            self.most = max(self.most, self.inside)
        self._arrived.release()
        assert self._let_out.acquire(timeout=PATIENCE)
        with self._lock:
            self.inside -= 1
        return ANSWER

    def until_one_more_is_inside(self) -> None:
        """Waits for a call to begin."""
        assert self._arrived.acquire(timeout=PATIENCE)

    def let_out(self, count: int = 1) -> None:
        """Ends so many calls."""
        self._let_out.release(count)


def chunk(index: int) -> Chunk:
    return Chunk(indexes=range(index, index + 1), items=[b"1"], ids=None, attempts=[0], tries=0)


def threads_over(call: Callable[[bytes, float], bytes]) -> CallThreads:
    terms = Terms("r1", 330, 3, 1_000_000, lambda: 0.0)
    return CallThreads(ChunkCall(MemoryHost(call), terms))


def test_a_chunk_that_is_ready_leaves_when_a_call_ends_and_nobody_else_acts():
    """No more calls are open than may be, and the next one leaves without the runner doing anything."""
    door = Door()
    calls_open = threads_over(door.call)
    calls_open.allow(1)
    for seq in range(3):
        calls_open.submit(seq, chunk(seq))
    for _ in range(3):
        door.until_one_more_is_inside()
        door.let_out()
    back: list[Any] = []
    while len(back) < 3:
        back += calls_open.wait(PATIENCE)
    assert door.most == 1 and sorted(one.seq for one in back) == [0, 1, 2]
    assert all(isinstance(one.reply, Reply) for one in back)
    calls_open.close()


def test_what_is_recalled_comes_back_without_having_left():
    """A recall brings back what waits for its turn, and leaves what is on its way alone."""
    door = Door()
    calls_open = threads_over(door.call)
    calls_open.allow(1)
    calls_open.submit(0, chunk(0))
    door.until_one_more_is_inside()
    calls_open.submit(1, chunk(1))
    calls_open.allow(0)
    (back,) = calls_open.wait(PATIENCE)
    assert back.seq == 1 and back.reply.fault is LossKind.UNSENT
    door.let_out()
    (back,) = calls_open.wait(PATIENCE)
    assert back.seq == 0 and isinstance(back.reply, Reply) and len(door.begun) == 1
    calls_open.close()


@pytest.mark.parametrize("error", [Throttled("slow", status=429), Unreachable("gone"), NotAuthorized("who?")])
def test_a_call_that_fails_keeps_the_next_one_from_leaving(error):
    """What one call was refused for, the next would be: it comes back, and whoever asked decides."""
    first = threading.Event()
    calls: list[bytes] = []

    def call(body: bytes, timeout: float) -> bytes:
        calls.append(body)
        if len(calls) == 1:
            assert first.wait(PATIENCE)
            raise error
        return ANSWER

    calls_open = threads_over(call)
    calls_open.allow(1)
    calls_open.submit(0, chunk(0))
    calls_open.submit(1, chunk(1))
    first.set()
    back: list[Any] = []
    while len(back) < 2:
        back += calls_open.wait(PATIENCE)
    faults = {one.reply.fault for one in back}
    assert LossKind.UNSENT in faults and len(faults) == 2
    assert [body for body in calls if b"$index" in body] == calls[:1]
    calls_open.close()


def with_threads(bench: Any) -> Any:
    bench.world = lambda disk=None: World(calls=CallThreads, random=Random(7))
    return bench


def told(bench: Any) -> Any:
    tally = Tally()
    for entry in bench.ledger()[1:]:
        tally.note(entry)
    return tally.as_json()


def test_a_run_counts_what_did_not_leave_as_not_sent(bench, memory_wrapper):
    """A 429 brings back the chunk that was ready: it goes later, as the same try, and counts as one call."""
    slow = Throttled("slow down", status=429, retry_after=0.01)
    wrapper = memory_wrapper(calls_fail={1: slow})
    summary = with_threads(bench).run(wrapper, list(range(200)), workers=1, chunk=20)
    assert summary.state is EndState.OK and [line["result"]["seen"] for line in bench.lines()] == list(
        range(200)
    )
    kinds = [entry["e"] for entry in bench.ledger()]
    assert kinds.count("unsent") >= 1
    assert kinds.count("send") - kinds.count("unsent") == len(wrapper.calls) == summary.counts.calls
    assert {call["$try"] for call in wrapper.calls} == {1, 2}
    assert all(len(records) == 1 for records in wrapper.records.values())
    calls = told(bench)["calls"]
    assert calls["sent"] == len(wrapper.calls) and calls["open"] == 0 and calls["lost"] == 1


def test_a_run_that_was_stopped_goes_on_with_what_did_not_leave(bench, memory_wrapper):
    """Refused credentials end a session with nothing open, and the next one sends what was ready as try 1."""
    wrapper = memory_wrapper(calls_fail={2: NotAuthorized("who are you?", status=401)})
    first = with_threads(bench).run(wrapper, list(range(100)), workers=1, chunk=10)
    assert first.state is EndState.INCOMPLETE and len(wrapper.calls) == 2
    again = bench.run(wrapper, list(range(100)), workers=1, chunk=10)
    assert again.state is EndState.OK and len(bench.lines()) == 100
    assert sum(call["$try"] > 1 for call in wrapper.calls) == 1


def test_a_run_leaves_no_thread_behind(bench, memory_wrapper):
    """The threads that made the calls of a run end with it: a program may make many runs."""
    with_threads(bench).run(memory_wrapper(), list(range(200)), workers=4, chunk=10)
    for thread in threading.enumerate():
        if thread.name.startswith("wrapgen-call"):
            thread.join(PATIENCE)
            assert not thread.is_alive()


class Unspeakable(Exception):
    """As when memory is short: saying what happened fails too."""

    def __str__(self) -> str:
        raise MemoryError

    __repr__ = __str__


def test_a_thread_whose_error_cannot_be_told_still_replies() -> None:
    """A run never waits for a call whose thread had no memory left, even for an error's words."""

    def send(chunk: Chunk, permit: Any) -> Reply:
        raise Unspeakable

    calls = CallThreads(send)
    calls.submit(7, gather([Entry(0, b"1", None)]))
    ((seq, lost),) = calls.wait(PATIENCE)
    assert seq == 7 and isinstance(lost, Lost) and lost.fault is LossKind.STOPPED
    calls.close()
