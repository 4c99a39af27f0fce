"""Rates and money: requests and tokens a minute, and what one call of the wrapper may spend."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
from model import Reply

from wrapgen.errors import SpecError

CHAT = """
endpoint: URL/v1
protocol: openai-chat
model: m
request: {messages: [{role: user, content: "${item}"}], max_tokens: 100}
"""


def rates_module() -> Any:
    """The runtime's module, by itself."""
    path = Path(__file__).parents[2] / "templates/algorithm/src/runtime/rates.py"
    spec = importlib.util.spec_from_file_location("rates", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(rates: Any, clock: list[float], seconds: float, tokens: int = 0, grant: Any = None) -> list[float]:
    """The times at which requests start, one after the other, as fast as they may."""
    started = []
    while clock[0] < seconds:
        pause = rates.wait(grant or {})
        if pause:
            clock[0] += pause
        else:
            started.append(clock[0])
            if tokens:
                rates.settle(tokens)
    return started


@pytest.mark.parametrize(("rpm", "grant", "most"), [(60, {}, 60), (600, {}, 600), (600, {"rpm": 30}, 30)])
def test_requests_a_minute(rpm, grant, most):
    """In each of ten minutes the rate holds, but for a second's burst; a grant lowers it."""
    clock = [0.0]
    rates = rates_module().Rates({"rpm": rpm, "tpm": None}, clock=lambda: clock[0])
    started = run(rates, clock, 600, grant=grant)
    assert 9.9 * most <= len(started) <= 10 * most + max(1, most / 60) + 1
    for start in range(540):
        assert sum(start <= one < start + 60 for one in started) <= most + max(1, most / 60) + 1


def test_tokens_a_minute():
    """Requests of 500 tokens against 6,000 a minute: twelve a minute, whatever the first was taken for."""
    clock = [0.0]
    rates = rates_module().Rates({"rpm": None, "tpm": 6000}, clock=lambda: clock[0])
    started = run(rates, clock, 600, tokens=500)
    assert 118 <= len(started) <= 124


def test_a_wrapper_keeps_the_rate_of_its_spec(model, build):
    """A wrapper called on its own waits, without a failure, so that its requests keep the rate."""
    model.answer = lambda request: Reply({"choices": [{"message": {"content": "ok"}}]})
    wrapper = build(CHAT, dispatch="{rpm: 600}")
    answered = wrapper.batch(["x"] * 15)
    assert answered["$summary"]["succeeded"] == 15
    assert answered["$summary"]["throttled"] == 0
    assert answered["$summary"]["duration_ms"] > 300  # ten at once, then one every 100 ms
    assert wrapper.call({"$batch": []})["$summary"]["wrapper"]["dispatch"]["rpm"] == 600


def test_a_call_spends_no_more_than_it_is_granted(model, build):
    """What the next request may cost at most is reserved; what would go over comes back untried."""
    usage = {"prompt_tokens": 40, "completion_tokens": 100}
    model.answer = lambda request: Reply({"choices": [{"message": {"content": "ok"}}], "usage": usage})
    wrapper = build(CHAT + "price: {input: 10, output: 10}")
    facts = wrapper.call({"$batch": []})["$summary"]["wrapper"]
    assert facts["price"] == {"input": 10, "output": 10}
    assert 0.001 < facts["max_cost_item"] < 0.003
    answered = wrapper.batch(["x"] * 50, **{"$rate": {"cost": 0.02}})
    summary = answered["$summary"]
    assert summary["stopped"]["type"] == "BudgetExceeded"
    assert 0 < summary["succeeded"] < 20 and summary["failed"] == 0
    assert 0.01 < summary["cost"] <= 0.02
    assert summary["cost"] == pytest.approx(len(model.requests) * 0.0014)


def test_a_wrong_grant_is_refused(build):
    """A grant is an object of numbers."""
    wrapper = build(CHAT)
    for wrong in (5, {"rpm": "many"}, {"speed": 1}, {"cost": -1}):
        with pytest.raises(Exception, match=r"\$rate must be"):
            wrapper.batch(["x"], **{"$rate": wrong})


JSON = """
endpoint: URL
request: {text: $item}
result: $.score
reports: {tokens_in: $.tokens.read, tokens_out: $.tokens.written}
"""


def test_a_spec_says_the_most_tokens_of_an_answer(build):
    """With price.most_tokens the cost of an item is bounded, and without it is not."""
    for price, known in (("", None), (", most_tokens: 500", 0.005)):
        wrapper = build(JSON + f"price: {{input: 1, output: 10{price}}}")
        facts = wrapper.call({"$batch": []})["$summary"]["wrapper"]
        assert facts["price"] == {"input": 1, "output": 10}
        assert facts["max_cost_item"] == (known and pytest.approx(known, rel=0.01))


@pytest.mark.parametrize("reports", ["", "reports: {tokens_in: $.read}"])
def test_a_price_without_what_answers_report_is_refused(build, reports):
    """Money that no answer tells of can't be counted, and the spec says which path is missing."""
    with pytest.raises(SpecError, match="nothing says where an answer reports them"):
        build(f"endpoint: URL\nresult: $.score\nprice: {{input: 1, output: 2}}\n{reports}")


def test_an_answer_that_is_lost_or_reports_nothing_costs_the_most_that_it_may(model, build):
    """A call that spends granted money counts what it can't know at the most that it may have been."""
    for answer in (lambda request: Reply({"score": 1}), lambda request: Reply(drop=True)):
        model.requests.clear()
        model.answer = answer
        wrapper = build(JSON + "price: {input: 0, output: 10, most_tokens: 1000}")
        summary = wrapper.batch(["x"] * 20, **{"$rate": {"cost": 0.05}})["$summary"]
        assert len(model.requests) == 5 and summary["cost"] == pytest.approx(0.05)
        assert summary["stopped"]["type"] == "BudgetExceeded"
        assert "cost" not in wrapper.batch(["x"])["$summary"]


def test_a_refusal_costs_nothing(model, build):
    """What the server answers with an error is not billed."""
    model.answer = lambda request: Reply("no", 422)
    wrapper = build(JSON + "price: {input: 0, output: 10, most_tokens: 1000}")
    summary = wrapper.batch(["x"] * 20, **{"$rate": {"cost": 0.05}})["$summary"]
    assert len(model.requests) == 20 and not summary.get("cost")
