"""What the parts do together: order, forms, failures, attempts, bisection, deadlines, sizes."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import engine, protocol, wrapper
from test_protocol import ANYTHING

DUMPS = json.dumps


def error_of(result: Any) -> dict[str, Any]:
    return result["$error"]  # type: ignore[no-any-return]


def test_results_keep_the_order_of_the_items() -> None:
    """Items that end in reverse order come back in the order in which they were sent."""
    ended = [threading.Event() for _ in range(9)]
    ended[8].set()

    def call(value: int, seconds: float) -> int:
        assert ended[value + 1].wait(60)
        ended[value].set()
        return value * 10

    assert Wrapper(call)(list(range(8))) == [value * 10 for value in range(8)]


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize("count", [0, 1, 10_000])
def test_any_number_of_items_comes_back(count: int, one_by_one: bool) -> None:
    """None, one, and ten thousand."""
    wrapper = Wrapper(lambda value, seconds: value, one_by_one=one_by_one)
    assert wrapper(list(range(count))) == list(range(count))
    reply = wrapper({"$batch": list(range(count)), "$run": "r"})
    assert reply["$results"] == list(range(count))
    assert reply["$summary"]["succeeded"] == reply["$summary"]["items"] == reply["$summary"]["calls"] == count


@settings(max_examples=100, deadline=None)
@given(st.lists(ANYTHING, max_size=6))
def test_every_value_goes_through_every_form(values: list[Any]) -> None:
    """What the target gets is the item, and what comes back is the result, whatever they look like."""
    wrapper = Wrapper(lambda value, seconds: value)
    wires = [protocol.to_wire(value) for value in values]
    assert wrapper(wires) == wires
    assert wrapper({"$batch": wires, "$index": 5})["$results"] == wires
    for value in values:
        if not isinstance(value, list) and not (isinstance(value, dict) and "$batch" in value):
            assert wrapper(value) == value


def test_a_failed_item_leaves_the_others_alone() -> None:
    """The error stands in its place with its type, and says whether and how often it was tried."""

    def call(value: str, seconds: float) -> str:
        if value in ("InputError", "OutOfMemoryError", "ServerError"):
            raise failed(value)
        return value.upper()

    reply = Wrapper(call)(
        {"$batch": ["a", "InputError", "ServerError", {"$binary": 1}, "OutOfMemoryError", "b"]}
    )
    results = reply["$results"]
    assert (results[0], results[5]) == ("A", "B")
    assert error_of(results[1]) == {
        "type": "InputError",
        "message": "no good",
        "retryable": False,
        "attempts": 1,
    }
    assert error_of(results[2]) == {
        "type": "ServerError",
        "message": "no good",
        "retryable": True,
        "attempts": 3,
    }
    assert error_of(results[3])["type"] == "InputError"
    assert error_of(results[3])["attempts"] == 0
    assert error_of(results[4])["retryable"] is False
    counts = {key: reply["$summary"][key] for key in ("items", "succeeded", "failed", "untried", "calls")}
    assert counts == {"items": 6, "succeeded": 2, "failed": 4, "untried": 0, "calls": 7}


def test_a_bare_item_raises_the_targets_own_error() -> None:
    """Form 1 raises what a direct call would have."""

    def call(value: Any, seconds: float) -> Any:
        raise failed("UnsupportedError")

    kept = Kept()
    with pytest.raises(protocol.Failure) as caught:
        Wrapper(call, datastore=kept)("x")
    assert caught.value.error_type == "UnsupportedError"
    assert kept.fields[0]["error"] == {"type": "UnsupportedError", "message": "no good", "retryable": False}


def test_on_error_raise_fails_a_list_after_recording() -> None:
    """The guide's behaviour: no more is started after a failure, but what was done is recorded."""

    def call(value: int, seconds: float) -> int:
        if value == 3:
            raise failed("InputError")
        return value

    kept = Kept()
    wrapper = Wrapper(call, datastore=kept, raising=("item", "list"), parallel=1)
    with pytest.raises(protocol.Failure, match="no good"):
        wrapper(list(range(1000)))
    ids = sorted(int(fields["id"]) for fields in kept.fields)
    assert ids[:4] == [0, 1, 2, 3]
    assert len(ids) < 20


@pytest.mark.parametrize("kind", ["AuthenticationError", "PaymentRequiredError"])
def test_what_stops_everyone_is_nobodys_outcome(kind: str) -> None:
    """Open items come back untried and retryable, and the summary says why; none of them is recorded."""

    def call(value: int, seconds: float) -> int:
        if value >= 5:
            raise failed(kind)
        return value

    kept = Kept()
    reply = Wrapper(call, datastore=kept, parallel=2)({"$batch": list(range(500))})
    assert reply["$results"][:5] == [0, 1, 2, 3, 4]
    assert all(
        (error_of(result)["type"], error_of(result)["retryable"], error_of(result)["attempts"])
        == (kind, True, 0)
        for result in reply["$results"][5:]
    )
    summary = reply["$summary"]
    assert summary["stopped"] == {"type": kind, "message": "no good"}
    assert (summary["succeeded"], summary["untried"], summary["failed"]) == (5, 495, 0)
    assert summary["calls"] <= 7
    assert summary["recorded"] == len(kept.fields) == 5


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_fault_of_ours_costs_nothing_that_was_done(one_by_one: bool) -> None:
    """What is no failure of an item ends the call, once the items before it are recorded."""

    def call(value: int, seconds: float) -> int:
        if value == 3:
            raise GeneratorExit("not an Exception")
        return value

    kept = Kept()
    with pytest.raises(GeneratorExit):
        Wrapper(call, datastore=kept, parallel=1, one_by_one=one_by_one)({"$batch": list(range(6))})
    assert [fields["id"] for fields in kept.fields[:3]] == ["0", "1", "2"]


def test_threads_that_are_not_to_be_had_are_done_without(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system starts no more threads, those that there are do the work, and records are written."""
    started = iter([True])
    start = threading.Thread.start

    def few(thread: threading.Thread) -> None:
        if not next(started, False):
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", few)
    kept = Kept()
    reply = Wrapper(lambda value, seconds: value, datastore=kept, parallel=8)({"$batch": list(range(40))})
    assert reply["$results"] == list(range(40))
    assert len(kept.fields) == 40


def test_equal_ids_are_answered_once_for_all() -> None:
    """Equal items with one id are one call and one record; a different item with that id is refused."""
    calls: Counter[str] = Counter()

    def call(value: Any, seconds: float) -> Any:
        calls[DUMPS(value)] += 1
        return value

    kept = Kept()
    batch = [{"a": 1, "b": 2}, "y", {"b": 2, "a": 1}, "z"]
    reply = Wrapper(call, datastore=kept)({"$batch": batch, "$ids": ["1", "2", "1", "1"]})
    assert reply["$results"][:3] == [{"a": 1, "b": 2}, "y", {"a": 1, "b": 2}]
    assert error_of(reply["$results"][3])["type"] == "InputError"
    assert sum(calls.values()) == 2
    assert sorted(fields["id"] for fields in kept.fields) == ["1", "2"]
    assert reply["$summary"]["succeeded"] == 3


def test_throttling_is_no_attempt() -> None:
    """429 waits as the platform asks, counts as throttled, and leaves the item untried."""
    waited: list[float] = []
    clock = Clock()

    def call(value: Any, seconds: float) -> Any:
        if value == "x" and len(waited) < 2:
            raise failed("TooManyRequests", retry_after=7.0)
        if value == "never":
            raise failed("TooManyRequests", retry_after=5.0)
        return value

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        clock.now += seconds
        return False

    wrapper = Wrapper(call, wait=wait, clock=clock)
    reply = wrapper({"$batch": ["x"]})
    assert reply["$results"] == ["x"]
    assert waited == [7.0, 7.0]
    assert reply["$summary"]["throttled"] == 2
    reply = wrapper({"$batch": ["never"]})
    assert error_of(reply["$results"][0]) == {
        "type": "TooManyRequests",
        "message": "no good",
        "retryable": True,
        "attempts": 0,
    }
    assert reply["$summary"]["untried"] == 1
    assert reply["$summary"]["throttled"] == 54  # all the time there is: nobody else is better off
    reply = Wrapper(call, wait=wait, clock=clock, parallel=1)({"$batch": ["y", "never"]})
    assert reply["$summary"]["throttled"] == 5  # one item alone does not stall the call


def test_pauses_have_full_jitter_within_the_designs_numbers() -> None:
    """0.5 to 30 s after failures and where nobody answers; without Retry-After 2 to 60 s after 429."""
    waited: list[float] = []

    def call(value: str, seconds: float) -> Any:
        raise failed(value)

    clock = Clock()

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        clock.now += seconds
        return False

    wrapper = Wrapper(call, wait=wait, chance=lambda: 1.0, attempts=9, timeout=2970, clock=clock)
    wrapper({"$batch": ["ServerError"]})
    assert waited == [1, 2, 4, 8, 16, 30, 30, 30]
    waited.clear()
    wrapper({"$batch": ["TooManyRequests"]})
    assert waited[:6] == [4, 8, 16, 32, 60, 60]
    assert 2400 < sum(waited) < 2970 - 297
    waited.clear()
    wrapper({"$batch": ["Unreachable"]})
    assert waited[:6] == [1, 2, 4, 8, 16, 30]
    assert 2600 < sum(waited) < 2970 - 297


def test_the_summary_names_what_was_retried_and_what_was_slow() -> None:
    """By place: the attempts of results that took more than one, and the milliseconds of the ten slowest."""
    now, seen = [0.0], Counter[Any]()

    def call(value: int, seconds: float) -> Any:
        now[0] += value
        seen[value] += 1
        if value in (3, 5) and seen[value] < value - 1:
            raise failed("ServerError")
        return value

    wrapper = Wrapper(call, clock=lambda: now[0], wait=lambda _: False, parallel=1, attempts=5, timeout=2970)
    summary = wrapper({"$batch": [*range(14), 5]})["$summary"]
    assert summary["retried"] == [[3, 2], [5, 4]]
    assert [place for place, _ in summary["slowest"]] == [5, 13, 12, 11, 10, 9, 8, 7, 6, 3]
    assert summary["slowest"][0] == [5, 20_000]


def test_what_has_ended_does_not_wait_for_what_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outcome is kept while another item is still under way."""
    first_is_kept = threading.Event()

    class Watching(engine.Engine):
        def _put(self, outcomes: Any) -> None:
            super()._put(outcomes)
            first_is_kept.set()

    def call(value: str, seconds: float) -> str:
        if value == "slow":
            assert first_is_kept.wait(60)
        return value

    monkeypatch.setattr(wrapper.Wrapper, "engine", Watching)
    assert Wrapper(call, parallel=2)(["quick", "slow"]) == ["quick", "slow"]
