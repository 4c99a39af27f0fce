"""Time runs out gracefully: margins, clipped calls, sealing."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper
from hypothesis import given
from hypothesis import strategies as st
from runtime import attempts, deadline, dispatch, items, protocol, target, work


@pytest.mark.parametrize(
    ("seconds", "slowest", "margin"),
    [
        (300, 0, 30),
        (300, 5, 30),
        (300, 40, 80),
        (300, 1000, 150),
        (2970, 0, 297),
        (2970, 400, 300),
        (10, 1, 2),
    ],
)
def test_the_margin_follows_the_design(seconds: float, slowest: float, margin: float) -> None:
    """A tenth or twice the slowest item, at most 300 s, never more than half."""
    clock = Clock()
    until = deadline.Deadline(seconds, clock)
    until.saw(slowest)
    assert until.left() == pytest.approx(seconds - margin)


@given(st.floats(0.01, 3000), st.floats(0, 4000), st.floats(0, 4000))
def test_some_time_is_always_left_to_try_one_item(seconds: float, reading: float, slowest: float) -> None:
    """However long the items took to read, work may begin; and the margin never goes beyond its bounds."""
    clock = Clock()
    until = deadline.Deadline(seconds, clock)
    clock.now += reading
    until.begin()
    until.saw(slowest)
    assert until.left() > 0
    assert until.left_for_records() >= 0
    if reading == 0 and seconds >= 1:
        assert seconds / 2 <= until.left() + 1e-6 <= seconds


def test_calls_of_the_target_carry_their_clipped_time() -> None:
    """A call may take its item's time, but not longer than until the soft stop."""
    clock, granted = Clock(), []

    def call(value: int, seconds: float) -> int:
        granted.append(seconds)
        clock.now += 30
        return value

    Wrapper(call, clock=clock, parallel=1, item_timeout=60)({"$batch": [1, 2, 3], "$timeout": 200})
    assert granted == [60, 60, 60]
    granted.clear()
    Wrapper(call, clock=clock, parallel=1, item_timeout=60)({"$batch": [1, 2, 3], "$timeout": 100})
    assert granted == [60, 20]  # after one item of 30 s the margin is half


@pytest.mark.parametrize("one_by_one", [False, True])
def test_items_for_which_there_is_no_time_come_back_untried(one_by_one: bool) -> None:
    """Each item is tried or comes back as a retryable DeadlineExceeded; the first is always tried."""
    clock = Clock()

    def call(value: int, seconds: float) -> int:
        clock.now += 25
        return value

    kept = Kept()
    wrapper = Wrapper(call, clock=clock, parallel=1, one_by_one=one_by_one, datastore=kept)
    reply = wrapper({"$batch": list(range(20)), "$timeout": 200, "$run": "r"})
    done = [result for result in reply["$results"] if isinstance(result, int)]
    assert done == list(range(len(done)))
    assert 4 <= len(done) <= 8
    rest = [result["$error"] for result in reply["$results"][len(done) :]]
    assert {(error["type"], error["retryable"], error["attempts"]) for error in rest} == {
        ("DeadlineExceeded", True, 0)
    }
    assert reply["$summary"]["untried"] == len(rest) == 20 - len(done)
    assert len(kept.fields) == len(done)
    reply = wrapper({"$batch": [1, 2], "$timeout": 0.001, "$run": "r"})
    assert reply["$results"][0] == 1


@pytest.mark.parametrize("one_by_one", [False, True])
def test_time_that_reading_took_leaves_some_for_the_first_item(one_by_one: bool) -> None:
    """However long a `$batch` file takes to come, work begins only then, and one item gets its chance."""
    clock, granted = Clock(), []

    class Files:
        write = None

        @staticmethod
        def read(url: str, until: Any) -> Any:
            clock.now += 190
            yield from "ab"

    def call(value: str, seconds: float) -> str:
        granted.append(seconds)
        clock.now += 6
        return value

    wrapper = Wrapper(call, clock=clock, files=Files(), one_by_one=one_by_one, parallel=1)
    reply = wrapper({"$batch": "data://a/b/c", "$timeout": 200})
    assert granted == [60 if one_by_one else 5]  # in process nothing could end it
    assert reply["$results"][1]["$error"]["attempts"] == 0


def test_a_late_answer_is_dropped_and_never_reaches_the_next_call() -> None:
    """At the soft stop open items are sealed with the attempt they had; what ends later changes nothing."""
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
    sealed = reply["$results"][1]["$error"]
    assert (sealed["type"], sealed["retryable"], sealed["attempts"]) == ("DeadlineExceeded", True, 1)
    recorded = {fields["id"]: fields for fields in kept.fields}
    assert recorded["1"]["error"]["type"] == "DeadlineExceeded"
    assert recorded["1"]["started_at"].endswith("Z")
    before = (len(kept.fields), dict(reply["$summary"]))
    release.set()
    assert ended.acquire(timeout=60)
    assert ended.acquire(timeout=60)
    assert wrapper(["c", "d"]) == ["c", "d"]
    assert (len(kept.fields) - 2, dict(reply["$summary"])) == before
    assert reply["$results"][1]["$error"] is sealed


def test_pauses_end_with_the_call() -> None:
    """An item that would have to wait beyond the soft stop comes back at once, for the caller to resend."""

    def call(value: Any, seconds: float) -> Any:
        raise target.CallFailed("TooManyRequests", "slow down", retry_after=3600.0)

    began = time.monotonic()
    reply = Wrapper(call)({"$batch": ["x"], "$timeout": 600})
    assert time.monotonic() - began < 60
    assert reply["$results"][0]["$error"]["type"] == "TooManyRequests"
    assert reply["$summary"]["throttled"] == 1


def test_no_more_is_held_than_what_is_in_flight() -> None:
    """Items are taken from a stream only as threads get to them, while finished ones wait to be kept."""
    taken = 0

    def stream() -> Any:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield number

    until = deadline.Deadline(300)
    request = protocol.Request(protocol.BATCH, [], **{"$run": "r"})
    tries = attempts.Attempts(lambda value, seconds: value, {"attempts": 3, "item_timeout": 60}, until)
    doing = work.Work(tries.make, {"result": "whole"}, until)
    handed = dispatch.Dispatch(doing.do, doing.tasks(items.Items(request, stream()), 1), 4, until, tries.end)
    outcomes = handed.outcomes(lambda: None)
    for seen in range(1, 2000):
        next(outcomes)
        assert taken - seen <= 4 * (2 * dispatch.WAITING + 2)
    outcomes.close()
