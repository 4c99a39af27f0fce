"""Lists for the target: bisection down to the poison item, and what never splits."""

from __future__ import annotations

import json
import math
import threading
from typing import Any

import pytest
from flow import Clock, Wrapper, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from test_table import wrapper_of


def error_of(result: Any) -> dict[str, Any]:
    return result["$error"]  # type: ignore[no-any-return]


@settings(max_examples=200, deadline=None)
@given(st.integers(2, 300), st.data())
def test_bisection_finds_the_poison_and_nothing_else(count: int, data: st.DataObject) -> None:
    """k poison items among n cost O(k log n) calls, and only those k fail."""
    poison = data.draw(st.sets(st.integers(0, count - 1), max_size=5))
    kind = data.draw(
        st.sampled_from(
            ["InputError", "AlgorithmError", "TimeoutError", "TooLargeError", "SystemExit", "length"]
        )
    )

    def call(value: list[int], seconds: float) -> list[int]:
        assert isinstance(value, list)
        if poison & set(value):
            if kind == "length":
                return value[1:]
            raise failed(kind)
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
        raise failed(kind, retry_after=40.0)

    clock = Clock()
    Wrapper(call, batch_size=50, clock=clock, wait=clock.wait)({"$batch": list(range(50))})
    assert set(lengths) == {50}


def test_halves_are_worked_on_in_parallel() -> None:
    """Bisection uses all the threads there are, and one bare item no more than it needs."""
    together = threading.Barrier(4)
    used = set()

    def call(value: list[int], seconds: float) -> Any:
        used.add(threading.get_ident())
        if len(value) > 4:
            raise failed("InputError")
        together.wait(60)
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


@pytest.mark.parametrize(
    "pair",
    [
        ["\u00e9 \U0001f600 \ud800", {"b": [1.5, None, True], "a": ""}],
        [[], '"\\\x00\x7f'],
        [10**30, -0.0],
        [{"$only": "x"}, {}],
    ],
)
def test_a_list_goes_out_as_one_json_text(pair: list[Any]) -> None:
    """Its items are encoded one by one; the body is what encoding the whole list would give."""
    wrapper, sent = wrapper_of(4)
    wrapper(pair)
    assert sent == [("application/json", json.dumps(pair).encode())]


@pytest.mark.parametrize("one_by_one", [False, True])
def test_a_list_that_is_bisected_was_no_attempt_of_its_items(one_by_one: bool) -> None:
    """With threads or without, only the call for the poison item itself is its attempt; all are counted."""

    def call(value: list[int], seconds: float) -> list[int]:
        if 3 in value:
            raise failed("InputError")
        return value

    reply = Wrapper(call, batch_size=4, parallel=1, one_by_one=one_by_one)({"$batch": [0, 1, 2, 3]})
    assert reply["$results"][:3] == [0, 1, 2]
    assert error_of(reply["$results"][3])["attempts"] == 1
    assert (reply["$summary"]["calls"], reply["$summary"]["retried"]) == (5, [])
