"""Faults on request: each kind does what it says, to the calls it names, and only while it is asked for."""

from __future__ import annotations

import json
import time

import pytest
import requests

from wrapgen.errors import BadRequest
from wrapgen.platform.calls.fault_rules import FaultRules


@pytest.fixture
def ask(server):
    """Asks for faults; they end with the test."""

    def put(*rules):
        answer = server.request("PUT", "/v1/admin/faults", server.admin_key, data=json.dumps(rules))
        assert answer.status_code == 200, answer.text

    yield put
    server.request("DELETE", "/v1/admin/faults", server.admin_key)


def test_a_status_instead_of_an_answer(server, zoo, ask):
    """429 comes with Retry-After, 5xx as it is; after `times` calls all is well again."""
    ask({"status": 429, "times": 1}, {"status": 503, "times": 1})
    first, second = server.call(zoo, "you"), server.call(zoo, "you")
    assert (first.status_code, first.headers["retry-after"], second.status_code) == (429, "1", 503)
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_latency(server, zoo, ask):
    """The call waits, then runs as ever."""
    ask({"latency": 0.5})
    began = time.monotonic()
    assert server.call(zoo, "you").json()["result"] == "hello you"
    assert time.monotonic() - began >= 0.5


def test_lost_and_truncated_replies(server, zoo, ask, tmp_path):
    """The algorithm runs, but the client sees a broken connection."""
    ask({"reply": "dropped", "times": 1}, {"reply": "truncated", "times": 1})
    for name in ("dropped", "truncated"):
        with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
            server.call(zoo, {"op": "write", "path": str(tmp_path / name)})
        assert (tmp_path / name).read_text() == "x"
    assert server.call(zoo, "you").json()["result"] == "hello you"


def test_scaled_limits(server, zoo, ask):
    """Limits can be made small enough to meet: sizes and the number of calls."""
    ask({"algorithm": "local/*", "limits": {"request": 10, "response": 40}})
    assert server.call(zoo, "much too long").status_code == 413
    ask({"limits": {"response": 40}})
    assert server.call(zoo, {"op": "text", "size": 50}).json()["error"]["error_type"] == "TooLargeError"
    ask({"limits": {"account": 0}})
    assert server.call(zoo, "you").status_code == 429


def test_only_the_named_algorithm_is_hit(server, zoo, ask):
    """A rule for another algorithm changes nothing."""
    ask({"algorithm": "other/*", "status": 500})
    assert server.call(zoo, "you").status_code == 200


def test_an_algorithm_is_hit_by_its_id_too(server, zoo, ask):
    """A rule for a name counts for calls that give the id instead."""
    number = server.request("GET", f"/v1/algorithms/{zoo}").json()["id"]
    ask({"algorithm": zoo, "status": 500, "times": 2})
    for reference in (number, f"{number}/0.1.0"):
        assert server.call(reference, "you").status_code == 500
    assert server.call(number, "you").status_code == 200


def test_faults_need_the_admin_key(server):
    """A standard key can neither see nor set them."""
    assert server.request("GET", "/v1/admin/faults").status_code == 403
    assert server.request("PUT", "/v1/admin/faults", data="[]").status_code == 403


def test_a_share_of_the_calls():
    """With chance passed in, exactly the calls below the share are hit."""
    chances = iter([0.1, 0.5, 0.29, 0.3])
    faults = FaultRules(lambda: next(chances))
    faults.set(b'[{"share": 0.3, "status": 500}]')
    assert [faults.choose("a/b/1.0.0") is not None for _ in range(4)] == [True, False, True, False]


@pytest.mark.parametrize(
    "text",
    [b"", b"{}", b'[{"colour": 1}]', b'[{"status": 200}]', b'[{"share": 2}]', b'[{"limits": {"x": 1}}]'],
)
def test_impossible_rules_are_refused(text):
    """What can't be is refused as a whole, with a sentence that says why."""
    with pytest.raises(BadRequest, match="no faults"):
        FaultRules(lambda: 0.0).set(text)
