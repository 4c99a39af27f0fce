"""Users, organizations and members over HTTP."""

from __future__ import annotations

import itertools
import uuid
from typing import Any

COUNTER = itertools.count()


def fresh(prefix: str) -> str:
    """A name no other test has."""
    return f"{prefix}{next(COUNTER)}x{uuid.uuid4().hex[:8]}"


def test_a_users_life(server: Any) -> None:
    """Created, read by name and id, changed, listed, deleted; the documented fields and statuses."""
    name = fresh("jane")
    made = server.admin(
        "POST", "/v1/users", {"username": name, "email": f"{name}@x.org", "passwordHash": "x"}
    )
    assert made.status_code == 200
    user = made.json()
    assert user["resource_type"] == "user"
    assert user["self_link"].endswith(f"/v1/users/{name}")
    for reference in (name, name.upper(), user["id"]):
        assert server.admin("GET", f"/v1/users/{reference}").json() == user
    changed = server.admin("PUT", f"/v1/users/{name}", {**user, "fullname": "Jane Roe"})
    assert (changed.status_code, changed.json()["fullname"]) == (200, "Jane Roe")
    wrong = server.admin("PUT", f"/v1/users/{name}", {"username": "another"})
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 3007)
    taken = server.admin("POST", "/v1/users", {"username": name.upper(), "email": "other@x.org"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3003)
    missing = server.admin("POST", "/v1/users", {"username": "x"})
    assert (missing.status_code, missing.json()["error"]["code"]) == (400, 3005)
    gone = server.admin("DELETE", f"/v1/users/{name}")
    assert (gone.status_code, gone.reason, gone.content) == (204, "No Content", b"")
    absent = server.admin("GET", f"/v1/users/{name}")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, 3000)


def test_an_organizations_life(server: Any) -> None:
    """Created by type name or id, changed with foreign fields, found by external id, deleted."""
    types = server.request("GET", "/v1/organization/types", server.admin_key).json()
    assert [each["name"] for each in types] == ["basic", "legacy", "pro"]
    name, external = fresh("org"), fresh("ext")
    body = {"org_name": name, "type_id": types[0]["id"], "external_id": external, "org_label": "Label"}
    made = server.admin("POST", "/v1/organizations", body)
    assert made.status_code == 200
    assert {key: made.json()[key] for key in body} == body
    taken = server.admin("POST", "/v1/organizations", {"org_name": name})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3101)
    changed = server.admin(
        "PUT",
        f"/v1/organizations/{name}",
        {"id": "x", "org_name": "y", "org_label": "New", "foreign": 1},
    )
    assert (changed.status_code, changed.content) == (204, b"")
    found = server.admin("GET", f"/v1/organizations/externalId/{external}").json()
    assert (found["org_name"], found["org_label"], found["id"]) == (name, "New", made.json()["id"])
    members = server.admin("GET", f"/v1/organizations/{name}/members").json()["results"]
    assert [(each["username"], each["role"]) for each in members] == [("local", "owner")]
    assert server.admin("DELETE", f"/v1/organizations/{name}").status_code == 204
    absent = server.admin("GET", f"/v1/organizations/{name}")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, 3100)


def test_members_come_and_go(server: Any) -> None:
    """201 when added, 200 when already one, 204 when removed or not one; 404 for who does not exist."""
    group, (user, key) = fresh("org"), server.user()
    server.admin("POST", "/v1/organizations", {"org_name": group})
    place = f"/v1/organizations/{group}/members/{user}"
    assert server.request("GET", f"/v1/organizations/{group}", key).status_code == 403
    answers = [server.admin(verb, place) for verb in ("PUT", "PUT", "DELETE", "DELETE", "PUT")]
    assert [each.status_code for each in answers] == [201, 200, 204, 204, 201]
    assert all(each.content == b"" for each in answers)
    assert server.request("GET", f"/v1/organizations/{group}", key).status_code == 200
    assert server.admin("PUT", f"/v1/organizations/{group}/members/nobody").status_code == 404
    own = server.admin("POST", f"/v1/organizations/{group}/members/{user}/keys", {})
    assert (own.status_code, own.json()["username"]) == (201, user)


def test_listings_are_paged(server: Any) -> None:
    """Pages follow each other by marker and by link until both are null; each user comes once."""
    for _ in range(3):
        server.user()
    path, seen = "/v1/users?limit=2", []
    while True:
        page = server.admin("GET", path).json()
        assert len(page["results"]) <= 2
        seen += [each["username"] for each in page["results"]]
        assert (page["marker"] is None) == (page["next_link"] is None)
        if page["next_link"] is None:
            break
        path = page["next_link"].removeprefix(server.address)
    assert len(seen) == len(set(seen)) >= 4
    wrong = server.admin("GET", "/v1/users?limit=0")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 5003)
    wrong = server.admin("GET", "/v1/users?marker=zzzz")
    assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, 5002)


def test_updates_keep_to_the_rules_of_creation(server: Any) -> None:
    """Addresses and external ids are unique, types are known ones; an empty address says nothing."""
    (name, _), (other, _) = server.user(), server.user()
    address = f"{other.upper()}@EXAMPLE.org"
    taken = server.admin("PUT", f"/v1/users/{name}", {"email": address})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3004)
    kept = server.admin("PUT", f"/v1/users/{name}", {"email": "", "fullname": "Jane"}).json()
    assert (kept["email"], kept["fullname"]) == (f"{name}@example.org", "Jane")
    groups = [fresh("org"), fresh("org")]
    for group in groups:
        made = server.admin("POST", "/v1/organizations", {"org_name": group, "external_id": f"x{group}"})
        assert made.status_code == 200
    place = f"/v1/organizations/{groups[0]}"
    taken = server.admin("PUT", place, {"external_id": f"x{groups[1]}"})
    assert (taken.status_code, taken.json()["error"]["code"]) == (409, 3101)
    for method, path in (("PUT", place), ("POST", "/v1/organizations")):
        unknown = server.admin(method, path, {"org_name": fresh("org"), "type_id": "none"})
        assert (unknown.status_code, unknown.json()["error"]["code"]) == (400, 3103)
    assert server.admin("PUT", place, {"type_id": "pro"}).status_code == 204
    types = server.request("GET", "/v1/organization/types", server.admin_key).json()
    assert server.admin("GET", place).json()["type_id"] == types[2]["id"]
