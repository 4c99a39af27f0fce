"""How long an endpoint asks to wait: headers of every answer, in the spellings that servers use."""

from __future__ import annotations

import email.utils
import importlib.util
import itertools
import threading
import time
from email.message import Message
from pathlib import Path
from typing import Any

import pytest
from model import Reply

NOW = 1_800_000_000.0
DATE = email.utils.formatdate(NOW, usegmt=True)


@pytest.fixture(scope="module")
def waits() -> Any:
    """The runtime's module, by itself."""
    path = Path(__file__).parents[2] / "templates/algorithm/src/runtime/waits.py"
    spec = importlib.util.spec_from_file_location("waits", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def headers(text: str) -> Message:
    """Headers as an answer has them, with the server's clock among them."""
    found = Message()
    for line in text.splitlines():
        name, _, value = line.strip().partition(": ")
        found[name] = value
    found["Date"] = DATE
    return found


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 6m0s", 360),
        ("x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1s", 1),
        ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 20ms", 0.02),
        ("x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 1m2.5s", 62.5),
        ("x-ratelimit-remaining-requests: 5\nx-ratelimit-reset-requests: 1s", None),
        (
            "x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1s\n"
            "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 9s",
            9,
        ),
        (
            "x-ratelimit-remaining-requests: 4\nx-ratelimit-reset-requests: 99s\n"
            "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 9s",
            9,
        ),
        ("llm_provider-x-ratelimit-remaining-tokens: 0\nllm_provider-x-ratelimit-reset-tokens: 7s", 7),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 30", 30),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset-After: 2.5", 2.5),
        (f"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: {NOW + 45:.0f}", 45),
        (f"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: {NOW * 1000 + 45_500:.0f}", 45.5),
        (f"X-RateLimit-Remaining: 0\nX-RateLimit-Reset: {NOW - 45:.0f}", 0),
        ("X-Rate-Limit-Remaining: 0\nX-Rate-Limit-Reset: 30", 30),
        ("X-RateLimit-Remaining-Minute: 0\nX-RateLimit-Remaining-Hour: 70\nRateLimit-Reset: 47", 47),
        ("RateLimit-Limit: 100\nRateLimit-Remaining: 0\nRateLimit-Reset: 50", 50),
        ("RateLimit: limit=100, remaining=0, reset=50", 50),
        ('RateLimit: "default";r=0;t=50', 50),
        ('RateLimit: "burst";r=3;t=5, "daily";r=0;t=600', 600),
        ('RateLimit: "default";r=50;t=30\nRateLimit-Policy: "default";q=100;w=30', None),
        (
            "anthropic-ratelimit-requests-remaining: 0\n"
            "anthropic-ratelimit-requests-reset: 2027-01-15T08:00:20Z\n"
            "anthropic-ratelimit-tokens-remaining: 9000\n"
            "anthropic-ratelimit-tokens-reset: 2027-01-15T08:09:20Z",
            20,
        ),
        ("X-RateLimit-Remaining: 0\nX-RateLimit-Reset: 99999999", 3600),
        ("X-RateLimit-Remaining: 0", None),
        ("X-RateLimit-Remaining: none\nX-RateLimit-Reset: soon", None),
        ("X-RateLimit-Reset: 30", None),
        ("", None),
    ],
)
def test_what_an_answer_announces(waits, told, seconds):
    """Nothing left of a rate is a wait until it begins anew, in whichever spelling; anything left is none."""
    assert waits.announced_wait(headers(told)) == (None if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("Retry-After: 7", 7),
        ("Retry-After: 0.5", 0.5),
        (f"Retry-After: {email.utils.formatdate(NOW + 90, usegmt=True)}", 90),
        (f"Retry-After: {email.utils.formatdate(NOW - 90, usegmt=True)}", 0),
        ("Retry-After: soon\nretry-after-ms: 250", 0.25),
        ("Retry-After: 3\nX-RateLimit-Remaining: 0\nX-RateLimit-Reset: 30", 3),
        ("X-RateLimit-Reset: 30", 30),
        ("x-ratelimit-remaining-requests: 5\nx-ratelimit-reset-requests: 9s", None),
        ("Retry-After: soon", None),
    ],
)
def test_what_a_refusal_asks_for(waits, told, seconds):
    """A 429 is waited out as its headers say: seconds, a date, or the reset of a rate."""
    assert waits.asked_wait(headers(told)) == (None if seconds is None else pytest.approx(seconds))


def test_a_date_without_the_servers_clock_is_measured_by_ours(waits):
    """An answer without Date leaves nothing but this machine's clock."""
    found = {"Retry-After": email.utils.formatdate(time.time() + 100, usegmt=True)}
    assert 60 < waits.asked_wait(found) <= 100


@pytest.mark.parametrize("status", [200, 422])
def test_nothing_left_is_waited_out_before_the_next_request(model, build, status):
    """An answer that says nothing is left, good or bad, holds back all requests until then."""
    clock, number, lock = [], itertools.count(1), threading.Lock()

    def answer(request: Any) -> Reply:
        with lock:
            clock.append(time.monotonic())
            last = next(number) == 1
        told = {"x_ratelimit_remaining_requests": "0", "x_ratelimit_reset_requests": "700ms"} if last else {}
        return Reply(request.json, status if last else 200, **told)

    model.answer = answer
    wrapper = build("endpoint: URL", dispatch="{parallel: 1}")
    answered = wrapper.batch(["a", "b", "c"])
    assert answered["$results"][1:] == ["b", "c"]
    assert answered["$summary"]["attempts"] == 3 and answered["$summary"]["throttled"] == 0
    assert clock[1] - clock[0] >= 0.69
