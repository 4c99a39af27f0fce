"""How often an item is tried: never more than the limit over all its sends, whatever happens in between."""

from __future__ import annotations

import threading
from collections import Counter
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import attempts, deadline, dispatch, items, target

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

LIMITS = {"attempts": 3, "item_timeout": 60}


class Watchful(dispatch.Dispatch):
    """Looks at the clock more often than a real one has to."""

    def outcomes(self, idle: Any, tick: float = 0.001) -> Any:
        return super().outcomes(idle, tick)


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
            raise target.CallFailed("TimeoutError" if worst == LATE else worst, "no good", retry_after=0.0)
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
    while open_items and send < 40:
        fated.release = threading.Event()
        wrapper = Wrapper(
            fated.call,
            attempts=limit,
            batch_size=batch_size,
            parallel=2,
            item_timeout=1000,
            clock=fated.clock,
            wait=lambda seconds, send=send: send <= tight,
        )
        wrapper.dispatch_class = Watchful
        reply = wrapper({"$batch": open_items, "$run": "r", "$index": open_items, "$try": send})
        fated.release.set()
        again = add_up(open_items, reply["$results"], reported, limit)
        failed = {item for item, result in zip(open_items, reply["$results"], strict=True) if item != result}
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


def test_what_is_sealed_between_its_answer_and_its_count_was_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call counts from before it begins, so no moment to seal its item finds it untried."""
    seen = []
    tries = attempts.Attempts(
        lambda value, seconds: seen.append(task.attempts), LIMITS, deadline.Deadline(300)
    )
    task = items.Task([items.Item(0, 0, "x")], True)
    monkeypatch.setattr(tries, "_count", lambda calls, throttled: seen.append(task.attempts))
    tries.make("x", task)
    assert seen == [1, 1]


@pytest.mark.parametrize("batch_size", [1, 4])
def test_a_call_that_the_soft_stop_cut_short_is_sealed(batch_size: int) -> None:
    """It is not tried again nor bisected: its items come back as any that time ran out for."""
    clock, granted = Clock(), []

    def call(value: Any, seconds: float) -> Any:
        granted.append(seconds)
        clock.now += int(seconds)
        raise target.CallFailed("TimeoutError", "the call took too long")

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


def test_what_is_sealed_is_not_called_any_more() -> None:
    """A thread that comes to its call only after the soft stop leaves it: the item came back as untried."""
    clock, called = Clock(), []
    until = deadline.Deadline(300, clock)
    tries = attempts.Attempts(lambda value, seconds: called.append(value), LIMITS, until)
    task = items.Task([items.Item(0, 0, "x")], True)
    clock.now += 300
    tries.end()
    with pytest.raises(attempts.Failure):
        tries.make("x", task)
    assert (called, task.attempts) == ([], 0)
