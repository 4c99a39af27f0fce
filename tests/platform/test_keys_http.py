"""API keys over HTTP: made, told once, restricted, revoked."""

from __future__ import annotations

import json
import threading
import uuid
from typing import Any

import pytest
import requests


def test_a_key_is_told_once(server: Any) -> None:
    """The reply to its creation holds the key; later listings only its mask and what it may."""
    name, key = server.user()
    wanted = {"allow_data_write": False, "allow_algo_management": False, "algo_acl": ["algo://nlp/*"]}
    made = server.request(
        "POST", f"/v1/users/{name}/keys", key, json={"key_label": "narrow", "permissions": wanted}
    ).json()
    assert len(made["api_key"]) == 28
    listed = server.request("GET", f"/v1/users/{name}/keys", key)
    assert made["api_key"] not in listed.text
    found = next(each for each in listed.json() if each["key_label"] == "narrow")
    assert {name: found["permissions"][name] for name in wanted} == wanted
    assert made["api_key"].startswith(found["api_key_mask"].split("…")[0])
    revoked = server.request("DELETE", f"/v1/users/{name}/keys/{found['id']}", key)
    assert revoked.status_code == 204
    assert server.request("GET", "/v1/data/", made["api_key"]).status_code == 401


@pytest.mark.parametrize("header", ["KEY", "Simple KEY", "simple KEY", "Bearer KEY", "  Simple   KEY  "])
def test_each_form_of_the_header(server: Any, header: str) -> None:
    """Bare, Simple and Bearer say the same."""
    answer = requests.get(
        f"{server.address}/v1/data/", headers={"Authorization": header.replace("KEY", server.key).strip()}
    )
    assert answer.status_code == 200


def test_a_restricted_key_does_no_more_than_it_says(server: Any) -> None:
    """Reading, writing, managing and making keys are refused each on their own."""
    name, key = server.user(allow_data_write=False, allow_algo_management=False)
    place = f"/v1/data/{name}"
    assert server.request("GET", place, key).status_code == 200
    assert server.request("POST", place, key, json={"name": "col"}).status_code == 403
    assert server.request("POST", f"/v1/algorithms/{name}", key, json={"name": "A"}).status_code == 403
    assert server.request("POST", f"/v1/users/{name}/keys", key, json={}).status_code == 403
    name, key = server.user(allow_data=False)
    assert server.request("GET", f"/v1/data/{name}", key).status_code == 403
    assert server.request("POST", f"/v1/data/{name}", key, json={"name": "col"}).status_code == 403


def test_a_key_for_one_algorithm_calls_that_one(server: Any, zoo: str) -> None:
    """The pattern may name it with or without a final star; all others are refused."""
    for pattern in (f"algo://{zoo}", f"algo://{zoo}/*", "algo://local/*", "algo://*"):
        _, key = server.user(algo_acl=[pattern])
        assert server.call(zoo, "you", key).status_code == 200, pattern
    for pattern in (f"algo://{zoo}2", "algo://local/Other/*", "algo://nobody/*"):
        _, key = server.user(algo_acl=[pattern])
        assert server.call(zoo, "you", key).status_code == 403, pattern


def test_a_restricted_key_sees_no_more_than_it_may_call(server: Any, zoo: str) -> None:
    """Errors, with the inputs in them, and replies of void calls stay with keys that may call what failed."""
    name, key = server.user()

    def restricted(**rights: Any) -> str:
        made = server.request("POST", f"/v1/users/{name}/keys", key, json={"permissions": rights})
        return str(made.json()["api_key"])

    def seen(asking: str, request_id: str) -> tuple[int, bool]:
        listed = server.request("GET", f"/v1/users/{name}/errors", asking).json()
        answer = server.request("GET", f"/v1/requests/{request_id}", asking)
        return answer.status_code, bool(listed)

    narrow, allowed = restricted(algo_acl=["algo://nobody/*"]), restricted(algo_acl=[f"algo://{zoo}/*"])
    assert "error" in server.call(zoo, {"op": "refuse"}, key).json()
    for asking, status in ((key, (200, 404, 404)), (allowed, (200, 404, 200))):
        request_id = server.call(zoo, "you", asking, output="void").json()["request_id"]
        while server.request("GET", f"/v1/requests/{request_id}", asking).status_code == 202:
            threading.Event().wait(0.02)
        found = [seen(each, request_id) for each in (key, narrow, allowed)]
        assert found == list(zip(status, (True, False, True), strict=True))
    group = f"org{uuid.uuid4().hex[:12]}"
    server.admin("POST", "/v1/organizations", {"org_name": group})
    server.admin("PUT", f"/v1/organizations/{group}/members/{name}")
    place = f"/v1/organizations/{group}/errors"
    asking_keys = (key, restricted(allow_algo_management=False))
    assert [server.request("GET", place, each).status_code for each in asking_keys] == [200, 403]


def test_a_key_is_limited_to_where_calls_come_from(server: Any, zoo: str) -> None:
    """Web pages, those of one host only, or everything but pages; what an algorithm calls is not asked."""

    def statuses(**rights: Any) -> list[int]:
        _, key = server.user(**rights)
        origins: list[dict[str, str]] = [{}, {"Origin": "https://a.org"}, {"Origin": "https://b.org:444"}]
        found = []
        for origin in origins:
            headers = {"Content-Type": "application/json", **origin}
            body = json.dumps({"op": "pipe", "algorithm": zoo, "value": "you"})
            answer = server.request("POST", f"/v1/algo/{zoo}", key, data=body, headers=headers)
            assert answer.headers.get("Access-Control-Allow-Origin") == ("*" if origin else None)
            found.append(answer.status_code)
        return found

    assert statuses() == [200, 200, 200]
    assert statuses(allow_web_algo=False) == [200, 403, 403]
    assert statuses(allow_algo=False) == [403, 200, 200]
    assert statuses(allow_algo=False, referer_host="B.org") == [403, 403, 200]
    assert statuses(referer_host="a.org") == [200, 200, 403]
    odd = {"Origin": "http://[", "Content-Type": "application/json"}
    assert server.request("POST", f"/v1/algo/{zoo}", data="1", headers=odd).status_code == 403


def test_the_limit_to_a_page_holds_for_everything(server: Any, zoo: str) -> None:
    """Data, management and git are no way around it."""
    name, key = server.user(allow_algo=False, referer_host="a.org")
    asked = [
        ("GET", f"/v1/data/{name}"),
        ("POST", f"/v1/data/{name}"),
        ("GET", f"/v1/algorithms/{zoo}"),
        ("POST", f"/v1/algorithms/{name}"),
        ("GET", f"/v1/users/{name}/errors"),
    ]
    for number, (method, path) in enumerate(asked):
        body = None if method == "GET" else {"name": f"Made{number}"}
        for origin, refused in (("", True), ("https://b.org", True), ("https://a.org", False)):
            headers = {"Origin": origin} if origin else {}
            answer = server.request(method, path, key, json=body, headers=headers)
            assert answer.status_code == 403 if refused else answer.ok, (method, path, origin, answer.text)
    for rights, status in (({"allow_algo": False}, 403), ({"allow_web_algo": False}, 200)):
        made = server.request("POST", "/v1/users/local/keys", json={"permissions": rights}).json()
        refs = f"{server.address}/git/{zoo}.git/info/refs?service=git-upload-pack"
        assert requests.get(refs, auth=("local", made["api_key"])).status_code == status


def test_browsers_are_told_that_pages_may_call(server: Any, zoo: str) -> None:
    """The question before a page's call is answered without a key."""
    asked = {"Origin": "https://a.org", "Access-Control-Request-Method": "POST"}
    answer = server.request("OPTIONS", f"/v1/algo/{zoo}", "", headers=asked)
    assert answer.status_code == 204
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "authorization" in answer.headers["Access-Control-Allow-Headers"]


def test_only_admin_keys_make_admin_keys(server: Any) -> None:
    """A standard key can't raise itself."""
    name, key = server.user()
    asked = {"key_type": "PlatformAdminKey"}
    assert server.request("POST", f"/v1/users/{name}/keys", key, json=asked).status_code == 403
    made = server.admin("POST", f"/v1/admin/users/{name}/keys", asked).json()
    assert made["key_type"] == "PlatformAdminKey"
    assert server.request("GET", "/v1/users", made["api_key"]).status_code == 200


@pytest.mark.parametrize("kind", ["AlgorithmKey", "ManagementKey", "PlatformAdminKey", None])
def test_a_keys_type_is_told_again(server: Any, kind: str | None) -> None:
    """The reply and the listing say the type that was asked for; a standard one where nothing was."""
    name, key = server.user()
    made = server.admin("POST", f"/v1/users/{name}/keys", {"key_type": kind, "key_label": "typed"})
    listed = server.request("GET", f"/v1/users/{name}/keys", key).json()
    shown = next(each for each in listed if each["key_label"] == "typed")
    assert made.json()["key_type"] == shown["key_type"] == (kind or "AlgorithmKey")
    status = 200 if kind == "PlatformAdminKey" else 403
    assert server.request("GET", "/v1/users", made.json()["api_key"]).status_code == status


@pytest.mark.parametrize("kind", ["platformadminkey", "AdminKey", 1, ["PlatformAdminKey"], {}, True])
def test_an_unknown_type_of_key_is_refused(server: Any, kind: Any) -> None:
    """No key is made that is of another kind than its maker thinks."""
    name, key = server.user()
    answer = server.admin("POST", f"/v1/users/{name}/keys", {"key_type": kind})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 2015)
    assert len(server.request("GET", f"/v1/users/{name}/keys", key).json()) == 1
