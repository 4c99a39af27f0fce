"""Time runs out gracefully: margins, clipped calls, sealing."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper, failed
from hypothesis import given
from hypothesis import strategies as st
from runtime import engine
from runtime.protocol import Failure


@pytest.mark.parametrize(
    ("seconds", "reserve"),
    [(300, 30), (2970, 297), (3000, 300), (10, 1), (3, 0.5), (1, 0.5), (0.4, 0.2)],
)
def test_the_hard_stop_leaves_what_recording_and_answering_need(seconds: float, reserve: float) -> None:
    """A tenth, at least 0.5 s, at most 300 s, never more than half; however slow items are."""
    until = engine.Deadline(seconds, Clock())
    until.slowest = 1000
    assert until.left() == pytest.approx(seconds - reserve)


@pytest.mark.parametrize(("slowest", "left"), [(0, 270), (5, 265), (100, 170), (1000, 0)])
def test_the_soft_stop_leaves_time_for_an_item_as_slow_as_the_slowest(slowest: float, left: float) -> None:
    """Work starts while it would end before the hard stop."""
    until = engine.Deadline(300, Clock())
    until.slowest = slowest
    assert until.left_to_start() == pytest.approx(left)


@given(st.floats(0.01, 3000), st.floats(0, 4000), st.floats(0, 4000))
def test_some_time_is_always_left_to_try_one_item(seconds: float, reading: float, slowest: float) -> None:
    """However long the items took to read, work may begin; and the margin never goes beyond its bounds."""
    clock = Clock()
    until = engine.Deadline(seconds, clock)
    clock.now += reading
    until.begin()
    until.slowest = slowest
    assert until.left() > 0
    assert until.left_to_answer() >= 0 and until.left_to_start() >= 0
    if reading == 0 and seconds >= 1:
        assert seconds / 2 <= until.left() + 1e-6 <= seconds


def test_calls_of_the_target_carry_their_clipped_time() -> None:
    """A call may take its item's time, but not longer than until the hard stop."""
    clock, granted = Clock(), []

    def call(value: int, seconds: float) -> int:
        granted.append(seconds)
        clock.now += 30
        return value

    Wrapper(call, clock=clock, parallel=1, item_timeout=60)({"$batch": [1, 2, 3], "$timeout": 200})
    assert granted == [60, 60, 60]
    granted.clear()
    Wrapper(call, clock=clock, parallel=1, item_timeout=60)({"$batch": [1, 2, 3, 4], "$timeout": 110})
    assert granted == [60, 60, 39]  # and for a fourth item of 30 s there is no time


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("datastore", [Kept, lambda: None])
def test_items_for_which_there_is_no_time_come_back_untried(one_by_one: bool, datastore: Any) -> None:
    """Each item is tried or comes back as a retryable DeadlineExceeded; the first is always tried."""
    clock = Clock()

    def call(value: int, seconds: float) -> int:
        clock.now += 25
        return value

    kept = datastore()
    wrapper = Wrapper(call, clock=clock, parallel=1, one_by_one=one_by_one, datastore=kept)
    reply = wrapper({"$batch": list(range(20)), "$timeout": 200, "$run": "r"})
    done = [result for result in reply["$results"] if isinstance(result, int)]
    assert done == list(range(len(done)))
    assert len(done) == 7  # seven items of 25 s before the hard stop at 180 s
    rest = [result["$error"] for result in reply["$results"][len(done) :]]
    assert {(error["type"], error["retryable"], error["attempts"]) for error in rest} == {
        ("DeadlineExceeded", True, 0)
    }
    assert reply["$summary"]["untried"] == len(rest) == 20 - len(done)
    assert kept is None or len(kept.fields) == len(done)
    reply = wrapper({"$batch": [1, 2], "$timeout": 0.001, "$run": "r"})
    assert reply["$results"][0] == 1


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("fault", [RuntimeError("a fault of ours"), Failure("Broken", "one item failed")])
def test_nothing_is_tried_after_what_ends_the_call(one_by_one: bool, fault: Exception) -> None:
    """A fault, or the first failure of a list that raises, is raised; later items are not called."""
    tried = []

    def call(value: int, seconds: float) -> int:
        tried.append(value)
        if value == 2:
            raise fault
        return value

    with pytest.raises(type(fault), match=str(fault)):
        Wrapper(call, raising=("item", "list"), parallel=1, one_by_one=one_by_one)([1, 2, 3, 4])
    assert tried == [1, 2]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_time_that_reading_took_leaves_some_for_the_first_item(one_by_one: bool) -> None:
    """However long a `$batch` file takes to come, work begins only then, and one item gets its chance."""
    clock, granted = Clock(), []

    class Files:
        write = None

        @staticmethod
        def read(request: Any, until: Any) -> Any:
            clock.now += 190
            return ["a", "b"]

    def call(value: str, seconds: float) -> str:
        granted.append(seconds)
        clock.now += 6
        return value

    wrapper = Wrapper(call, clock=clock, files=Files(), one_by_one=one_by_one, parallel=1)
    reply = wrapper({"$batch": "data://a/b/c", "$timeout": 200})
    assert granted == [5]
    assert reply["$results"][1]["$error"]["attempts"] == 0


def test_a_late_answer_is_dropped_and_never_reaches_the_next_call() -> None:
    """At the hard stop open items are closed with the attempt they had; what ends later changes nothing."""
    release, entered, ended = threading.Event(), threading.Semaphore(0), threading.Semaphore(0)

    def call(value: Any, seconds: float) -> Any:
        if value == "slow":
            entered.release()
            release.wait(300)
            ended.release()
        return value

    kept = Kept()
    wrapper = Wrapper(call, datastore=kept, parallel=4)
    began = time.monotonic()
    reply = wrapper({"$batch": ["a", "slow", "b", "slow"], "$timeout": 0.6, "$run": "r"})
    assert time.monotonic() - began < 60
    assert entered.acquire(timeout=60)
    assert (reply["$results"][0], reply["$results"][2]) == ("a", "b")
    closed = reply["$results"][1]["$error"]
    assert (closed["type"], closed["retryable"], closed["attempts"]) == ("DeadlineExceeded", True, 1)
    recorded = {fields["id"]: fields for fields in kept.fields}
    assert recorded["1"]["error"]["type"] == "DeadlineExceeded"
    assert recorded["1"]["started_at"].endswith("Z")
    before = (len(kept.fields), dict(reply["$summary"]))
    release.set()
    assert ended.acquire(timeout=60)
    assert ended.acquire(timeout=60)
    assert wrapper(["c", "d"]) == ["c", "d"]
    assert (len(kept.fields) - 2, dict(reply["$summary"])) == before
    assert reply["$results"][1]["$error"] is closed


def test_pauses_end_with_the_call() -> None:
    """An item that would have to wait beyond the soft stop comes back at once, for the caller to resend."""

    def call(value: Any, seconds: float) -> Any:
        raise failed("TooManyRequests", "slow down", retry_after=3600.0)

    began = time.monotonic()
    reply = Wrapper(call)({"$batch": ["x"], "$timeout": 600})
    assert time.monotonic() - began < 60
    assert reply["$results"][0]["$error"]["type"] == "TooManyRequests"
    assert reply["$summary"]["throttled"] == 1


@pytest.mark.parametrize("batch_size", [1, 5])
def test_a_target_that_takes_nothing_for_longer_than_the_call_is_not_asked_again(batch_size: int) -> None:
    """Items that were not sent come back open, as those that it refused; an answer opens the way again."""
    seen: list[Any] = []

    def call(value: Any, seconds: float) -> Any:
        seen.append(value)
        raise failed("TooManyRequests", "slow down", retry_after=3600.0)

    reply = Wrapper(call, parallel=1, batch_size=batch_size)({"$batch": list(range(50)), "$timeout": 600})
    assert len(seen) == 1
    assert {tuple(one["$error"].values()) for one in reply["$results"]} == {
        ("TooManyRequests", "slow down", True, 0)
    }
    summary = reply["$summary"]
    assert (summary["untried"], summary["throttled"], summary["calls"], summary["stopped"]) == (
        50,
        1,
        1,
        None,
    )


def test_what_was_started_and_answered_before_the_hard_stop_is_never_dropped() -> None:
    """Eight at once, 0.62 s each, 3 s: all that was started comes back, and pauses are no slow items."""
    clock, lock = Clock(), threading.Lock()
    waves: dict[float, threading.Barrier] = {}
    started = []

    def call(value: int, seconds: float) -> int:
        with lock:
            started.append(value)
            barrier = waves.setdefault(clock.now, threading.Barrier(8, action=move))
        barrier.wait(30)
        return value

    def move() -> None:
        clock.now += 0.63

    reply = Wrapper(call, clock=clock)({"$batch": list(range(100)), "$timeout": 3})
    done = [result for result in reply["$results"] if isinstance(result, int)]
    assert sorted(started) == sorted(done)
    assert len(done) == 24


def test_an_answer_that_is_handed_over_at_the_hard_stop_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It came in time and was paid for; reading it, or the user's `after`, may end a little later."""
    monkeypatch.setattr(engine, "TICK", 0.001)
    is_late = threading.Event()

    class Seen(Clock):
        def __call__(self) -> float:
            if self.now > 1009 and threading.current_thread() is threading.main_thread():
                is_late.set()
            return self.now

    clock = Seen()

    def call(value: int, seconds: float) -> int:
        clock.now += 8
        return value

    def after(item: Any, result: Any) -> Any:
        clock.now += 1.5
        assert is_late.wait(30)
        return result

    reply = Wrapper(call, clock=clock, hooks=SimpleNamespace(after=after))({"$batch": [1], "$timeout": 10})
    assert reply["$results"] == [1]
