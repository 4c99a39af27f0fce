"""What the vendor's API has that this platform takes differently, or not at all."""

from __future__ import annotations

import uuid
from typing import Any

import pytest


@pytest.mark.parametrize(
    ("method", "path", "instead"),
    [
        ("GET", "/v1/admin/usage/algorithms", "/metrics"),
        ("POST", "/v1/algorithms/local/Any/scm/webhook", "git"),
        ("POST", f"/v1/algorithms/{uuid.UUID(int=7)}/scm/webhook", "git"),
        ("GET", "/v1/users/local/event-listeners/1", "wrapgen worker sqs"),
        ("POST", "/v1/users/local/connectors", "PUT /v1/users/:user/connectors/:connector"),
        ("POST", "/v1/organization/types", "GET /v1/organization/types"),
        ("DELETE", "/v1/admin/invites/a%0d%0aX-Injected:%20yes", "POST /v1/users"),
        ("GET", "/v1/scms/internal/oauth/start", "git"),
    ],
)
def test_an_endpoint_of_the_vendor_that_is_missing(server: Any, method: str, path: str, instead: str) -> None:
    """501, the API's own number for it, and what to use instead; anything else is still 404."""
    answer = server.request(method, path)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (501, 5005)
    assert instead in error["message"] and error["message"] == answer.headers["X-Error-Message"]
    assert server.request(method, "/v1/admin/nothing").status_code == 404


@pytest.mark.parametrize("language", ["python3-1", "python3", "python-2", "Python3-langpack"])
def test_a_revision_of_a_language_is_that_language(server: Any, language: str) -> None:
    """`python3-1`, as the vendor's description of the API has it, is Python 3; so is a listing of it."""
    settings = {"settings": {"language": language, "environment": "cpu"}}
    body = {"name": f"Revision{uuid.uuid4().hex[:8]}", **settings}
    made = server.request("POST", "/v1/algorithms/local", json=body)
    assert made.status_code == 201, made.text
    plain = {**body, "name": f"Plain{uuid.uuid4().hex[:8]}", "settings": {"language": "python3"}}
    other = server.request("POST", "/v1/algorithms/local", json=plain).json()
    assert made.json()["settings"]["algorithm_environment"] == other["settings"]["algorithm_environment"]
    edge = "/v1/algorithm-environments/edge/languages/python3-1/environments"
    assert server.request("GET", edge).json()["environments"]


def test_a_name_may_be_long(server: Any) -> None:
    """The vendor limits the names of accounts and data, not those of algorithms."""
    name = f"L{uuid.uuid4().hex[:8]}" + "o" * 150
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    assert server.request("POST", f"/v1/algorithms/local/{name}/compile").status_code == 200
    assert server.request("POST", f"/v1/algorithms/local/{name}/versions", json={}).status_code == 200
    assert (
        server.request("POST", f"/v1/algo/local/{name}/0.1.0", json="Jane").json()["result"] == "hello Jane"
    )
    assert server.request("POST", "/v1/algorithms/local", json={"name": "n" * 201}).status_code == 400
