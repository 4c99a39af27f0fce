"""What an endpoint's answers mean for items: retried, waited out, final, or stopping the call."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from model import Reply

SINGLE = "endpoint: URL/predict\nrequest: {text: $item.text}\nresult: $.score"
LISTS = "endpoint: URL/predict\nrequest: {texts: '$items[*].text'}\nresult: '$.scores[*]'\nbatch_size: 8"


def items(count: int) -> list[Any]:
    """Items whose texts are their numbers."""
    return [{"text": f"{number}"} for number in range(count)]


def scores(request: Any) -> Reply:
    """Answers each text with its length."""
    if "text" in request.json:
        return Reply({"score": len(request.json["text"])})
    return Reply({"scores": [len(text) for text in request.json["texts"]]})


class Busy:
    """Answers 503 to what holds a text, each time after others were answered; all else with scores."""

    def __init__(self, text: str) -> None:
        self.text = text.encode()
        self.answered = threading.Semaphore(0)

    def __call__(self, request: Any) -> Reply:
        if self.text not in request.body:
            self.answered.release()
            return scores(request)
        for _ in range(10):
            if not self.answered.acquire(timeout=0.1):
                break
        return Reply("busy", 503, Retry_After="0")


def types(answered: Any) -> list[str]:
    """The error type of each result, or ok."""
    found = answered["$results"]
    return [one["$error"]["type"] if isinstance(one, dict) and "$error" in one else "ok" for one in found]


@pytest.mark.parametrize("target", [SINGLE, LISTS], ids=["single", "lists"])
def test_each_item_gets_its_result(model, build, target):
    """A wrapper of an endpoint answers items, bare or in a batch, in their order."""
    model.answer = scores
    wrapper = build(target)
    assert wrapper.call({"text": "abc"}) == 3
    assert wrapper.call([{"text": "a" * n} for n in range(20)]) == list(range(20))
    assert model.requests[0].path == "/predict"


def test_a_list_answered_with_columns_and_errors(model, build):
    """Columns of an answer become one object for each item; an error that it tells is that item's."""
    model.answer = lambda request: Reply(
        {
            "labels": ["good", "bad", None],
            "scores": [0.9, 0.8, None],
            "errors": [None, None, "no such language"],
        }
    )
    wrapper = build(
        """
endpoint: URL/predict?version=2
protocol: json
request: {texts: "$items[*].text", lang: en}
result: {label: "$.labels[*]", score: "$.scores[*]"}
item_error: $.errors[*]
headers: {Idempotency-Key: $call.key}
batch_size: 64
"""
    )
    good, bad, failed = wrapper.call(items(3))
    assert (good, bad) == ({"label": "good", "score": 0.9}, {"label": "bad", "score": 0.8})
    assert (failed["$error"]["type"], failed["$error"]["message"]) == ("AlgorithmError", "no such language")
    assert model.requests[0].path == "/predict?version=2"
    assert model.bodies == [{"texts": ["0", "1", "2"], "lang": "en"}]


@pytest.mark.parametrize(
    ("errors", "kinds"),
    [
        ({}, ["ok", "ok"]),
        ({"errors": None}, ["ok", "ok"]),
        ({"errors": []}, ["ok", "ok"]),
        ({"errors": [None, "bad"]}, ["ok", "AlgorithmError"]),
        ({"errors": "bad"}, ["ParsingError", "ParsingError"]),
        ({"errors": {"1": "bad"}}, ["ParsingError", "ParsingError"]),
        ({"errors": ["bad"]}, ["AlgorithmError", "AlgorithmError"]),  # of a list of one each
    ],
)
def test_errors_of_items_are_a_list_or_there_are_none(model, build, errors, kinds):
    """What an answer tells of errors and is no list of one for each item is never taken for none."""
    model.answer = lambda request: Reply({"scores": [len(one) for one in request.json["texts"]], **errors})
    answered = build(LISTS + "\nitem_error: $.errors[*]").batch(items(2))
    assert types(answered) == kinds


@pytest.mark.parametrize("target", [SINGLE, LISTS], ids=["single", "lists"])
def test_an_item_that_the_request_can_not_be_made_of_fails_alone(model, build, target):
    """What a request takes and an item lacks is that item's InputError, and costs no call of its own."""
    model.answer = scores
    wrapper = build(target)
    answered = wrapper.batch([{"text": "a"}, {"txt": "b"}, "c", {"text": "dd"}])
    assert types(answered) == ["ok", "InputError", "InputError", "ok"]
    assert answered["$results"][1]["$error"]["attempts"] == 0
    assert len(model.requests) == (1 if target is LISTS else 2)


@pytest.mark.parametrize("status", [401, 402])
def test_refused_credentials_stop_the_call_at_once(model, build, status):
    """401 and 402 are no item's own error: every open one comes back retryable, after few requests."""
    model.answer = lambda request: Reply({"detail": "who?"}, status)
    answered = build(SINGLE).batch(items(100))
    assert answered["$summary"]["stopped"]["type"].endswith("Error")
    assert all(one["$error"]["retryable"] for one in answered["$results"])
    assert len(model.requests) <= 8


@pytest.mark.parametrize("status", [403, 404, 307])
@pytest.mark.parametrize("target", [SINGLE, LISTS], ids=["single", "lists"])
def test_one_refused_item_stops_nobody(model, build, target, status):
    """A firewall that answers 403 for one text costs that item alone, wherever it stands."""
    for place in (0, 5, 19):
        poison = f'"{place}"'.encode()
        model.answer = lambda request, poison=poison: (
            Reply({"detail": "blocked"}, status) if poison in request.body else scores(request)
        )
        answered = build(target).batch(items(20))
        assert [n for n, kind in enumerate(types(answered)) if kind != "ok"] == [place]
        assert not answered["$results"][place]["$error"]["retryable"]
        assert answered["$summary"]["stopped"] is None


@pytest.mark.parametrize("target", [SINGLE, LISTS], ids=["single", "lists"])
def test_two_refused_items_and_no_success_stop_the_call(model, build, target):
    """Where nothing succeeds, the second item's 403 stops the call, and both come back retryable."""
    model.answer = lambda request: Reply({"detail": "no"}, 403)
    answered = build(target).batch(items(40))
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert all(one["$error"]["retryable"] for one in answered["$results"])
    assert len(model.requests) < 60  # lists are bisected first, in up to 8 threads


def test_one_refused_item_alone_is_final(model, build):
    """A call of one item that gets 404 fails with that, finally."""
    model.answer = lambda request: Reply({"detail": "no"}, 404)
    answered = build(SINGLE).batch(items(1))
    assert answered["$results"][0]["$error"]["type"] == "EntityNotFoundError"
    assert not answered["$results"][0]["$error"]["retryable"]


@pytest.mark.parametrize("status", [400, 413, 422, 500])
def test_a_list_is_bisected_until_the_poison_item_stands_alone(model, build, status):
    """One bad row fails a list with 400, 413, 422 or 500; the other items get their results."""
    model.answer = lambda request: (
        Reply({"detail": "row"}, status) if "13" in request.json["texts"] else scores(request)
    )
    answered = build(LISTS).batch(items(20), **{"$try": 2})
    assert [n for n, kind in enumerate(types(answered)) if kind != "ok"] == [13]
    assert answered["$results"][13]["$error"]["retryable"] is (status == 500)


@pytest.mark.parametrize("request_of", ["$items", "{all: $items}", "'$items[*].text'"])
def test_what_is_sent_of_a_list_is_each_item_of_it(model, build, request_of):
    """Whole, wrapped or in part, also of the parts of a list that is bisected."""

    def texts(body: Any) -> list[Any]:
        found = body["all"] if isinstance(body, dict) else body
        return [one if isinstance(one, str) else one["text"] for one in found]

    def answer(request: Any) -> Reply:
        given = texts(request.json)
        return Reply("no", 422) if "poison é" in given else Reply([len(text) for text in given])

    model.answer = answer
    given = ["a", "bb", "poison é", "dddd", '\x00\n"', "ffffff"]
    target = f"endpoint: URL\nrequest: {request_of}\nresult: $[*]\nbatch_size: 4"
    answered = build(target).call({"$batch": [{"text": text} for text in given]})
    assert types(answered) == ["ok", "ok", "InputError", "ok", "ok", "ok"]
    assert [one for one in answered["$results"] if isinstance(one, int)] == [1, 2, 4, 3, 6]
    sent = sorted(texts(body) for body in model.bodies)
    assert sent == sorted([given[:4], given[4:], given[:2], given[2:4], given[2:3], given[3:4]])


def test_items_that_are_null_are_sent_as_such(model, build):
    """In a list and alone."""
    model.answer = lambda request: Reply([0] * len(request.json))
    wrapper = build("endpoint: URL\nrequest: $items\nresult: $[*]\nbatch_size: 2")
    assert wrapper.call({"$batch": [None, None, None]})["$results"] == [0, 0, 0]
    assert sorted(model.bodies, key=len) == [[None], [None, None]]


def test_a_503_of_one_item_is_final_at_the_third_send(model, build):
    """503 is waited out; the item that alone gets it, in a third send, has a final ServerError."""
    wrapper = build(SINGLE)
    for number, retryable in ((1, True), (2, True), (3, False)):
        model.answer = Busy('"3"')
        answered = wrapper.batch(items(200), **{"$try": number})
        error = answered["$results"][3]["$error"]
        assert (error["type"], error["retryable"]) == ("ServerError", retryable)
        assert types(answered).count("ok") == 199


def test_a_503_of_one_row_costs_its_list_nothing(model, build):
    """A list that gets 503 while others succeed is bisected; only the row that causes it is put off."""
    wrapper = build(LISTS)
    for number, retryable in ((1, True), (3, False)):
        model.answer = Busy('"13"')
        answered = wrapper.batch(items(800), **{"$try": number})
        assert [n for n, kind in enumerate(types(answered)) if kind != "ok"] == [13]
        error = answered["$results"][13]["$error"]
        assert (error["type"], error["retryable"], error["attempts"] > 0) == ("ServerError", retryable, True)


def test_an_item_that_is_sent_again_alone_does_not_stall(model, build):
    """Sent again alone, an item's 503 is an attempt if others succeeded a moment ago, and holds up no run."""
    model.answer = lambda request: (
        Reply("busy", 503, Retry_After="0") if request.json["text"] == "3" else scores(request)
    )
    wrapper = build(SINGLE)
    wrapper.batch(items(10))
    answered = wrapper.batch([{"text": "3"}], **{"$try": 2, "$timeout": 120})
    assert answered["$results"][0]["$error"]["attempts"] == 1
    assert answered["$summary"]["duration_ms"] < 60_000


def test_an_outage_is_waited_out_without_attempts(model, build):
    """503 for everyone, after all went well, is no attempt of any item."""
    healthy = [True]
    model.answer = lambda request: scores(request) if healthy[0] else Reply("busy", 503, Retry_After="0")
    wrapper = build(SINGLE)
    assert types(wrapper.batch(items(10))).count("ok") == 10
    healthy[0] = False
    answered = wrapper.batch(items(10), **{"$timeout": 3})
    assert {one["$error"]["attempts"] for one in answered["$results"]} == {0}
    assert answered["$summary"]["throttled"] > 0


def test_a_page_with_200_is_tried_again(model, build):
    """An answer that can't be the model's is an attempt, and repeated."""
    replies = [Reply(b"<html>login</html>"), Reply(b""), Reply({"score": 5})]
    model.answer = lambda request: replies.pop(0)
    wrapper = build(SINGLE)
    assert wrapper.call({"text": "x"}) == 5
    assert len(model.requests) == 3


def test_an_answer_without_the_result_is_final(model, build):
    """JSON in which nothing stands where the result should is a ParsingError that says what is missing."""
    model.answer = lambda request: Reply({"outcome": 1})
    answered = build(SINGLE).batch(items(1))
    error = answered["$results"][0]["$error"]
    assert error["type"] == "ParsingError" and "'score'" in error["message"]


def test_errors_of_another_number_than_the_items_blame_none_of_them(model, build):
    """A list of errors without places can't be matched: the list is bisected until it can."""

    def answer(request):
        items = request.json
        wrong = [{"message": "bad"} for item in items if item == "bad"]
        return Reply({"scores": [None if item == "bad" else 1 for item in items], "errors": wrong})

    model.answer = answer
    target = "endpoint: URL\nrequest: $items\nresult: $.scores[*]\nitem_error: $.errors[*]\nbatch_size: 4"
    found = build(target).batch(["a", "b", "bad", "c"])["$results"]
    assert [found[0], found[1], found[3]] == [1, 1, 1] and found[2]["$error"]["message"] == "bad"


@pytest.mark.parametrize(
    "count", ["1" + "0" * 4000, "1" + "0" * 400, "-1", "true", '"5"', "1.5", "NaN", "{}"]
)
def test_tokens_that_can_be_no_number_of_tokens_count_as_not_reported(count, model, build):
    """One absurd count neither ends the call nor makes its sums absurd."""
    model.answer = lambda request: Reply(b'{"score": 1, "used": %s}' % count.encode())
    target = "endpoint: URL\nresult: $.score\nreports: {tokens_in: $.used, tokens_out: $.used}\n"
    answered = build(target + "price: {input: 1}").batch(["a"])
    assert answered["$results"] == [1] and "cost" not in answered["$summary"]


def test_an_answer_with_a_byte_order_mark_is_read(model, build):
    """Some servers begin UTF-8 with one."""
    model.answer = lambda request: Reply(b'\xef\xbb\xbf{"score": 1}')
    assert build("endpoint: URL\nresult: $.score").batch(["a"])["$results"] == [1]


@pytest.mark.parametrize(
    ("rule", "status", "kind", "sends"),
    [
        ("{status: 503, means: retryable}", 503, "ServerError", 3),
        ("{status: [500, 503], path: $.code, value: X, means: final}", 503, "AlgorithmError", 1),
        ("{status: 400, path: $.code, value: [W, X], means: retryable}", 400, "ServerError", 3),
        ("{status: 200, path: $.code, status_in: $.real, means: final}", 200, "InputError", 1),
        ("{status: 404, path: $.code, means: retryable, type: ColdStartError}", 404, "ColdStartError", 3),
    ],
)
def test_what_the_spec_says_of_an_error_decides(model, build, rule, status, kind, sends):
    """A rule's meaning replaces that of the status: of retries, of what is final, of the error's type."""
    model.answer = lambda request: (
        Reply({"code": "X", "real": 422}, status) if b"bad" in request.body else scores(request)
    )
    answered = build(f"{SINGLE}\nerrors: [{rule}]").batch([{"text": "bad"}, {"text": "fine"}])
    error = answered["$results"][0]["$error"]
    assert (error["type"], error["attempts"], answered["$results"][1]) == (kind, sends, 4)


@pytest.mark.parametrize("status", [400, 424, 503])
def test_a_list_that_a_rule_calls_retryable_is_bisected_in_the_end(model, build, status):
    """One item that always gets it does not take its list down."""
    model.answer = lambda request: Reply({}, status) if b'"3"' in request.body else scores(request)
    answered = build(f"{LISTS}\nerrors: [{{status: {status}, means: retryable}}]").batch(items(8))
    assert [n for n, kind in enumerate(types(answered)) if kind != "ok"] == [3]


def test_a_hidden_status_decides_as_if_it_were_the_answers(model, build):
    """A 500 inside another status bisects a list, as a 500 does; 503 inside is waited out."""
    seen: list[bytes] = []

    def answer(request: Any) -> Reply:
        seen.append(request.body)
        if len(seen) == 1:
            return Reply({"real": 503}, 424)
        return Reply({"real": 500}, 424) if b'"3"' in request.body else scores(request)

    model.answer = answer
    rule = "errors: [{status: 424, status_in: $.real, means: final}]"
    answered = build(f"{LISTS}\n{rule}", dispatch="{parallel: 1}").batch(items(8))
    assert [n for n, kind in enumerate(types(answered)) if kind != "ok"] == [3]
    assert answered["$results"][3]["$error"]["type"] == "ServerError"
    assert answered["$summary"]["throttled"] == 1
