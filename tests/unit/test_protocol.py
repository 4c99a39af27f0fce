"""The item protocol as wrapgen's own side reads and writes it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wrapgen import protocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
LOOKALIKES = st.builds(lambda key, inner: {key: inner}, st.sampled_from(protocol.SOLE_KEYS), JSON)


@given(JSON | LOOKALIKES | st.binary())
def test_any_value_survives_a_batch(value: object) -> None:
    """Text, JSON, bytes and data that looks like the protocol come out as they went in."""
    travelled = json.loads(protocol.dumps(protocol.to_wire(value)))
    assert protocol.from_wire(travelled) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": b""}, {1, 2}, object()])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    """NaN, infinity, bytes inside JSON and foreign objects never reach the protocol."""
    with pytest.raises(protocol.ProtocolError, match="not JSON"):
        protocol.dumps(value)


def test_a_loop_is_refused() -> None:
    """A list that holds itself is a clear error."""
    loop: list[object] = []
    loop.append(loop)
    with pytest.raises(protocol.ProtocolError):
        protocol.dumps(loop)


@pytest.mark.parametrize("inner", ["not base64!", 5, None, "YQ=", ["YQ=="]])
def test_malformed_bytes_are_refused(inner: object) -> None:
    """`$binary` must hold base64."""
    with pytest.raises(protocol.ProtocolError, match="base64"):
        protocol.from_wire({"$binary": inner})


@given(st.text(), st.text(), st.booleans(), st.integers(0, 9))
def test_an_item_error_survives_the_wire(kind: str, message: str, retryable: bool, attempts: int) -> None:
    """What a failed item says of itself comes back whole."""
    error = protocol.ItemError(kind or "AlgorithmError", message, retryable, attempts)
    assert protocol.from_wire(error.to_wire()) == error


def test_an_item_error_with_gaps_takes_the_safest_meaning() -> None:
    """A foreign `$error` without its facts is the target's, was tried once, and retries only by its type."""
    assert protocol.from_wire({"$error": {}}) == protocol.ItemError(
        "AlgorithmError", "", retryable=False, attempts=1
    )
    assert protocol.from_wire({"$error": {"type": "TimeoutError"}}) == protocol.ItemError(
        "TimeoutError", "", True, 1
    )
    with pytest.raises(protocol.ProtocolError, match="object"):
        protocol.from_wire({"$error": "no"})


@pytest.mark.parametrize(
    ("value", "body", "content_type"),
    [
        ('{"a": 1}', b'{"a": 1}', "text/plain"),
        ("ü", "ü".encode(), "text/plain"),
        (b"\x00", b"\x00", "application/octet-stream"),
        (None, b"null", "application/json"),
        ("", b"", "text/plain"),
        ([0, False, {}], b"[0,false,{}]", "application/json"),
    ],
)
def test_a_single_input_is_sent_as_the_vendors_client_sends_it(
    value: object, body: bytes, content_type: str
) -> None:
    """Text stays text even if it looks like JSON; bytes are bytes; all else is JSON."""
    assert protocol.encode_input(value) == (body, content_type)


def test_answers_are_read_by_their_content_type() -> None:
    """Text and JSON as they are, binary decoded, void as nothing."""
    for kind, result, expected in [
        ("text", "a", "a"),
        ("json", {"a": [1]}, {"a": [1]}),
        ("binary", base64.b64encode(b"\xff").decode(), b"\xff"),
        ("void", None, None),
    ]:
        answer = protocol.decode_answer(
            {"result": result, "metadata": {"content_type": kind, "duration": 0.1}}
        )
        assert isinstance(answer, protocol.Answer)
        assert answer.result == expected


def test_an_algorithms_error_is_typed_by_the_platform() -> None:
    """A 200 answer may hold an error, an object or a bare text."""
    error = protocol.decode_answer({"error": {"message": "slow", "error_type": "TimeoutError"}})
    assert error == protocol.ItemError("TimeoutError", "slow", retryable=True, attempts=1)
    assert protocol.decode_answer({"error": "No such algorithm"}) == protocol.ItemError(
        "AlgorithmError", "No such algorithm", retryable=False, attempts=1
    )


@pytest.mark.parametrize(
    "body", [[], "x", None, {}, {"result": 1}, {"metadata": {}}, {"result": 1, "metadata": 2}]
)
def test_an_answer_that_is_neither_is_refused(body: object) -> None:
    """Half an answer is not a result."""
    with pytest.raises(protocol.ProtocolError):
        protocol.decode_answer(body)
