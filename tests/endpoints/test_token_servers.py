"""Servers of tokens that hang, fail for a while or are gone: no attempt of an item, and waited for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from model import ModelServer, Reply


@pytest.fixture
def issuer(monkeypatch: Any) -> Iterator[ModelServer]:
    """A server of tokens."""
    monkeypatch.setenv("CLIENT_ID", "me")
    monkeypatch.setenv("CLIENT_SECRET", "s3cret")
    with ModelServer() as server:
        yield server


def target(token_url: str) -> str:
    """A target whose tokens come from there."""
    login = "client_id_env: CLIENT_ID, client_secret_env: CLIENT_SECRET"
    return f"endpoint: URL\nauth: {{oauth2: {{token_url: '{token_url}', {login}}}}}"


@pytest.mark.parametrize("program", [False, True], ids=["oauth2", "command"])
def test_a_token_that_does_not_come_is_no_attempt(model, build, issuer, program):
    """Where fetching a token takes all the time of a call, no item was tried."""
    ended = threading.Event()
    issuer.answer = lambda request: (ended.wait(30), Reply({"access_token": "t"}))[1]
    spec = "endpoint: URL\nauth: {command: [sleep, '30']}" if program else target(f"{issuer.url}/token")
    answered = build(spec).batch(["a", "b"], **{"$timeout": 2})
    ended.set()
    errors = [one["$error"] for one in answered["$results"]]
    assert [(one["attempts"], one["retryable"]) for one in errors] == [(0, True)] * 2
    assert answered["$summary"]["attempts"] == 0 and model.requests == []


@pytest.mark.parametrize("status", [503, 500, 429])
def test_a_token_server_that_fails_for_a_while_is_waited_for(model, build, issuer, status):
    """Tokens that come at the third request cost no item an attempt."""
    issuer.answer = lambda request: (
        Reply("later", status) if len(issuer.requests) < 3 else Reply({"access_token": "t"})
    )
    answered = build(target(f"{issuer.url}/token"), dispatch="{parallel: 1}").batch(["a", "b"])
    assert answered["$results"] == ["a", "b"] and answered["$summary"]["attempts"] == 2
    assert len(issuer.requests) == 3
    assert model.requests[0].headers["Authorization"] == "Bearer t"


def test_a_token_server_that_is_gone_stops_the_call_when_its_time_is_up(model, build):
    """As an endpoint that is gone: every item comes back retryable and untried, and the message names it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/token"
        answered = build(target(url)).batch(["a"], **{"$timeout": 2})
    assert answered["$summary"]["stopped"]["type"] in ("ConnectionError", "AuthenticationError")
    assert url in answered["$summary"]["stopped"]["message"]
    assert answered["$results"][0]["$error"]["attempts"] == 0


def test_a_refused_login_stops_the_call_at_once(model, build, issuer):
    """A wrong secret is nothing that waiting changes."""
    issuer.answer = lambda request: Reply({"error": "invalid_client"}, 401)
    answered = build(target(f"{issuer.url}/token")).batch(["a", "b"])
    assert answered["$summary"]["stopped"]["type"] == "AuthenticationError"
    assert len(issuer.requests) <= 2 and model.requests == []
