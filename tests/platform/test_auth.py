"""Nobody in where they don't belong: every endpoint of the application, with every kind of wrong key.

The endpoints come from the application itself, so that a new one is tested as soon as it exists.
"""

from __future__ import annotations

import re

import pytest

from wrapgen.platform import open_platform
from wrapgen.platform.http.app import rest

OPEN = {
    "GET /",  # shows browsers to the web page
    "GET /health",
    "GET /v1/openapi.json",
    # The vendor's clients send these two without credentials (platform contract, section 8).
    "POST /v1/insights",
    "GET /v1/algorithm-environments/edge/environment-specifications/{id}/template",
}
"""Answered to everybody."""

ANYONE = {
    "GET /metrics",
    "GET /v1/algorithm-environments/edge/languages",
    "GET /v1/algorithm-environments/edge/languages/{language}/environments",
    "GET /v1/connector/{connector}",
    "GET /v1/data",
    "GET /v1/hostedData",
    "GET /v1/organization/types",
    "GET /v1/scms",
    "GET /v1/scms/{scm}",
    "GET /v1/scms/{scm}/oauth/status",
    "GET /v1/secret-provider",
    "POST /v1/scms/{scm}/oauth/revoke",
}
"""Answered to any valid key: about the platform, or about the caller's own things."""

FACTS = {
    "GET /v1/algorithms/{id}",
    "GET /v1/algorithms/{id}/versions",
    "GET /v1/algorithms/{owner}/{name}",
    "GET /v1/algorithms/{owner}/{name}/versions",
    "GET /v1/organizations/{org}",
    "GET /v1/organizations/{org}/members",
    "GET /v1/users/{user}",
    "GET /v1/users/{user}/algorithms",
    "GET /v1/users/{user}/errors",
}
"""What the account itself sees with any of its keys: permissions are about calls, data and managing."""

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


def endpoints():
    """`METHOD /path/{parameter}` of every route, calls included."""
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        platform = open_platform(Path(folder) / "home")
        found = {
            f"{method} {re.sub(r':[a-z]+}', '}', route.path)}"
            for route in rest(platform).routes
            for method in METHODS
            if method in route.methods
        }
        platform.close()
    return sorted(found | {"POST /v1/algo/{owner}/{name}", "POST /v1/algo/{owner}/{name}/{version}"})


ENDPOINTS = endpoints()


@pytest.fixture(scope="module")
def keys(server):
    """A key of each wrong kind."""
    admin = server.admin_key
    for name in ("stranger", "gone"):
        body = {"username": name, "email": f"{name}@example.org", "fullname": name}
        assert server.request("POST", "/v1/users", admin, json=body).status_code == 200

    def make(user, **body):
        made = server.request("POST", f"/v1/admin/users/{user}/keys", admin, json=body)
        assert made.status_code in (200, 201), made.text
        return made.json()["api_key"]

    nothing = {"allow_data": False, "allow_data_write": False, "allow_algo_management": False, "algo_acl": []}
    found = {
        "none": "",
        "wrong": "simWRONGWRONGWRONGWRONGWRONG",
        "revoked": make("gone"),
        "stranger": make("stranger"),
        "restricted": make("local", permissions=nothing),
    }
    assert server.request("DELETE", "/v1/users/gone", admin).status_code == 204
    return found


@pytest.fixture(scope="module")
def secret(server, zoo):
    """What the parameters of a path are filled with: private things of the first account."""
    body = {"settings": {"source_visibility": "closed", "license": "apl", "network_access": "full"}}
    body["settings"]["pipeline_enabled"] = True
    made = server.request("POST", "/v1/algorithms/local", json={"name": "Secret", "details": {}, **body})
    assert made.status_code == 201, made.text
    private = {"name": "secret", "acl": {"read": []}}
    assert server.request("POST", "/v1/data/local", json=private).status_code == 200
    assert server.request("PUT", "/v1/data/local/secret/file", data=b"mine").status_code == 200
    group = {"org_name": "acme", "org_label": "Acme", "org_email": "acme@example.org"}
    assert server.request("POST", "/v1/organizations", server.admin_key, json=group).status_code == 200
    nobody = "00000000-0000-4000-a000-000000000000"
    return {
        "owner": "local",
        "name": "Secret",
        "id": made.json()["id"],
        "path": "local/secret/file",
        "user": "local",
        "org": "acme",
        "connector": "data",
        "version": "0.1.0",
        "git_hash": "0" * 40,
        "collection_id": nobody,
        "build_id": nobody,
        "secret_id": nobody,
        "key": nobody,
        "external": nobody,
        "request_id": f"req-{nobody}",
        "scm": "internal",
        "language": "python3",
    }


def send(server, endpoint, key, values):
    """One request to an endpoint, with its parameters filled."""
    method, _, path = endpoint.partition(" ")
    path += "?service=git-upload-pack" if path.endswith("/info/refs") else ""
    return server.request(method, path.format(**values), key, json={}, allow_redirects=False)


@pytest.mark.parametrize("kind", ["none", "wrong", "revoked"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_without_a_valid_key(server, keys, secret, endpoint, kind):
    """No key, one that never was and one that was revoked: 401, before anything is looked up."""
    answer = send(server, endpoint, keys[kind], secret)
    if endpoint in OPEN:
        assert answer.status_code < 500
    else:
        assert answer.status_code == 401, answer.text


@pytest.mark.parametrize("kind", ["stranger", "restricted"])
@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_with_a_key_that_may_not(server, keys, secret, endpoint, kind):
    """Another account's key, and the owner's key without any permission, get nothing of the owner's."""
    answer = send(server, endpoint, keys[kind], secret)
    assert answer.status_code < 500, answer.text
    if endpoint not in OPEN | ANYONE and not (kind == "restricted" and endpoint in FACTS):
        assert answer.status_code >= 400, answer.text
        assert "mine" not in answer.text


@pytest.mark.parametrize("endpoint", [each for each in ENDPOINTS if "/v1/admin/" in each])
def test_admin_endpoints_refuse_standard_keys(server, secret, endpoint):
    """The first account's standard key is no admin key."""
    assert send(server, endpoint, server.key, secret).status_code == 403


@pytest.mark.parametrize(
    "endpoint", [each for each in ENDPOINTS if re.search("/v1/(algo|algorithms|data|connector)/", each)]
)
def test_ordinary_endpoints_refuse_admin_keys(server, secret, endpoint):
    """An admin key neither calls nor manages algorithms, and has no data."""
    assert send(server, endpoint, server.admin_key, secret).status_code in (401, 403)


@pytest.mark.parametrize("form", ["{}", "Simple {}", "simple {}", "Bearer {}"])
def test_each_form_of_the_header_is_taken(server, zoo, form):
    """The documented form, the Python client's bare key and the bearer form all mean the same key."""
    assert server.call(zoo, "you", key=form.format(server.key)).json()["result"] == "hello you"


def test_after_all_that_nothing_has_changed(server, secret, zoo):
    """The private things are still there, and still private."""
    assert server.request("GET", "/v1/data/local/secret/file").content == b"mine"
    assert server.request("GET", "/v1/algorithms/local/Secret").json()["id"] == secret["id"]
    assert server.request("GET", "/v1/users/local", server.admin_key).status_code == 200
    assert server.call(zoo, "you").json()["result"] == "hello you"
