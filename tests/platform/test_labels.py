"""What algorithms and strangers can put into metrics and logs: few short names, and a share of the log."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import requests

from wrapgen.platform.observe.server_log import ServerLog

LABELS = """\
class Odd(Exception):
    pass


def apply(input):
    error = Odd("x" * input.get("message", 1))
    error.error_type = input["kind"]
    raise error
"""


def test_error_types_are_names_and_few(server: Any, module: Any) -> None:
    """A long or unprintable type is AlgorithmError; beyond so many of a version they count together."""
    name = module(server, "local", server.key, LABELS)
    for kind, told in (("x" * 65, "AlgorithmError"), ("a\nb", "AlgorithmError"), ("A b", "A b")):
        error = server.call(name, {"kind": kind}).json()["error"]
        assert error["error_type"] == told
    assert server.call(name, {"kind": "x" * 5_000_000}).json()["error"]["error_type"] == "AlgorithmError"
    for number in range(40):
        server.call(name, {"kind": f"Kind{number}"})
    text = server.request("GET", "/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("wrapgen_calls_total") and name in line]
    assert len(lines) == 33
    assert sum('error_type="other"' in line for line in lines) == 1
    assert len(text) < 100_000


def test_the_error_log_keeps_the_beginning_of_a_message(server: Any, module: Any) -> None:
    """Messages of megabytes don't fill the database; the caller still gets the whole of it."""
    name = module(server, "local", server.key, LABELS)
    error = server.call(name, {"kind": "Long", "message": 100_000}).json()["error"]
    assert len(error["message"]) == 100_000
    place = "/v1/algorithms/" + name.rpartition("/")[0]
    assert len(server.request("GET", f"{place}/errors").json()[0]["error"]) == 4000


def test_strangers_fill_a_share_of_the_log(serve: Any, tmp_path: Any) -> None:
    """Insights and requests without a key are logged within their share; what has a key is logged always."""
    server = serve(tmp_path / "home", "--limit", "stranger-log-bytes=20000")
    with requests.Session() as session:
        insight = [{"insight_key": "k", "insight_value": "x" * 3000}]
        for _ in range(30):
            session.post(f"{server.address}/v1/insights", json=insight)
            session.get(f"{server.address}/v1/users", headers={"Authorization": "wrong"})
            session.post(f"{server.address}/v1/algo/a/b", headers={"Authorization": "wrong"})
            session.get(f"{server.address}/web/nothing")
    assert server.request("GET", "/v1/scms").ok
    log, deadline = server.home / "logs" / "platform.jsonl", time.monotonic() + 60
    while not log.exists() or "/v1/scms" not in log.read_text():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)
    assert 10_000 < len(log.read_text()) < 22_000
    assert server.stop() == 0


def test_what_was_not_logged_is_counted(tmp_path: Any) -> None:
    """When there is room again, the next line says how many were left out before it."""
    now = [0.0]
    log = ServerLog(tmp_path, lambda: now[0])
    for _ in range(1200):
        log.note_stranger("request", path="x" * 1000)
    now[0] = 60.0
    log.note_stranger("request", path="y")
    log.flush()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert lines[-1]["untold"] == 1200 - (len(lines) - 1) > 100
    assert log.path.stat().st_size < 1.1 * 1024 * 1024


def test_a_build_log_is_shown_to_its_end_and_not_whole(server: Any, module: Any) -> None:
    """A log of many megabytes costs a page and a listing its last part only."""
    name = module(server, "local", server.key, "def apply(input):\n    return input\n")
    place = "/v1/algorithms/" + name.rpartition("/")[0]
    build = server.request("GET", f"{place}/builds").json()["results"][0]["build_id"]
    log = server.home / "builds" / build / "log.txt"
    log.write_text("x" * 8_000_000 + "the end")
    assert len(server.request("GET", f"{place}/builds/{build}/logs").json()["logs"]) == 1 << 20
    listing = server.request("GET", f"{place}/versions")
    assert len(listing.text) < 300_000
    assert "the end" in listing.text


def test_the_list_of_a_key_is_short(server: Any) -> None:
    """Every call looks through it, so it has at most a hundred entries, none of them long."""
    user, key = server.user()
    for acl, status in (
        (["algo://a/*"] * 100, 200),
        (["algo://a/*"] * 101, 400),
        (["algo://" + "*" * 294], 400),
    ):
        body = {"permissions": {"algo_acl": acl}}
        assert server.request("POST", f"/v1/users/{user}/keys", key, json=body).status_code == status
