"""Metrics, logs and limits of nested calls, on a real server."""

from __future__ import annotations

import json
import threading
import time

from prometheus_client.parser import text_string_to_metric_families


def samples(server):
    """Every sample of /metrics by name and labels."""
    text = server.request("GET", "/metrics").text
    families = text_string_to_metric_families(text)
    return {
        (each.name, *sorted(each.labels.items())): each.value
        for family in families
        for each in family.samples
    }


def test_metrics_count_calls_by_algorithm_and_error(server, zoo):
    """Results, errors and refusals are counted, and Prometheus's own parser reads them."""
    before = samples(server)
    server.call(zoo, "you")
    server.call(zoo, {"op": "refuse"})
    server.call("local/Nothing", 1)
    after = samples(server)

    def rise(name, **labels):
        key = (name, *sorted(labels.items()))
        return after[key] - before.get(key, 0)

    version = f"{zoo}/0.1.0"
    assert rise("wrapgen_calls_total", algorithm=version, error_type="") == 1
    assert rise("wrapgen_calls_total", algorithm=version, error_type="InputError") == 1
    assert rise("wrapgen_calls_refused_total", code="not-found") == 1
    assert rise("wrapgen_call_seconds_count", algorithm=version) == 2
    assert after["process_resident_memory_bytes",] > 0


def test_each_call_and_request_is_a_line_of_the_log(server, zoo):
    """The line has the request id that the caller got, and nothing of the input."""
    called = server.call(zoo, "a very secret input").json()["request_id"]
    asked = server.request("GET", "/v1/data/").headers["x-request-id"]
    path = server.home / "logs" / "platform.jsonl"
    deadline = time.monotonic() + 120
    while asked not in path.read_text():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    call = next(line for line in lines if line.get("request_id") == called)
    assert (call["event"], call["account"], call["algorithm"]) == ("call", "local", f"{zoo}/0.1.0")
    request = next(line for line in lines if line.get("request_id") == asked)
    assert (request["method"], request["status"]) == ("GET", 200)
    assert "very secret" not in path.read_text()


def test_no_more_than_24_calls_below_one(server, zoo, tmp_path):
    """While 24 calls below one wait for each other, every further one gets 429; then all 24 are answered."""
    gate = str(tmp_path / "gate")
    asked = {"op": "many", "algorithm": zoo, "count": 40, "gate": gate, "refused": 16}
    statuses = server.call(zoo, asked).json()["result"]
    assert sorted(statuses) == [200] * 24 + [429] * 16
    few = {"op": "many", "algorithm": zoo, "count": 20, "gate": gate, "refused": 0}
    assert server.call(zoo, few).json()["result"] == [200] * 20
