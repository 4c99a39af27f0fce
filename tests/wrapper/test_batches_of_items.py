"""What the parts do together: order, forms, failures, attempts, bisection, deadlines, sizes."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Kept, Wrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import protocol, target
from test_protocol import ANYTHING, JSON

DUMPS = json.dumps


def fails(error_type: str, **facts: Any) -> target.CallFailed:
    return target.CallFailed(error_type, "no good", **facts)


def error_of(result: Any) -> dict[str, Any]:
    return result["$error"]  # type: ignore[no-any-return]


def test_results_keep_the_order_of_the_items() -> None:
    """Items that end in reverse order come back in the order in which they were sent."""
    ended = [threading.Event() for _ in range(9)]
    ended[8].set()

    def call(value: int, seconds: float) -> int:
        assert ended[value + 1].wait(10)
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
            raise fails(value)
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
        raise fails("UnsupportedError")

    kept = Kept()
    with pytest.raises(protocol.Failure) as caught:
        Wrapper(call, datastore=kept)("x")
    assert caught.value.error_type == "UnsupportedError"
    assert kept.fields[0]["error"] == {"type": "UnsupportedError", "message": "no good", "retryable": False}


def test_on_error_raise_fails_a_list_after_recording() -> None:
    """The guide's behaviour: no more is started after a failure, but what was done is recorded."""

    def call(value: int, seconds: float) -> int:
        if value == 3:
            raise fails("InputError")
        return value

    kept = Kept()
    wrapper = Wrapper(call, datastore=kept, raising=("item", "list"), parallel=1)
    with pytest.raises(protocol.Failure, match="no good"):
        wrapper(list(range(1000)))
    ids = sorted(int(fields["id"]) for fields in kept.fields)
    assert ids[:4] == [0, 1, 2, 3]
    assert len(ids) < 20


@pytest.mark.parametrize("kind", ["AuthenticationError", "PaymentRequiredError"])
@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_stops_everyone_is_nobodys_outcome(kind: str, one_by_one: bool) -> None:
    """Open items come back untried and retryable, and the summary says why; none of them is recorded."""

    def call(value: int, seconds: float) -> int:
        if value >= 5:
            raise fails(kind)
        return value

    kept = Kept()
    reply = Wrapper(call, datastore=kept, parallel=2, one_by_one=one_by_one)({"$batch": list(range(500))})
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

    def call(value: Any, seconds: float) -> Any:
        if value == "x" and len(waited) < 2:
            raise fails("TooManyRequests", retry_after=7.0)
        if value == "never":
            raise fails("TooManyRequests", retry_after=0.0)
        return value

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    wrapper = Wrapper(call, wait=wait)
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


def test_pauses_have_full_jitter_within_the_designs_numbers() -> None:
    """0.5 to 30 s after failures; without Retry-After 2 to 60 s after 429."""
    waited: list[float] = []

    def wait(seconds: float) -> bool:
        waited.append(seconds)
        return False

    def call(value: str, seconds: float) -> Any:
        raise fails(value)

    wrapper = Wrapper(call, wait=wait, chance=lambda: 1.0, attempts=9, timeout=2970)
    wrapper({"$batch": ["ServerError"]})
    assert waited == [1, 2, 4, 8, 16, 30, 30, 30]
    waited.clear()
    wrapper({"$batch": ["TooManyRequests"]})
    assert waited == [4, 8, 16, 32]


KINDS = [
    "ok",
    "ServerError",
    "ConnectionError",
    "TimeoutError",
    "LoadingError",
    "TooManyRequests",
    "InputError",
]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(KINDS), min_size=1, max_size=30), min_size=1, max_size=6),
    st.integers(1, 5),
    st.sampled_from([1, 3]),
    st.integers(0, 4),
)
def test_attempts_never_exceed_the_limit_over_all_sends(
    fates: list[list[str]], limit: int, batch_size: int, tight: int
) -> None:
    """A caller that adds up what comes back never sees more calls than the limit, whatever fails and when.

    `tight` gives the first sends no time for pauses, so that items come back half-tried.
    """
    made: Counter[int] = Counter()
    reported: Counter[int] = Counter()
    done = set()
    lock = threading.Lock()

    def call(value: Any, seconds: float) -> Any:
        together = value if isinstance(value, list) else [value]
        with lock:
            kinds = [fates[item].pop(0) if fates[item] else "ok" for item in together]
            worst = next((kind for kind in kinds if kind != "ok"), "ok")
            if worst != "TooManyRequests" and (len(together) == 1 or worst == "ok"):
                made.update(together)
        if worst != "ok":
            raise fails(worst, retry_after=0.0)
        return value

    open_items, send = list(range(len(fates))), 1
    while open_items and send < 40:
        wrapper = Wrapper(
            call,
            attempts=limit,
            batch_size=batch_size,
            parallel=2,
            wait=lambda seconds, send=send: send <= tight,
        )
        reply = wrapper({"$batch": open_items, "$run": "r", "$index": open_items, "$try": send})
        again = []
        for item, result in zip(open_items, reply["$results"], strict=True):
            if isinstance(result, dict):
                error = error_of(result)
                reported[item] += error["attempts"]
                if error["retryable"] and reported[item] < limit:
                    again.append(item)
            else:
                done.add(item)
        open_items, send = again, send + 1
    assert all(count <= limit for count in reported.values())
    if batch_size == 1:
        assert all(made[item] <= limit for item in range(len(fates)))
        assert all(made[item] == reported[item] for item in range(len(fates)) if item not in done)


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 300), st.data())
def test_bisection_finds_the_poison_and_nothing_else(count: int, data: st.DataObject) -> None:
    """k poison items among n cost O(k log n) calls, and only those k fail."""
    poison = data.draw(st.sets(st.integers(0, count - 1), max_size=5))
    kind = data.draw(
        st.sampled_from(["InputError", "AlgorithmError", "TimeoutError", "TooLargeError", "length"])
    )

    def call(value: list[int], seconds: float) -> list[int]:
        assert isinstance(value, list)
        if poison & set(value):
            if kind == "length":
                return value[1:]
            raise fails(kind)
        return [item * 2 for item in value]

    reply = Wrapper(call, batch_size=count)({"$batch": list(range(count)), "$run": "r"})
    for item, result in enumerate(reply["$results"]):
        if item in poison:
            assert error_of(result)["attempts"] == 1
        else:
            assert result == item * 2
    assert reply["$summary"]["failed"] == len(poison)
    assert reply["$summary"]["calls"] <= 1 + 2 * len(poison) * math.ceil(math.log2(max(count, 2)))


@pytest.mark.parametrize(
    "kind",
    ["TooManyRequests", "ConnectionError", "AuthenticationError", "PaymentRequiredError", "ServerError"],
)
def test_what_no_item_is_to_blame_for_never_splits(kind: str) -> None:
    """Throttling, connection, server, authentication and payment failures go to the whole list."""
    lengths = []

    def call(value: list[int], seconds: float) -> Any:
        lengths.append(len(value))
        raise fails(kind, retry_after=0.0)

    Wrapper(call, batch_size=50)({"$batch": list(range(50))})
    assert set(lengths) == {50}


def test_halves_are_worked_on_in_parallel() -> None:
    """Bisection uses all the threads there are, and one bare item no more than it needs."""
    together = threading.Barrier(4)
    used = set()

    def call(value: list[int], seconds: float) -> Any:
        used.add(threading.get_ident())
        if len(value) > 4:
            raise fails("InputError")
        together.wait(10)
        return value

    wrapper = Wrapper(call, batch_size=16, parallel=4)
    assert wrapper(list(range(16))) == list(range(16))
    used.clear()
    Wrapper(lambda value, seconds: used.add(threading.get_ident()), parallel=24)("x")
    assert len(used) == 1


def test_sub_batches_are_lists_even_of_one() -> None:
    """With a batch size the target always gets a list, also for a bare item."""
    seen = []

    def call(value: Any, seconds: float) -> Any:
        seen.append(value)
        return value

    wrapper = Wrapper(call, batch_size=3)
    assert wrapper("x") == "x"
    assert wrapper([1, 2, 3, 4]) == [1, 2, 3, 4]
    assert sorted(map(len, seen)) == [1, 1, 3]


def test_bytes_can_not_stand_in_a_list() -> None:
    """With sub-batches an item of bytes is that item's InputError; the others go on."""
    results = Wrapper(lambda value, seconds: value, batch_size=3)([1, {"$binary": "AAE="}, 2])
    assert (results[0], results[2]) == (1, 2)
    assert error_of(results[1])["type"] == "InputError"


@settings(max_examples=300, deadline=None)
@given(
    st.lists(JSON | st.binary(max_size=900) | st.text(max_size=900), max_size=12),
    st.sampled_from([1, 4]),
    st.integers(1000, 3000),
)
def test_no_request_and_no_response_is_over_its_cap(values: list[Any], batch_size: int, cap: int) -> None:
    """Whatever mix of Unicode, escapes and bytes: bodies to the target and replies stay under the caps."""
    sent: list[int] = []
    stored: list[list[bytes]] = []

    class Transport:
        def send(self, method: str, path: str, body: bytes, headers: Any, timeout: float) -> Any:
            sent.append(len(body))
            value = body if "octet" in headers["Content-Type"] else body.decode()
            value = json.loads(value) if "json" in headers["Content-Type"] else value
            answer = {"result": protocol.to_wire(value), "metadata": {"content_type": "json"}}
            if isinstance(value, bytes):
                answer = {"result": answer["result"]["$binary"], "metadata": {"content_type": "binary"}}
            return type("Answer", (), {"status": 200, "headers": {}, "body": DUMPS(answer).encode()})

    class Files:
        def write(self, url: Any, lines: Any) -> str:
            stored.append(list(lines))
            return "data://.algo/o/W/temp/x"

    client = SimpleNamespace(
        apiAddress="http://h",
        apiKey="k",
        requestSession=SimpleNamespace(trust_env=False, proxies={}, verify=True),
    )
    called = target.Target(client, {"algorithm": "o/t/1.0.0", "request_bytes": cap})
    called._transport = Transport()
    wrapper = Wrapper(
        called.call, files=Files(), batch_size=batch_size, request_bytes=cap, response_bytes=cap
    )
    reply = wrapper({"$batch": [protocol.to_wire(value) for value in values], "$run": "r"})
    envelope = {"result": reply, "metadata": {"content_type": "json"}}
    assert len(DUMPS(envelope)) <= cap
    assert all(size <= cap for size in sent)
    results = reply["$results"]
    results = [json.loads(line) for line in stored[-1]] if isinstance(results, str) else results
    assert len(results) == len(values)
    for value, result in zip(values, results, strict=True):
        if isinstance(result, dict) and list(result) == ["$error"]:
            assert error_of(result)["type"] in ("TooLargeError", "InputError")
        else:
            assert protocol.from_wire(result) in (value, protocol.to_wire(value))
