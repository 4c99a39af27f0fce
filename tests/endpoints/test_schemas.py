"""Schemas: an item that can't be valid costs nothing; a result that does not fit is asked for again."""

from __future__ import annotations

import json
from typing import Any

import pytest
from model import Reply

ITEM = json.dumps({"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}})
RESULT = json.dumps({"type": "object", "required": ["team"], "properties": {"team": {"enum": ["a", "b"]}}})
FILES = {"item.json": ITEM, "ticket.json": RESULT}
CHAT = """
endpoint: URL/v1
protocol: openai-chat
model: m
request: {messages: [{role: user, content: "${item.text}"}]}
result_schema: ticket.json
item_schema: item.json
"""


def says(content: Any) -> Reply:
    """What a chat server answers."""
    return Reply({"choices": [{"message": {"role": "assistant", "content": content}}]})


def test_an_item_that_does_not_fit_costs_no_call(model, build):
    """item_schema is checked before anything is sent, for single items and in lists."""
    model.answer = lambda request: Reply([1] * len(request.json) if isinstance(request.json, list) else 1)
    for size in (1, 4):
        wrapper = build(f"endpoint: URL\nitem_schema: item.json\nbatch_size: {size}", FILES)
        answered = wrapper.batch([{"text": "x"}, {"text": 5}, {"text": "y"}])["$results"]
        error = answered[1]["$error"]
        assert (error["type"], error["attempts"]) == ("InputError", 0) and "$.text" in error["message"]
        assert (answered[0], answered[2]) == (1, 1)
    assert all(b"5" not in request.body for request in model.requests)


def test_a_chat_is_asked_again_with_what_was_wrong(model, build):
    """The schema is sent as response_format; the next attempt tells what was wrong with the last answer."""
    answers = ["no JSON", '{"team": "c"}', '{"team": "b"}']
    model.answer = lambda request: says(answers[len(model.requests) - 1])
    assert build(CHAT, FILES).call({"text": "broken printer"}) == {"team": "b"}
    first, second, third = model.bodies
    assert first["response_format"]["json_schema"]["schema"] == json.loads(RESULT)
    assert [message["role"] for message in second["messages"]] == ["user", "assistant", "user"]
    assert second["messages"][1]["content"] == "no JSON"
    assert third["messages"][1]["content"] == '{"team": "c"}' and "$.team" in third["messages"][2]["content"]


def test_a_result_that_never_fits_is_a_result_error(model, build):
    """When its attempts are used up, the item has a retryable ResultError that says what does not fit."""
    model.answer = lambda request: says('{"team": "c"}')
    (answered,) = build(CHAT, FILES).batch([{"text": "x"}])["$results"]
    error = answered["$error"]
    assert (error["type"], error["retryable"], error["attempts"]) == ("ResultError", True, 3)
    assert "'c' is not one of" in error["message"]


def test_only_the_results_of_a_list_that_do_not_fit_are_asked_for_again(model, build):
    """A list keeps the results that fit; the others are asked for in a list of their own."""

    def answer(request: Any) -> Reply:
        bad = "c" if len(model.requests) < 3 else "a"
        return Reply([{"team": bad if text == "odd" else "b"} for text in request.json])

    model.answer = answer
    wrapper = build("endpoint: URL\nbatch_size: 10\nresult_schema: ticket.json", FILES)
    answered = wrapper.batch(["x", "odd", "y", "odd"])
    assert [one["team"] for one in answered["$results"]] == ["b", "a", "b", "a"]
    assert model.bodies == [["x", "odd", "y", "odd"], ["odd", "odd"], ["odd", "odd"]]


def test_a_file_that_is_no_schema_is_a_problem_of_the_spec(build):
    """A missing file, or one that is no JSON Schema, is refused with the spec."""
    from wrapgen.errors import SpecError

    for text in ("[]", "{", '{"type": "text"}'):
        with pytest.raises(SpecError, match=r"item_schema"):
            build("endpoint: URL\nitem_schema: x.json", {"x.json": text})
    with pytest.raises(SpecError, match="item_schema"):
        build("endpoint: URL\nitem_schema: missing.json")


@pytest.mark.parametrize(
    "schema",
    [
        {"$id": "http://127.0.0.1:9/s", "$ref": "other.json"},
        {"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"},
        {"multipleOf": 0.1},
    ],
    ids=["elsewhere", "round and round", "too large"],
)
def test_a_schema_that_can_not_be_applied_fails_the_item_only(schema, model, build, monkeypatch):
    """Nothing is fetched, and the call goes on."""
    opened = []
    monkeypatch.setattr("urllib.request.urlopen", opened.append)
    wrapper = build("endpoint: URL\nitem_schema: s.json", {"s.json": json.dumps(schema)})
    (found,) = wrapper.batch([10**400])["$results"]
    assert found["$error"]["type"] == "InputError" and "can't be checked" in found["$error"]["message"]
    assert not opened and not model.requests
