"""Odd requests of the data API, and what exactly they are told."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

PLACES = ("data/local", "connector/data/local", "connector/s3/bucket", "data/s3:%2F%2Fbucket")


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"])
@pytest.mark.parametrize(("sent", "named"), [("%0A", "U+000A"), ("%00", "U+0000"), ("%1F", "U+001F")])
def test_a_control_character_in_a_path_is_refused(server: Any, method: str, sent: str, named: str) -> None:
    """Each method says which one it was, under every spelling of a data path, whatever else there is."""
    places = [f"/v1/{place}/{name}" for place in PLACES for name in (f"a{sent}b", f"c/a{sent}", f"{sent}/f")]
    for place in (*places, f"/v1/connector/s3{sent}/bucket/f"):
        answer = server.request(method, place, json={"name": "x", "acl": {"read": []}})
        assert answer.status_code == 400, (place, answer.text)
        assert f"control character {named}" in answer.headers["X-Error-Message"], place
        assert method == "HEAD" or answer.json()["error"]["code"] == 2015


REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    *((method, "NAME", {}) for method in ("GET", "HEAD", "DELETE")),
    *((method, "NAME/f", {}) for method in ("GET", "HEAD", "DELETE")),
    ("GET", "NAME?acl=true", {}),
    ("DELETE", "NAME?force=true", {}),
    ("PUT", "NAME/f", {"data": b"x"}),
    ("PATCH", "NAME", {"json": {"acl": {"read": ["user://*"]}}}),
    ("POST", "", {"json": {"name": "NAME"}}),
]


@pytest.mark.parametrize("rights", [{}, {"allow_data_write": False}, {"allow_data": False}])
def test_nobody_learns_of_collections_that_they_may_not_read(server: Any, rights: dict[str, bool]) -> None:
    """One that is there and one that is not get the same answers, and so do the files in them."""
    shut, key = f"shut{uuid.uuid4().hex[:8]}", server.user("stranger", **rights)[1]
    assert server.request("POST", "/v1/data/local", json={"name": shut, "acl": {"read": []}}).ok
    assert server.request("PUT", f"/v1/data/local/{shut}/f", data=b"x").ok

    def answers(name: str) -> list[Any]:
        found = []
        for method, place, body in REQUESTS:
            given = {"json": {"name": name}} if method == "POST" else body
            got = server.request(method, f"/v1/data/local/{place.replace('NAME', name)}", key, **given)
            told = [each.replace(name, "NAME") for each in (got.text, got.headers["X-Error-Message"])]
            found.append((method, place, got.status_code, told))
        return found

    there = answers(shut)
    assert there == answers("gone" + shut[4:])
    hidden = 403 if rights.get("allow_data") is False else 404
    assert {status for method, _, status, _ in there if method == "GET"} == {hidden}
    assert server.request("GET", f"/v1/data/local/{shut}/f").content == b"x"


@pytest.mark.parametrize(
    "place", ["/v1/d%61ta/.my", "/v1%2Fdata/.my", "/v1/data%2F.my", "/v1/c%6Fnnector/data/.my"]
)
def test_an_encoded_address_means_the_same(server: Any, place: str) -> None:
    """Letters and slashes ahead of the data path may be encoded too."""
    assert server.request("GET", place).json() == server.request("GET", "/v1/data/.my").json()
