"""Telling the three forms apart, and items and results on the wrapgen_protocol."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runtime import algorithm, protocol, wrapper

from wrapgen import protocol as wrapgen_protocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text() | st.sampled_from(["$binary", "$error", "$literal", "$batch"]), inner, max_size=3
        )
    ),
    max_leaves=12,
)
ANYTHING = JSON | st.binary()


@pytest.mark.parametrize(
    "value", [None, False, 0, "", {}, "[1]", '{"$batch": []}', b"", b"\xff", {"$literal": 1}]
)
def test_what_is_no_list_and_has_no_batch_is_one_item(value: Any) -> None:
    """Form 1 takes any value as it came, whatever it looks like."""
    request = protocol.read(value, True)
    assert (request.form, request.values) == (protocol.ITEM, [value])


def test_a_list_is_a_batch_or_an_item() -> None:
    """The mode and the target's own input decide what a bare list is."""
    assert protocol.read([1, 2], True).form == protocol.LIST
    request = protocol.read([1, 2], False)
    assert (request.form, request.values) == (protocol.ITEM, [[1, 2]])


def test_nothing_but_an_empty_batch_asks_for_the_description() -> None:
    """`$batch: []` with another instruction is an ordinary empty batch."""
    assert protocol.read({"$batch": []}, False) is None
    assert protocol.read({"$batch": [], "$run": "r"}, True).values == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({"$batch": [1], "text": "x"}, "'text'"),
        ({"$batch": 5}, "$batch must be a list"),
        ({"$batch": "not a url"}, "$batch must be a list"),
        ({"$batch": "file:///etc/passwd"}, "$batch must be"),
        ({"$batch": "http://127.0.0.1/"}, "$batch must be"),
        ({"$batch": [1], "$run": "a b"}, "$run must be"),
        ({"$batch": [1], "$run": "x" * 65}, "$run must be"),
        ({"$batch": [1], "$ids": ["a", "b"]}, "2 entries for 1 items"),
        ({"$batch": [1], "$ids": [1]}, "$ids must be"),
        ({"$batch": [1], "$index": [1, 2]}, "2 entries for 1 items"),
        ({"$batch": [1], "$index": -1}, "$index must be"),
        ({"$batch": [1], "$index": True}, "$index must be"),
        ({"$batch": [1], "$index": [10**4300]}, "$index must be"),
        ({"$batch": [1, 2], "$index": 10**4300 - 1}, "$index is too large"),
        ({"$batch": [1, 2], "$index": [3, 3]}, "$index names one item of the run twice"),
        ({"$batch": "data://a/b/c", "$index": [0, 1, 0]}, "$index names one item of the run twice"),
        ({"$batch": [1], "$try": "1"}, "$try must be"),
        ({"$batch": [1], "$timeout": 0}, "$timeout must be"),
        ({"$batch": [1], "$timeout": float("nan")}, "$timeout must be"),
        ({"$batch": [1], "$output": 1}, "$output must be"),
        ({"$batch": [1], "$output": "file:///tmp/x"}, "$output must be"),
        ({"$batch": [1], "$output": "data://a/b/\ud800"}, "$output must be"),
        ({"$batch": "data://a/b/\ud800"}, "$batch must be"),
    ],
)
def test_wrong_instructions_are_input_errors_that_name_the_key(call: Any, words: str) -> None:
    """A foreign or malformed key is refused with what it must be."""
    with pytest.raises(protocol.InputError) as caught:
        protocol.read(call, True)
    assert words in str(caught.value)
    assert caught.value.error_type == "InputError"


def test_a_foreign_key_is_told_how_to_wrap() -> None:
    """The message shows how an item that has a `$batch` key is sent."""
    with pytest.raises(protocol.InputError, match=r'send \{"\$batch": \[<the object>\]\}'):
        protocol.read({"$batch": [1], "other": 2}, True)


def test_indexes_count_from_the_first_or_are_listed() -> None:
    """`$index` is the first item's, or one for each."""
    assert protocol.read({"$batch": [1, 2], "$index": 7}, True).index_of(1) == 8
    assert protocol.read({"$batch": [1, 2], "$index": [4, 9]}, True).index_of(1) == 9


def test_time_beyond_the_platforms_is_cut() -> None:
    """No call of the platform lasts longer than 3,000 s, of which the wrapper may have 2,970."""
    assert protocol.read({"$batch": [1], "$timeout": 9999}, True).timeout == 2970


@given(ANYTHING)
def test_any_value_survives_the_way_into_and_out_of_a_batch(value: Any) -> None:
    """Encoding and decoding an item gives the item, protocol look-alikes included."""
    assert protocol.from_wire(json.loads(json.dumps(protocol.to_wire(value)))) == value


@given(ANYTHING)
def test_both_sides_of_a_call_speak_the_same(value: Any) -> None:
    """What wrapgen's own side writes, the wrapper reads, and the reverse."""
    assert protocol.from_wire(wrapgen_protocol.to_wire(value)) == value
    assert wrapgen_protocol.from_wire(protocol.to_wire(value)) == value
    assert algorithm.encode_body(value)[1] == wrapgen_protocol.encode_input(value)[1]


@pytest.mark.parametrize(
    "item", [{"$binary": 5}, {"$binary": "%%%"}, {"$binary": "YQ"}, {"$error": {"type": "x"}}]
)
def test_a_malformed_protocol_object_is_an_input_error(item: Any) -> None:
    """Only that item is at fault, and it says what is wrong."""
    with pytest.raises(protocol.InputError):
        protocol.from_wire(item)


@pytest.mark.parametrize(
    ("value", "body", "kind"),
    [
        ('{"a": 1}', b'{"a": 1}', "text/plain"),
        ("", b"", "text/plain"),
        ("ü", "ü".encode(), "text/plain"),
        (b"\x00\xff", b"\x00\xff", "application/octet-stream"),
        (None, b"null", "application/json"),
        (0, b"0", "application/json"),
        ({"ü": [False]}, b'{"\\u00fc": [false]}', "application/json"),
    ],
)
def test_items_go_to_the_target_as_a_direct_call_would(value: Any, body: bytes, kind: str) -> None:
    """Text stays text, bytes stay bytes, everything else is JSON."""
    assert algorithm.encode_body(value) == (body, kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"x": b"y"}, "\ud800"])
def test_what_can_not_be_sent_is_an_input_error(value: Any) -> None:
    """No half-valid JSON and no broken text leaves the wrapper."""
    with pytest.raises(protocol.InputError):
        algorithm.encode_body(value)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "ParsingError"),
        (b"[]", "ParsingError"),
        (b'{"result": 1}', "ParsingError"),
        (b'{"result": "x", "metadata": {"content_type": "binary"}}', "ParsingError"),
        (b'{"error": {"message": "m", "error_type": "OutOfMemoryError"}}', "OutOfMemoryError"),
        (b'{"error": "plain"}', "AlgorithmError"),
        (b'{"error": {"error_type": 5}}', "AlgorithmError"),
    ],
)
def test_answers_without_a_result_are_typed_failures(body: bytes, kind: str) -> None:
    """The platform's own type where it gives one, ParsingError where the envelope is broken."""
    with pytest.raises(protocol.Failure) as caught:
        algorithm.decode_response(body)
    assert caught.value.error_type == kind


def test_a_void_result_is_nothing() -> None:
    """The content type `void` has no value."""
    assert algorithm.decode_response(b'{"result": "x", "metadata": {"content_type": "void"}}') is None


def test_a_wrapper_knows_the_digest_of_its_source(tmp_path):
    """What describes itself says a digest that changes with any of its modules, and with nothing else."""
    (tmp_path / "runtime").mkdir()
    for name in ("config.py", "hooks.py", "runtime/work.py"):
        (tmp_path / name).write_text("x = 1\n")
    first = wrapper._digest(tmp_path)
    (tmp_path / "notes.txt").write_text("nothing")
    assert wrapper._digest(tmp_path) == first and len(first) == len("sha256:") + 64
    (tmp_path / "hooks.py").write_text("x = 2\n")
    assert wrapper._digest(tmp_path) != first
