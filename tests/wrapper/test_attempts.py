"""How often an item is tried: never more than the limit over all its sends, whatever happens in between."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import engine, items, protocol, work

HANGS, LATE = "hangs", "late"
STOPPING = ("AuthenticationError", "PaymentRequiredError")
NO_ATTEMPT = ("TooManyRequests", *STOPPING)
KINDS = [
    "ok",
    "ServerError",
    "ConnectionError",
    "TimeoutError",
    "LoadingError",
    "InputError",
    HANGS,
    LATE,
    *NO_ATTEMPT,
]


class Fates:
    """A target that does to each item what stands in its list next, and counts its calls."""

    def __init__(self, fates: list[list[str]]) -> None:
        self.fates = fates
        self.made: Counter[int] = Counter()
        self.clock = Clock()
        self.release = threading.Event()
        self._lock = threading.Lock()

    def call(self, value: Any, seconds: float) -> Any:
        together = value if isinstance(value, list) else [value]
        with self._lock:
            kinds = [self.fates[item].pop(0) if self.fates[item] else "ok" for item in together]
            worst = next((kind for kind in kinds if kind != "ok"), "ok")
            if worst not in NO_ATTEMPT and (len(together) == 1 or worst == "ok"):
                self.made.update(together)
            self.clock.now += {HANGS: 1000, LATE: seconds}.get(worst, 0)
        if worst == HANGS:
            assert self.release.wait(60)
        elif worst != "ok":
            raise failed("TimeoutError" if worst == LATE else worst, retry_after=0.0)
        return value


def add_up(open_items: list[int], results: list[Any], reported: Counter[int], limit: int) -> list[int]:
    """What a caller sends again, as docs/item-protocol.md has it; `reported` gets the attempts."""
    again = []
    for item, result in zip(open_items, results, strict=True):
        if isinstance(result, dict):
            reported[item] += result["$error"]["attempts"]
            if result["$error"]["retryable"] and reported[item] < limit:
                again.append(item)
    return again


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=30), min_size=1, max_size=6),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.integers(0, 4),
)
def test_attempts_never_exceed_the_limit_over_all_sends(
    fates: list[list[str]], limit: int, batch_size: int, tight: int
) -> None:
    """Over any statuses, stops, clipped timeouts and seals: what comes back adds up to at most the limit.

    `tight` gives the first sends no time for pauses, so that items come back half-tried.
    """
    exact = all(HANGS not in one for one in fates)
    fated, reported = Fates(fates), Counter[int]()
    open_items, given_up, send = list(range(len(fates))), set[int](), 1
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(engine, "TICK", 0.001)  # looks at the clock more often than a real one has to
        while open_items and send < 40:
            fated.release = threading.Event()
            wrapper = Wrapper(
                fated.call,
                attempts=limit,
                batch_size=batch_size,
                parallel=2,
                item_timeout=1000,
                clock=fated.clock,
                wait=lambda seconds, send=send: send <= tight or fated.clock.wait(seconds),
            )
            reply = wrapper({"$batch": open_items, "$run": "r", "$index": open_items, "$try": send})
            fated.release.set()
            again = add_up(open_items, reply["$results"], reported, limit)
            failed = {item for item, got in zip(open_items, reply["$results"], strict=True) if item != got}
            given_up |= failed - set(again)
            open_items, send = again, send + 1
    assert all(count <= limit for count in reported.values())
    if batch_size == 1:
        assert all(count <= limit for count in fated.made.values())
        for item in given_up | set(open_items):  # of a result, the summary tells the attempts
            assert fated.made[item] == reported[item] or (not exact and fated.made[item] < reported[item])


@pytest.mark.parametrize("kind", STOPPING)
def test_an_item_tried_before_everyone_stopped_keeps_its_attempts(kind: str) -> None:
    """It counts as tried and has its record; those that had no call come back as untried."""
    fated = Fates([["ServerError", "ServerError", kind], []])
    kept = Kept()
    wrapper = Wrapper(fated.call, datastore=kept, parallel=1, wait=lambda seconds: False)
    reply = wrapper({"$batch": [0, 1], "$run": "r"})
    assert [
        (result["$error"]["type"], result["$error"]["retryable"], result["$error"]["attempts"])
        for result in reply["$results"]
    ] == [(kind, True, 2), (kind, True, 0)]
    assert (reply["$summary"]["failed"], reply["$summary"]["untried"]) == (1, 1)
    assert [(one["id"], one["attempts"]) for one in kept.fields] == [("0", 2)]


def work_until(until: engine.Deadline) -> work.Work:
    settings = {"attempts": 3, "item_timeout": 60, "may_retry": True}
    return work.Work(None, settings, [], None, until)  # type: ignore[arg-type]


def test_what_is_closed_between_its_answer_and_its_count_was_tried() -> None:
    """A call counts from before it begins, so no moment to close its item finds it untried."""
    seen = []
    task = work.Task([items.Item(0, 0, "x")])
    working = work_until(engine.Deadline(300))
    working.call(task, lambda item, seconds: seen.append(task.attempts), task.items[0])
    assert (seen, task.attempts) == ([1], 1)


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_call_that_the_hard_stop_cut_short_is_closed(batch_size: int) -> None:
    """It is not tried again nor bisected: its items come back as any that time ran out for."""
    clock, granted = Clock(), []

    def call(value: Any, seconds: float) -> Any:
        granted.append(seconds)
        clock.now += int(seconds)
        raise failed("TimeoutError", "the call took too long")

    wrapper = Wrapper(call, clock=clock, parallel=1, batch_size=batch_size, wait=lambda seconds: False)
    reply = wrapper({"$batch": list(range(batch_size)), "$timeout": 40.5})
    assert granted == [pytest.approx(36.45)]
    errors = [result["$error"] for result in reply["$results"]]
    assert {(error["type"], error["retryable"], error["attempts"]) for error in errors} == {
        ("DeadlineExceeded", True, 1)
    }


def test_a_timeout_with_time_left_is_tried_again() -> None:
    """What took the whole time of an item, or took none of a short call's, is the target's own failure."""
    for limits, seconds in (({}, 300), ({"item_timeout": 1000}, 40)):
        fated = Fates([["TimeoutError", "TimeoutError"]])
        reply = Wrapper(fated.call, clock=Clock(), wait=lambda seconds: False, **limits)(
            {"$batch": [0], "$timeout": seconds}
        )
        assert (reply["$results"], fated.made[0]) == ([0], 3)


def test_what_is_closed_is_not_called_any_more() -> None:
    """A thread that comes to its call only after the hard stop leaves it: the item came back as untried."""
    clock, called = Clock(), []
    working = work_until(engine.Deadline(300, clock))
    task = work.Task([items.Item(0, 0, "x")])
    clock.now += 300
    working.ended.set()
    with pytest.raises(protocol.Failure):
        working.call(task, lambda item, seconds: called.append(item), task.items[0])
    assert (called, task.attempts) == ([], 0)


@pytest.mark.parametrize("refusals", [1, 40])
def test_an_outage_costs_no_attempt(refusals: int) -> None:
    """While nobody is there to take a call, items wait; once the target is back all of them succeed."""
    clock, seen = Clock(), Counter[int]()
    lock = threading.Lock()

    def call(value: int, seconds: float) -> int:
        with lock:
            seen[value] += 1
        if seen[value] <= refusals:
            raise failed("Unreachable")
        return value

    wrapper = Wrapper(call, clock=clock, wait=clock.wait, chance=lambda: 0.1)
    reply = wrapper({"$batch": list(range(20)), "$timeout": 2900})
    assert reply["$results"] == list(range(20))
    assert (reply["$summary"]["attempts"], reply["$summary"]["stopped"]) == (20, None)


def test_a_target_that_stays_unreachable_stops_the_call_and_is_nobodys_outcome() -> None:
    """Time is up: open items come back retryable with the attempts that they had, and none is recorded."""
    clock, kept = Clock(), Kept()

    def call(value: int, seconds: float) -> int:
        raise failed("Unreachable", "no connection to here:80")

    wrapper = Wrapper(call, clock=clock, wait=clock.wait, chance=lambda: 1.0, datastore=kept)
    began = clock.now
    reply = wrapper({"$batch": list(range(30)), "$timeout": 100})
    assert 60 < clock.now - began < 100
    errors = {tuple(result["$error"].values()) for result in reply["$results"]}
    assert errors == {("ConnectionError", "no connection to here:80", True, 0)}
    assert reply["$summary"]["stopped"] == {"type": "ConnectionError", "message": "no connection to here:80"}
    assert (reply["$summary"]["untried"], reply["$summary"]["calls"], kept.fields) == (30, 0, [])
