"""No body over its cap, whatever the items are."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Wrapper
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import algorithm_lists, answer, connection, protocol
from runtime.engine import Deadline
from runtime.items import Outcome
from runtime.keys import KeyedItems
from test_protocol import JSON

DUMPS = json.dumps


def error_of(result: Any) -> dict[str, Any]:
    return result["$error"]  # type: ignore[no-any-return]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(JSON | st.binary(max_size=900) | st.text(max_size=900), max_size=12),
    st.sampled_from([1, 4]),
    st.integers(1000, 3000),
)
def test_no_request_and_no_response_is_over_its_cap(values: list[Any], batch_size: int, cap: int) -> None:
    """Whatever mix of Unicode, escapes and bytes: bodies to the target and replies stay under the caps."""
    sent: list[int] = []
    stored: list[list[str]] = []

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
        def write(self, url: Any, lines: Any, until: Any) -> str:
            stored.append(list(lines))
            return "data://.algo/o/W/temp/x"

    called = algorithm_lists.Target(
        connection.Server("http://h", {}), {"reference": "o/t/1.0.0"}, {"request_bytes": cap}
    )
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


@pytest.mark.parametrize("cap", [100_000, 600, 0])
def test_results_are_the_same_lines_whenever_they_go_to_a_file(cap: int) -> None:
    """Whether they fit or not: each outcome's JSON, a later one in place of an earlier."""
    values = ["\u00e9\ud800", {"a": [1.5, None]}, b"\x00", {"$binary": "x"}]
    lines: list[str] = []

    def store(url: Any, written: Any, until: Any) -> str:
        lines.extend(written)
        return "data://stored"

    request = protocol.Request(protocol.BATCH, [*values, values[1]], ids=["0", "1", "2", "3", "1"])
    listed = KeyedItems(request, [protocol.to_wire(value) for value in request.values or ()])
    for item, value in zip(listed.listed, values, strict=False):
        item.outcome = Outcome(value, 0.0, 1.0, 1)
    wires = [protocol.to_wire(value) for value in [*values, values[1]]]
    files = SimpleNamespace(write=store)
    results = answer.write(listed, {"response_bytes": cap}, files, Deadline(300), {})["$results"]
    assert results == (wires if cap == 100_000 else "data://stored")
    assert lines == ([] if cap == 100_000 else [DUMPS(wire) for wire in wires])


def test_one_after_the_other_each_result_fails_alone() -> None:
    """Results that are encoded together: one that JSON can't say fails, those beside it do not."""
    bad = {3: float("nan"), 60: {1, 2}, 117: json.loads("[" * 250 + "]" * 250)}
    wrapper = Wrapper(lambda item, _: bad.get(item, {"n": item}), one_by_one=True)
    reply = wrapper({"$batch": list(range(120))})
    assert [at for at, one in enumerate(reply["$results"]) if "$error" in one] == list(bad)
    assert {error_of(reply["$results"][at])["type"] for at in bad} == {"ParsingError"}
    assert (reply["$summary"]["succeeded"], reply["$summary"]["failed"]) == (117, 3)
