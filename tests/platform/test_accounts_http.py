"""Users, organizations, members and keys over HTTP, and who gets in where."""

from __future__ import annotations

import itertools
import json
import threading
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import requests

COUNTER = itertools.count()


def fresh(prefix: str) -> str:
    """A name no other test has."""
    return f"{prefix}{next(COUNTER)}x{uuid.uuid4().hex[:8]}"


def admin(server: Any, method: str, path: str, body: Any = None) -> requests.Response:
    return server.request(method, path, server.admin_key, json=body)


def user_with_key(server: Any, **permissions: Any) -> tuple[str, str]:
    """A new user, and a key with the given restrictions."""
    name = fresh("user")
    assert admin(server, "POST", "/v1/users", {"username": name, "email": f"{name}@example.org"}).ok
    body = {"permissions": permissions} if permissions else {}
    made = admin(server, "POST", f"/v1/admin/users/{name}/keys", body)
    return name, made.json()["api_key"]


def test_a_users_life(server: Any) -> None:
    """Created, read by name and id, changed, listed, deleted; the documented fields and statuses."""
    name = fresh("jane")
    made = admin(
        server, "POST", "/v1/users", {"username": name, "email": f"{name}@x.org", "passwordHash": "x"}
    )
    assert made.status_code == 200
    user = made.json()
    assert user["resource_type"] == "user"
    assert user["self_link"].endswith(f"/v1/users/{name}")
    for reference in (name, name.upper(), user["id"]):
        assert admin(server, "GET", f"/v1/users/{reference}").json() == user
    changed = admin(server, "PUT", f"/v1/users/{name}", {**user, "fullname": "Jane Roe"})
    assert (changed.status_code, changed.json()["fullname"]) == (200, "Jane Roe")
    wrong = admin(server, "PUT", f"/v1/users/{name}", {"username": "another"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 3007)
    taken = admin(server, "POST", "/v1/users", {"username": name.upper(), "email": "other@x.org"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3003)
    missing = admin(server, "POST", "/v1/users", {"username": "x"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, 3005)
    gone = admin(server, "DELETE", f"/v1/users/{name}")
    assert (gone.status_code, gone.reason, gone.content) == (204, "No Content", b"")
    absent = admin(server, "GET", f"/v1/users/{name}")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, 3000)


def test_an_organizations_life(server: Any) -> None:
    """Created by type name or id, changed with foreign fields, found by external id, deleted."""
    types = server.request("GET", "/v1/organization/types", server.admin_key).json()
    assert [each["name"] for each in types] == ["basic", "legacy", "pro"]
    name, external = fresh("org"), fresh("ext")
    body = {"org_name": name, "type_id": types[0]["id"], "external_id": external, "org_label": "Label"}
    made = admin(server, "POST", "/v1/organizations", body)
    assert made.status_code == 200
    assert {key: made.json()[key] for key in body} == body
    taken = admin(server, "POST", "/v1/organizations", {"org_name": name})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3101)
    changed = admin(
        server,
        "PUT",
        f"/v1/organizations/{name}",
        {"id": "x", "org_name": "y", "org_label": "New", "foreign": 1},
    )
    assert (changed.status_code, changed.content) == (204, b"")
    found = admin(server, "GET", f"/v1/organizations/externalId/{external}").json()
    assert (found["org_name"], found["org_label"], found["id"]) == (name, "New", made.json()["id"])
    members = admin(server, "GET", f"/v1/organizations/{name}/members").json()["results"]
    assert [(each["username"], each["role"]) for each in members] == [("local", "owner")]
    assert admin(server, "DELETE", f"/v1/organizations/{name}").status_code == 204
    absent = admin(server, "GET", f"/v1/organizations/{name}")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, 3100)


def test_members_come_and_go(server: Any) -> None:
    """201 when added, 200 when already one, 204 when removed or not one; 404 for who does not exist."""
    group, (user, key) = fresh("org"), user_with_key(server)
    admin(server, "POST", "/v1/organizations", {"org_name": group})
    place = f"/v1/organizations/{group}/members/{user}"
    assert server.request("GET", f"/v1/organizations/{group}", key).status_code == 403
    answers = [admin(server, verb, place) for verb in ("PUT", "PUT", "DELETE", "DELETE", "PUT")]
    assert [each.status_code for each in answers] == [201, 200, 204, 204, 201]
    assert all(each.content == b"" for each in answers)
    assert server.request("GET", f"/v1/organizations/{group}", key).status_code == 200
    assert admin(server, "PUT", f"/v1/organizations/{group}/members/nobody").status_code == 404
    own = admin(server, "POST", f"/v1/organizations/{group}/members/{user}/keys", {})
    assert (own.status_code, own.json()["username"]) == (201, user)


def test_listings_are_paged(server: Any) -> None:
    """Pages follow each other by marker and by link until both are null; each user comes once."""
    for _ in range(3):
        user_with_key(server)
    path, seen = "/v1/users?limit=2", []
    while True:
        page = admin(server, "GET", path).json()
        assert len(page["results"]) <= 2
        seen += [each["username"] for each in page["results"]]
        assert (page["marker"] is None) == (page["next_link"] is None)
        if page["next_link"] is None:
            break
        path = page["next_link"].removeprefix(server.address)
    assert len(seen) == len(set(seen)) >= 4
    wrong = admin(server, "GET", "/v1/users?limit=0")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 5003)
    wrong = admin(server, "GET", "/v1/users?marker=zzzz")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 5002)


def test_a_key_is_told_once(server: Any) -> None:
    """The reply to its creation holds the key; later listings only its mask and what it may."""
    name, key = user_with_key(server)
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
    name, key = user_with_key(server, allow_data_write=False, allow_algo_management=False)
    place = f"/v1/data/{name}"
    assert server.request("GET", place, key).status_code == 200
    assert server.request("POST", place, key, json={"name": "col"}).status_code == 403
    assert server.request("POST", f"/v1/algorithms/{name}", key, json={"name": "A"}).status_code == 403
    assert server.request("POST", f"/v1/users/{name}/keys", key, json={}).status_code == 403
    name, key = user_with_key(server, allow_data=False)
    assert server.request("GET", f"/v1/data/{name}", key).status_code == 403
    assert server.request("POST", f"/v1/data/{name}", key, json={"name": "col"}).status_code == 403


def test_a_key_for_one_algorithm_calls_that_one(server: Any, zoo: str) -> None:
    """The pattern may name it with or without a final star; all others are refused."""
    for pattern in (f"algo://{zoo}", f"algo://{zoo}/*", "algo://local/*", "algo://*"):
        _, key = user_with_key(server, algo_acl=[pattern])
        assert server.call(zoo, "you", key).status_code == 200, pattern
    for pattern in (f"algo://{zoo}2", "algo://local/Other/*", "algo://nobody/*"):
        _, key = user_with_key(server, algo_acl=[pattern])
        assert server.call(zoo, "you", key).status_code == 403, pattern


def test_a_restricted_key_sees_no_more_than_it_may_call(server: Any, zoo: str) -> None:
    """Errors, with the inputs in them, and replies of void calls stay with keys that may call what failed."""
    name, key = user_with_key(server)

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
    group = fresh("org")
    admin(server, "POST", "/v1/organizations", {"org_name": group})
    admin(server, "PUT", f"/v1/organizations/{group}/members/{name}")
    place = f"/v1/organizations/{group}/errors"
    asking_keys = (key, restricted(allow_algo_management=False))
    assert [server.request("GET", place, each).status_code for each in asking_keys] == [200, 403]


def test_a_key_is_limited_to_where_calls_come_from(server: Any, zoo: str) -> None:
    """Web pages, those of one host only, or everything but pages; what an algorithm calls is not asked."""

    def statuses(**rights: Any) -> list[int]:
        _, key = user_with_key(server, **rights)
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
    name, key = user_with_key(server, allow_algo=False, referer_host="a.org")
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
    name, key = user_with_key(server)
    asked = {"key_type": "PlatformAdminKey"}
    assert server.request("POST", f"/v1/users/{name}/keys", key, json=asked).status_code == 403
    made = admin(server, "POST", f"/v1/admin/users/{name}/keys", asked).json()
    assert made["key_type"] == "PlatformAdminKey"
    assert server.request("GET", "/v1/users", made["api_key"]).status_code == 200


# -- every endpoint × every kind of key ----------------------------------------------------------------

OPEN = {"/health", "/v1/insights", "/v1/algorithm-environments/edge/environment-specifications/{id}/template"}
"""What anybody may ask."""

ANY_KEY = {
    "/v1/scms",
    "/v1/scms/{scm}",
    "/v1/scms/{scm}/oauth/status",
    "/v1/scms/{scm}/oauth/revoke",
    "/v1/organization/types",
    "/v1/algorithm-environments/edge/languages",
    "/v1/algorithm-environments/edge/languages/{language}/environments",
    "/v1/secret-provider",
    "/v1/connector/{connector}",
    "/v1/data",
    "/v1/hostedData",
}
"""What tells a caller only about itself or about the platform."""


@dataclass(frozen=True)
class Endpoint:
    """One method of one route, filled with the names of things that the first account owns."""

    method: str
    route: str
    path: str


def endpoints() -> list[Endpoint]:
    """Every management and data endpoint that is served."""
    from types import SimpleNamespace
    from unittest.mock import MagicMock

    from starlette.routing import Route

    from wrapgen.platform.http import accounts, algorithms, connectors, data, environments, insights, scms

    platform: Any = SimpleNamespace(state=MagicMock())
    values = {
        "owner": "local",
        "name": "Guarded",
        "user": "local",
        "org": "guardedorg",
        "connector": "data",
        "key": "00000000-0000-0000-0000-000000000000",
        "scm": "internal",
        "language": "python3",
        "collection_id": "00000000-0000-0000-0000-000000000000",
    }
    found = []
    for module in (accounts, algorithms, connectors, data, environments, insights, scms):
        for route in module.routes(platform):
            assert isinstance(route, Route)
            path = route.path
            for name, value in values.items():
                path = path.replace("{" + name + "}", value)
            path = path.replace("{id:uuid}", "ALGORITHM")
            for method in sorted(route.methods or ()):
                own = {"POST": "local", "PATCH": "local/guarded"}.get(method, "local/guarded/file")
                found.append(Endpoint(method, route.path, path.replace("{path:path}", own)))
    return found


@pytest.fixture(scope="module")
def guarded(server: Any) -> dict[str, str]:
    """An algorithm, an organization and a private file of the first account; keys of all kinds."""
    made = server.request("POST", "/v1/algorithms/local", json={"name": "Guarded"})
    assert made.status_code == 201, made.text
    assert server.request("POST", "/v1/data/local", json={"name": "guarded", "acl": {"read": []}}).ok
    assert server.request("PUT", "/v1/data/local/guarded/file", data=b"x").ok
    assert admin(server, "POST", "/v1/organizations", {"org_name": "guardedorg"}).ok
    name, stranger = user_with_key(server)
    second = server.request("POST", f"/v1/users/{name}/keys", stranger, json={}).json()
    assert server.request("DELETE", f"/v1/users/{name}/keys/{second['id']}", stranger).status_code == 204
    return {"algorithm": made.json()["id"], "stranger": stranger, "revoked": second["api_key"]}


def ask(server: Any, endpoint: Endpoint, algorithm: str, key: str) -> requests.Response:
    path = endpoint.path.replace("ALGORITHM", algorithm)
    body = (
        None
        if endpoint.method in ("GET", "HEAD")
        else json.dumps({"name": "x", "acl": {"read": ["user://*"]}})
    )
    return server.request(endpoint.method, path, key, data=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize("endpoint", endpoints(), ids=lambda each: f"{each.method} {each.route}")
def test_nobody_gets_in_where_they_do_not_belong(
    server: Any, guarded: dict[str, str], endpoint: Endpoint
) -> None:
    """No key, a wrong and a revoked one get 401; a stranger and an admin key get 403 or 404."""
    for key in ("", "sim" + "x" * 25, guarded["revoked"], "Bearer a.b.c"):
        answer = ask(server, endpoint, guarded["algorithm"], key)
        if endpoint.route in OPEN:
            assert answer.status_code in (200, 400, 404)
            continue
        assert answer.status_code == 401, (key, answer.text)
        assert answer.headers["X-Error-Message"]
        if endpoint.method != "HEAD":
            assert answer.json()["error"]["message"]
    answer = ask(server, endpoint, guarded["algorithm"], guarded["stranger"])
    if endpoint.route in OPEN | ANY_KEY:
        assert answer.status_code < 500
    else:
        assert answer.status_code in (403, 404), answer.text
    domain = ("/v1/algorithms/", "/v1/data", "/v1/connector", "/v1/hostedData", "/v1/secret-provider")
    if endpoint.route.startswith(domain):
        answer = ask(server, endpoint, guarded["algorithm"], server.admin_key)
        assert answer.status_code == 403, answer.text


def test_after_the_matrix_everything_is_still_there(server: Any, guarded: dict[str, str]) -> None:
    """No refused request changed anything."""
    assert server.request("GET", f"/v1/algorithms/{guarded['algorithm']}").status_code == 200
    assert server.request("GET", "/v1/data/local/guarded/file").content == b"x"
    listing = server.request("GET", "/v1/data/local/guarded?acl=true").json()
    assert listing["acl"] == {"read": []}
    assert server.request("GET", "/v1/users/local/keys").status_code == 200
