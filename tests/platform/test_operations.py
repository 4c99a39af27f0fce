"""Metrics, logs and limits of nested calls, on a real server."""

from __future__ import annotations

import json
import threading
import time
import uuid

import pytest
from prometheus_client.parser import text_string_to_metric_families


def samples(server, key=None):
    """Every sample of /metrics by name and labels."""
    text = server.request("GET", "/metrics", key).text
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


def test_metrics_name_algorithms_to_their_owners_only(server, zoo):
    """Others' names are for admin keys, in scrapers' form of them too; totals are for every key."""
    name, key = server.user()
    server.call(zoo, "you", key)

    def names(key):
        found = samples(server, key)
        assert ("wrapgen_calls_open",) in found
        return {value for sample in found for label, value in sample[1:] if label == "algorithm"}

    version = f"{zoo}/0.1.0"
    assert version in names(server.key)
    assert version in names(f"Bearer {server.admin_key}")
    assert names(key) == set()
    group = f"org{uuid.uuid4().hex[:12]}"
    assert server.admin("POST", "/v1/organizations", {"org_name": group}).ok
    assert server.admin("PUT", f"/v1/organizations/{group}/members/{name}").ok
    place = f"/v1/algorithms/{group}"
    assert server.request("POST", place, key, json={"name": "Ours"}).ok
    assert server.request("POST", f"{place}/Ours/compile", key).ok
    assert server.request("POST", f"{place}/Ours/versions", key, json={}).ok
    assert server.call(f"{group}/Ours/0.1.0", "you", key).ok
    assert names(key) == {f"{group}/Ours/0.1.0"}


def logged(server, request_id):
    """The line of the server's log that has a request id, once it is there."""
    path, deadline = server.home / "logs" / "platform.jsonl", time.monotonic() + 120
    while request_id not in path.read_text():
        assert time.monotonic() < deadline
        threading.Event().wait(0.05)
    lines = (json.loads(line) for line in path.read_text().splitlines() if request_id in line)
    return next(line for line in lines if line.get("request_id") == request_id)


def test_each_call_and_request_is_a_line_of_the_log(server, zoo):
    """The line has the request id that the caller got, and nothing of the input."""
    called = server.call(zoo, "a very secret input").json()["request_id"]
    asked = server.request("GET", "/v1/data/").headers["x-request-id"]
    request, call = logged(server, asked), logged(server, called)
    assert (call["event"], call["account"], call["algorithm"]) == ("call", "local", f"{zoo}/0.1.0")
    assert (request["method"], request["status"]) == ("GET", 200)
    assert "very secret" not in (server.home / "logs" / "platform.jsonl").read_text()


@pytest.mark.parametrize(
    ("reference", "key", "query", "status"),
    [
        ("{}", "wrong", {}, 401),
        ("local/Nothing", None, {}, 404),
        ("{}", None, {"timeout": "0"}, 400),
        ("{}", None, {"output": "void", "timeout": "0"}, 400),
        ("{}", None, {"output": "raw", "timeout": "0"}, 400),
    ],
)
def test_a_refused_call_has_a_request_id(server, zoo, reference, key, query, status):
    """The header, the body and the log's line of what never ran have the same id."""
    refused = server.call(reference.format(zoo), "you", key, **query)
    number = refused.headers["x-request-id"]
    assert refused.status_code == status
    assert query.get("output") == "raw" or refused.json()["request_id"] == number
    line = logged(server, number)
    assert (line["event"], line["path"]) == ("refused", f"/v1/algo/{reference.format(zoo)}")


def test_a_call_that_a_fault_refuses_has_a_request_id(server, zoo):
    """A status that was asked for is in the log like any other refusal."""
    rule = [{"status": 429, "times": 1}]
    assert server.request("PUT", "/v1/admin/faults", server.admin_key, json=rule).status_code == 200
    refused = server.call(zoo, "you")
    server.request("DELETE", "/v1/admin/faults", server.admin_key)
    assert (refused.status_code, refused.json()["request_id"]) == (429, refused.headers["x-request-id"])
    assert logged(server, refused.headers["x-request-id"])["code"] == "throttled"


def test_a_raw_result_has_its_request_id_in_a_header(server, zoo):
    """The body is the result alone, the header says which line of the log is the call's."""
    for value in ("you", {"op": "refuse"}):
        assert (
            logged(server, server.call(zoo, value, output="raw").headers["x-request-id"])["event"] == "call"
        )


def test_no_more_than_24_calls_below_one(server, zoo, tmp_path):
    """While 24 calls below one wait for each other, every further one gets 429; then all 24 are answered."""
    gate = str(tmp_path / "gate")
    asked = {"op": "many", "algorithm": zoo, "count": 40, "gate": gate, "refused": 16}
    statuses = server.call(zoo, asked).json()["result"]
    assert sorted(statuses) == [200] * 24 + [429] * 16
    few = {"op": "many", "algorithm": zoo, "count": 20, "gate": gate, "refused": 0}
    assert server.call(zoo, few).json()["result"] == [200] * 20


def test_nothing_is_left_of_a_deleted_algorithm(server, publish, zoo_folder):
    """Its `.algo` files and its numbers in /metrics go with it, and at once."""
    gone = publish(server, "Gone", zoo_folder)
    assert server.call(gone, {"op": "keep", "file": "data://.algo/perm/kept"}).json()["result"] == "x"
    number = server.request("GET", f"/v1/algorithms/{gone}").json()["id"]
    kept = server.home / "data" / "algorithms" / number
    assert kept.exists()
    assert gone in server.request("GET", "/metrics").text
    assert server.request("DELETE", f"/v1/algorithms/{gone}").status_code == 204
    assert not kept.exists()
    numbers = {name for name, *labels in samples(server) if ("algorithm", f"{gone}/0.1.0") in labels}
    assert numbers <= {"wrapgen_calls_waiting", "wrapgen_workers"}  # of workers that are ending now
