"""Algorithm management over HTTP: objects, listings, logs, secrets, and what odd requests get."""

from __future__ import annotations

import json
import threading
import time
import uuid
from typing import Any

import pytest

HASH = "0" * 40


@pytest.fixture(scope="module")
def algorithm(server: Any) -> str:
    """`/v1/algorithms/local/NAME` of an algorithm with the template's source, built twice, published once."""
    name = f"Managed{uuid.uuid4().hex[:8]}"
    body = {
        "name": name,
        "details": {"label": "A label", "tagline": "t"},
        "settings": {"source_visibility": "closed", "license": "apl", "pipeline_enabled": True},
        "version_info": {"sample_input": '"Jane"'},
        "foreign": {"x": 1},
    }
    made = server.request("POST", "/v1/algorithms/local", json=body)
    assert made.status_code == 201, made.text
    place = f"/v1/algorithms/local/{name}"
    assert server.request("POST", f"{place}/compile").status_code == 200
    info = {"version_type": "major", "release_notes": "first", "sample_output": '"hello Jane"'}
    assert server.request("POST", f"{place}/versions", json={"version_info": info}).status_code == 200
    assert server.request("POST", f"{place}/compile", data=b"").status_code == 200
    return place


def test_a_new_object_has_no_build(server: Any) -> None:
    """The reply to a creation has the documented fields, and nothing of a version."""
    name = f"New{uuid.uuid4().hex[:8]}"
    made = server.request("POST", "/v1/algorithms/LOCAL", json={"name": name}).json()
    assert uuid.UUID(made["id"])
    assert (made["name"], made["resource_type"], made["details"]) == (name, "algorithm", {"label": name})
    assert made["self_link"] == f"{server.address}/v1/algorithms/local/{name}"
    assert made["source"]["scm"]["id"] == "internal"
    assert not {"build", "compilation", "version_info"} & made.keys()
    taken = server.request("POST", "/v1/algorithms/local", json={"name": name.upper()})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 1002)


def test_the_object_of_a_version(server: Any, algorithm: str) -> None:
    """A published version shows its notes, build, log and number; by hash, by number and by id."""
    newest, first = server.request("GET", f"{algorithm}/versions").json()["results"]
    assert "semantic_version" not in newest["version_info"]
    info = first["version_info"]
    assert (info["semantic_version"], info["release_notes"]) == ("1.0.0", "first")
    assert (info["sample_input"], info["sample_output"]) == ('"Jane"', '"hello Jane"')
    assert first["self_link"].endswith(f"/versions/{info['git_hash']}")
    assert first["compilation"]["successful"] is True
    assert "build succeeded" in first["compilation"]["output"]
    assert first["build"]["version_info"] == {"semantic_version": "1.0.0"}
    assert first["settings"]["algorithm_callability"] == "private"
    assert server.request("GET", f"{algorithm}/versions/1.0.0").json() == first
    assert server.request("GET", f"{algorithm}/versions/{info['git_hash']}").status_code == 200
    assert server.request("GET", f"/v1/algorithms/{first['id']}/versions/1.0.0").json() == first
    assert server.request("GET", f"/v1/algorithms/{first['id']}").json()["id"] == first["id"]
    missing = server.request("GET", f"{algorithm}/versions/{HASH}")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, 1001)


@pytest.fixture(scope="module")
def stranger(server: Any) -> str:
    """The key of a user who owns nothing here."""
    name = f"stranger{uuid.uuid4().hex[:6]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": name, "email": f"{name}@x.org"})
    return str(
        server.request("POST", f"/v1/admin/users/{name}/keys", server.admin_key, json={}).json()["api_key"]
    )


def test_strangers_see_public_versions_alone(server: Any, stranger: str) -> None:
    """Beside a public version, private ones, builds and what an installation printed stay the owner's."""
    name = f"Mixed{uuid.uuid4().hex[:8]}"
    place = f"/v1/algorithms/local/{name}"
    server.request("POST", "/v1/algorithms/local", json={"name": name})
    hashes = []
    for callability, kind in (("public", "minor"), ("private", "major")):
        server.request("POST", f"{place}/compile")
        body = {"settings": {"algorithm_callability": callability}, "version_info": {"version_type": kind}}
        released = server.request("POST", f"{place}/versions", json=body)
        assert released.status_code == 200, released.text
        hashes.append(released.json()["version_info"]["git_hash"])
    assert server.request("GET", f"{place}/versions/1.0.0").json()["compilation"]["output"]
    seen = server.request("GET", place, stranger).json()
    assert seen["version_info"]["semantic_version"] == "0.1.0" and seen["compilation"]["output"] == ""
    listed = server.request("GET", f"{place}/versions", stranger).json()["results"]
    assert [each["version_info"]["semantic_version"] for each in listed] == ["0.1.0"]
    assert server.request("GET", f"{place}/versions/0.1.0", stranger).status_code == 200
    assert server.request("GET", f"{place}/versions/1.0.0", stranger).status_code == 404
    assert server.request("GET", f"{place}/builds", stranger).status_code == 403


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("?published=true", 1),
        ("?published=false", 1),
        ("?published=True&callable=False", 1),
        ("?callable=true", 0),
        ("?callable=false", 1),
        ("?limit=1", 1),
    ],
)
def test_versions_are_filtered(server: Any, algorithm: str, query: str, count: int) -> None:
    """`published` and `callable` choose, in any letter case; `limit` cuts."""
    assert len(server.request("GET", f"{algorithm}/versions{query}").json()["results"]) == count


def test_odd_filters_are_refused(server: Any, algorithm: str) -> None:
    """A filter that is none is an error, not the whole list."""
    assert server.request("GET", f"{algorithm}/versions?published=maybe").status_code == 400
    assert server.request("GET", f"{algorithm}/versions?limit=x").json()["error"]["code"] == 5003
    assert server.request("GET", f"{algorithm}/versions?marker=eA==").json()["error"]["code"] == 5002


def test_builds_and_their_logs(server: Any, algorithm: str) -> None:
    """Builds come newest first, page by page, each with its log."""
    page = server.request("GET", f"{algorithm}/builds?limit=1").json()
    rest = server.request("GET", f"{algorithm}/builds", params={"marker": page["marker"]}).json()
    assert len(page["results"]) == len(rest["results"]) == 1
    assert page["next_link"].startswith(server.address)
    assert rest["marker"] is None
    build = rest["results"][0]
    assert (build["status"], build["resource_type"]) == ("succeeded", "algorithm_build")
    assert build["started_at"] <= build["finished_at"]
    place = f"{algorithm}/builds/{build['build_id']}"
    assert server.request("GET", place).json() == build
    assert "build succeeded" in server.request("GET", f"{place}/logs").json()["logs"]
    assert server.request("GET", f"{algorithm}/builds/{uuid.uuid4()}").status_code == 404
    assert server.request("GET", f"{algorithm}/builds/{uuid.uuid4()}/logs").status_code == 404


def test_publishing_without_a_new_build(server: Any, algorithm: str) -> None:
    """The singular address does the same; a second time it is error 1007, and nothing changed."""
    first = server.request(
        "POST", f"{algorithm}/version", json={"version_info": {"version_type": "revision"}}
    )
    assert (first.status_code, first.json()["version_info"]["semantic_version"]) == (200, "1.0.1")
    again = server.request("POST", f"{algorithm}/version", json={})
    assert (again.status_code, again.json()["error"]["code"]) == (409, 1007)
    assert server.request("POST", f"{algorithm}/compile", json={}).status_code == 200
    refused = server.request("POST", f"{algorithm}/versions", json={"version_info": {"version_type": "huge"}})
    assert refused.status_code == 400
    refused = server.request(
        "POST", f"{algorithm}/versions", json={"settings": {"algorithm_callability": "public"}}
    )
    assert (refused.status_code, "only a new major" in refused.text) == (400, True)


def test_an_algorithm_that_is_not_there(server: Any) -> None:
    """Reading it gives the words the Python client looks for, as a string; other calls the usual object."""
    missing = server.request("GET", "/v1/algorithms/local/None")
    assert (missing.status_code, missing.text) == (404, '{"error":"No such algorithm"}')
    assert missing.headers["X-Error-Message"] == "No such algorithm"
    missing = server.request("GET", f"/v1/algorithms/{uuid.uuid4()}")
    assert missing.status_code == 404
    missing = server.request("POST", "/v1/algorithms/local/None/compile")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, 1000)
    missing = server.request("POST", "/v1/algorithms/nobody", json={"name": "A"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, 3000)


def test_updates_change_what_they_name(server: Any, algorithm: str) -> None:
    """Details and settings are merged; the form that the Python client sends by mistake changes nothing."""
    before = server.request("GET", algorithm).json()
    changed = server.request("PUT", algorithm, json={"details": {"summary": "s"}, "id": "x"}).json()
    assert changed["details"] == {**before["details"], "summary": "s"}
    form = server.request("PUT", algorithm, data={"details": ["label"], "settings": ["license"]})
    assert (form.status_code, form.json()) == (200, changed)
    refused = server.request("PUT", algorithm, json={"settings": {"license": "none"}})
    assert refused.status_code == 400


def test_the_log_of_commits(server: Any, algorithm: str) -> None:
    """The newest commits of the default branch, and the state of the internal host."""
    (commit,) = server.request("GET", f"{algorithm}/log").json()["commits"]
    assert (commit["short_message"], commit["author"], len(commit["id"])) == ("Initial commit", "local", 40)
    assert server.request("GET", f"{algorithm}/scm/status").text == '{"scm_connection_status":"active"}'


def test_source_hosts(server: Any) -> None:
    """There is the internal one; nothing is to be authorized there."""
    (scm,) = server.request("GET", "/v1/scms").json()["results"]
    assert (scm["id"], scm["provider"], scm["default"]) == ("internal", "internal", True)
    assert server.request("GET", "/v1/scms/internal").json() == scm
    status = server.request("GET", "/v1/scms/internal/oauth/status").json()
    assert status["authorization_status"] == "unauthorized"
    assert server.request("POST", "/v1/scms/internal/oauth/revoke").status_code == 204
    missing = server.request("GET", "/v1/scms/github")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, 4009)


def test_external_source_hosts_are_described_and_not_used(server: Any) -> None:
    """An administrator registers, enables, prefers and removes one; no algorithm lives there."""
    admin = server.admin_key
    asked = {"id": "github", "provider": "github", "oauth": {"client_id": "x", "client_secret": "y"}}
    urls = {"web": "https://github.com", "api": "https://api.github.com", "ssh": "ssh://git@github.com"}
    made = server.request("POST", "/v1/admin/scms", admin, json={**asked, "urls": urls})
    assert made.status_code == 201
    assert made.json() == {
        "id": "github",
        "provider": "github",
        "name": "github",
        "enabled": False,
        "default": False,
        "oauth": {"client_id": "x"},
        "urls": urls,
    }
    assert server.request("POST", "/v1/admin/scms", admin, json=asked).status_code == 409
    place = "/v1/admin/scms/github"
    assert server.request("POST", f"{place}/default", admin).status_code == 400
    assert server.request("PATCH", place, admin, json={"enabled": True}).json()["enabled"] is True
    assert server.request("POST", f"{place}/default", admin).status_code == 204
    assert server.request("PATCH", place, admin, json={"enabled": False}).status_code == 400
    listed = server.request("GET", "/v1/scms").json()["results"]
    assert {each["id"]: each["default"] for each in listed} == {"internal": False, "github": True}
    outside = {"name": "Outside", "source": {"scm": {"id": "github"}, "repository_name": "x"}}
    refused = server.request("POST", "/v1/algorithms/local", json=outside)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 4008)
    assert server.request("DELETE", "/v1/admin/scms/internal", admin).status_code == 400
    assert server.request("DELETE", place, admin).status_code == 204
    assert server.request("GET", "/v1/scms/github").status_code == 404
    assert server.request("GET", "/v1/scms/internal").json()["default"] is True


def test_an_algorithm_has_a_default_collection(server: Any, algorithm: str) -> None:
    """One of its owner's own; another's, or one that isn't there, is refused."""
    server.request("POST", "/v1/data/local", json={"name": "usual"})
    listed = server.request("GET", "/v1/hostedData").json()["result"]
    number = next(each["id"] for each in listed if each["collection_name"] == "usual")
    owner = server.request("GET", algorithm).json()["id"]
    for place in (algorithm, f"/v1/algorithms/{owner}"):
        assert server.request("POST", f"{place}/collections/{number}").status_code == 204
        assert server.request("POST", f"{place}/collections/{owner}").status_code == 404
    assert server.request("DELETE", "/v1/data/local/usual").json() == {"result": {"deleted": 1}}


def test_secrets_never_tell_their_value(server: Any, algorithm: str) -> None:
    """Made, listed, changed and deleted; the value is in no reply."""
    owner = server.request("GET", algorithm).json()["id"]
    place = f"/v1/algorithms/{owner}/secrets"
    provider = server.request("GET", "/v1/secret-provider").json()[0]["id"]
    body = {
        "owner_type": "algorithm",
        "owner_id": owner,
        "short_name": "token",
        "secret_key": "API_TOKEN",
        "secret_value": "hunter2",
        "provider_id": provider,
        "description": " ",
    }
    made = server.request("POST", place, json=body)
    assert made.status_code == 200
    again = server.request("POST", place, json=body)
    assert again.status_code == 409
    one = f"{place}/{made.json()['id']}"
    changed = server.request("PUT", one, json={"secret_value": "hunter3", "description": "new"})
    assert (changed.status_code, changed.json()["description"]) == (200, "new")
    for name in ("secret_value", "short_name", "description"):
        assert server.request("PUT", one, json={name: {"a": 1}}).status_code == 400
    listed = server.request("GET", place)
    assert [each["secret_key"] for each in listed.json()["results"]] == ["API_TOKEN"]
    for answer in (made, again, changed, listed):
        assert "hunter" not in answer.text
    assert server.request("DELETE", one).status_code == 204
    assert server.request("DELETE", one).status_code == 404
    assert server.request("GET", place).json()["results"] == []


@pytest.mark.parametrize("body", [b"{", b"[1]", b'"x"', b"\xff", b"[" * 100_000, b'{"name": NaN'])
def test_bodies_that_are_no_object(server: Any, body: bytes) -> None:
    """A body that can't be read is error 400 with the contract's number."""
    answer = server.request(
        "POST", "/v1/algorithms/local", data=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in (2013, 2015)


@pytest.mark.parametrize(
    "fields",
    [
        {"name": "A", "details": [], "settings": "x", "version_info": 5, "source": None},
        {"name": ["A"]},
        {"name": {"x": 1}},
        {"name": "A", "settings": {"license": ["apl"]}},
        {"name": "A", "settings": {"algorithm_environment": {"id": 1}}},
        {"name": "A", "settings": {"language": 5, "pipeline_enabled": "yes"}},
        {"name": "A", "details": {"label": "\ud800"}},
    ],
)
def test_fields_of_the_wrong_type(server: Any, fields: dict[str, Any]) -> None:
    """Fields of any type end in success or 400, never in a fault of the server."""
    answer = server.request("POST", "/v1/algorithms/local", data=json.dumps(fields))
    assert answer.status_code in (201, 400), answer.text
    server.request("DELETE", "/v1/algorithms/local/A")


def test_replies_are_compact(server: Any, algorithm: str) -> None:
    """Callers of the Node client may compare texts: no spaces after colons and commas."""
    text = server.request("GET", f"{algorithm}/scm/status").text
    assert text == json.dumps(json.loads(text), separators=(",", ":"))


def test_deleting(server: Any) -> None:
    """204 with its standard reason and no body, which the Python client looks at; then it is gone."""
    server.request("POST", "/v1/algorithms/local", json={"name": "Gone"})
    gone = server.request("DELETE", "/v1/algorithms/local/gone")
    assert (gone.status_code, gone.reason, gone.content) == (204, "No Content", b"")
    assert server.request("GET", "/v1/algorithms/local/Gone").status_code == 404


def test_insights_are_taken_without_a_key(server: Any) -> None:
    """The client sends them anonymously, and the log has them; the limits and reserved names hold."""
    report = [{"insight_key": f"score{uuid.uuid4().hex}", "insight_value": 0.5}]
    assert server.request("POST", "/v1/insights", "", json=report).status_code == 200
    log, until = server.home / "logs" / "platform.jsonl", time.monotonic() + 120
    while report[0]["insight_key"] not in log.read_text():
        assert time.monotonic() < until, "the report is not in the log"
        threading.Event().wait(0.05)
    many = [{"insight_key": str(number), "insight_value": 1} for number in range(26)]
    taken = [{"insight_key": "request_id", "insight_value": 1}]
    large = [{"insight_key": "x", "insight_value": "y" * 30_000}]
    for body, status in ((many, 400), (taken, 400), (large, 413), ({}, 400), ([1], 400), ({"a": 1}, 400)):
        assert server.request("POST", "/v1/insights", "", json=body).status_code == status
    for value in ("NaN", "-Infinity", "1e999", '"\\ud800"'):
        odd = f'[{{"insight_key":"odd","insight_value":{value}}}]'
        assert server.request("POST", "/v1/insights", "", data=odd).status_code == 400


@pytest.mark.parametrize("text", ["1e999", "NaN", "-Infinity"])
def test_numbers_without_json_are_not_stored(server: Any, algorithm: str, text: str) -> None:
    """A number that couldn't be told again is refused, and the object is as it was."""
    before = server.request("GET", algorithm).json()
    answer = server.request("PUT", algorithm, data=f'{{"details":{{"label":{text}}}}}')
    assert answer.status_code == 400, answer.text
    assert server.request("GET", algorithm).json() == before


def test_numbers_of_thousands_of_digits_are_no_fault(server: Any, algorithm: str) -> None:
    """Limits and versions that no counter reaches are refused like any other that is not there."""
    digits = "7" * 5000
    assert server.request("GET", f"{algorithm}/versions?limit={digits}").status_code == 400
    name = algorithm.rpartition("/")[2]
    for version in (f"{digits}.*", f"1.2.{digits}"):
        assert server.request("POST", f"/v1/algo/local/{name}/{version}", json=1).status_code in (400, 404)
