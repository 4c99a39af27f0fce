"""One limit for nesting and for digits, where an item is read and where a result comes."""

from __future__ import annotations

import json

import pytest
from flow import Wrapper
from runtime import algorithm_lists
from runtime import platform as api
from standins import Platform, Reply, result


def target_of(platform: Platform) -> algorithm_lists.Target:
    return algorithm_lists.Target(
        api.connect(platform.client()), {"reference": "o/t/1.0.0"}, {"request_bytes": 100_000}
    )


@pytest.mark.parametrize(
    "body",
    [
        b'{"result": %s, "metadata": {"content_type": "json"}}' % (b"[" * 201 + b"]" * 201),
        b'{"result": [%s], "metadata": {"content_type": "json"}}' % (b"9" * 4301),
        b'{"result": %s, "metadata": {"content_type": "json"}}' % (b"[" * 99999 + b"]" * 99999),
        b'{"result": [NaN], "metadata": {"content_type": "json"}}',
    ],
)
def test_a_result_beyond_the_limits_of_json_is_its_items_failure(platform: Platform, body: bytes) -> None:
    """It came from the target, so it is not asked again; nobody else is touched."""
    platform.target = lambda value: Reply(200, body) if value == "odd" else result(value)
    reply = Wrapper(target_of(platform).call)({"$batch": ["a", "odd", "b"]})
    assert [reply["$results"][place] for place in (0, 2)] == ["a", "b"]
    failure = reply["$results"][1]["$error"]
    assert (failure["type"], failure["retryable"], failure["attempts"]) == ("ParsingError", False, 1)


@pytest.mark.parametrize("batch_size", [1, 3])
def test_values_at_the_limits_of_json_go_through(platform: Platform, batch_size: int) -> None:
    """200 levels and 4,300 digits are not too many, in either direction; more is that item's InputError."""
    deep, long = json.loads("[" * 200 + "]" * 200), int("9" * 4300)
    items = [deep, [deep], [long], [long * 10], "[" * 999, "9" * 9999, [float("inf")]]
    platform.target = result
    target = target_of(platform)
    wrapper = Wrapper(target.call, batch_size=batch_size)
    results = wrapper({"$batch": items})["$results"]
    for place, item in enumerate(items):
        if place in (1, 3, 6):
            assert results[place]["$error"]["type"] == "InputError"
            assert results[place]["$error"]["attempts"] == 0
        else:
            assert results[place] == item
