"""Nobody in where they don't belong: every endpoint, with every kind of key, on things that are there.

The endpoints are those of the published OpenAPI document and git's: a new one fails here until ENTRIES says
who may use it. In each test the wrong keys come first, and the right one last: that it succeeds, with the
same request, shows that the refusals were about the key.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from wrapgen.platform import open_platform
from wrapgen.platform.api import app, git
from wrapgen.platform.api.openapi import document

FLUSH = b"0000"
"""The shortest request of git's protocol."""


@dataclass(frozen=True)
class Entry:
    """Who may use an endpoint, and a request to it that succeeds.

    Args:
        who: `everybody`, `anyone` with a key, the `owner` with a standard key, the owner or the admin of an
            `account`, an `admin`, or `nobody`, since there is nothing to do there.
        body: bytes, or what becomes JSON; `{words}` in its texts are filled like those of the path.
        fresh: the method of `World` that makes what the request uses up, or needs.
        restricted: whether the owner's key without any permission does too: permissions are about calls, data
            and managing, not about an account's own facts.
        words: instead of the path's parameters of other names.
    """

    who: str = "owner"
    body: Any = None
    fresh: str = ""
    restricted: bool = False
    words: dict[str, str] = field(default_factory=dict)


FACT = Entry("account", restricted=True)
IN_ALGORITHM = {
    "POST /compile": Entry(body={}, fresh="algorithm"),
    "POST /versions": Entry(body={}, fresh="built"),
    "POST /version": Entry(body={}, fresh="built"),
    "GET /versions": Entry(restricted=True),
    "GET /versions/{git_hash}": Entry(restricted=True),
    "POST /versions/{git_hash}/load": Entry(body={}),
    "GET /builds": Entry(),
    "GET /builds/{build_id}": Entry(),
    "GET /builds/{build_id}/logs": Entry(),
    "GET /scm/status": Entry(),
    "GET /errors": Entry(),
    "GET /log": Entry(),
    "POST /collections/{collection_id}": Entry(body={}),
    "GET /secrets": Entry(),
    "POST /secrets": Entry(
        body={"short_name": "s", "secret_key": "{new}", "secret_value": "x"}, fresh="another"
    ),
    "PUT /secrets/{secret_id}": Entry(body={"short_name": "{hush}"}),
    "DELETE /secrets/{secret_id}": Entry(fresh="secret"),
    "GET ": Entry(restricted=True),
    "PUT ": Entry(body={"details": {"label": "{hush}"}}),
    "DELETE ": Entry(fresh="algorithm"),
}
ON_FILES = {
    "HEAD": Entry(),
    "GET": Entry(),
    "PUT": Entry(body=b"{hush}"),
    "POST": Entry(body={"name": "{new}"}, fresh="another", words={"path": "owner"}),
    "PATCH": Entry(body={"acl": {"read": []}}, words={"path": "collection"}),
    "DELETE": Entry(fresh="data"),
}
CALL = Entry("anyone", body="you", words={"id": "public_id", "owner/name": "public"})
GIT, VERSION = "/git/{owner}/{name}.git", "/git/{owner}/{name}/{version}.git"

ENTRIES = {
    "GET /health": Entry("everybody"),
    "GET /v1/openapi.json": Entry("everybody"),
    "POST /v1/insights": Entry("everybody", body=[]),
    "GET /v1/algorithm-environments/edge/environment-specifications/{id}/template": Entry(
        "everybody", words={"id": "specification"}
    ),
    **{
        f"GET {path}": Entry("anyone", restricted=True)
        for path in (
            "/metrics",
            "/v1/algorithm-environments/edge/languages",
            "/v1/algorithm-environments/edge/languages/{language}/environments",
            "/v1/organization/types",
            "/v1/scms",
            "/v1/scms/{scm}",
            "/v1/scms/{scm}/oauth/status",
        )
    },
    "POST /v1/scms/{scm}/oauth/revoke": Entry("anyone", body={}, restricted=True),
    "GET /v1/secret-provider": Entry("anyone", restricted=True),
    "GET /v1/hostedData": Entry("anyone"),
    **{
        f"{verb} {place}": Entry("anyone", restricted=True)
        if verb in ("GET", "HEAD")
        else Entry("nobody", body={})
        for place in ("/v1/data", "/v1/connector/{connector}")
        for verb in ON_FILES
    },
    **{f"{verb} /v1/data/{{path}}": entry for verb, entry in ON_FILES.items()},
    **{f"{verb} /v1/connector/{{connector}}/{{path}}": entry for verb, entry in ON_FILES.items()},
    "POST /v1/algo/{id}": CALL,
    "POST /v1/algo/{owner}/{name}": CALL,
    "POST /v1/algo/{owner}/{name}/{version}": Entry(body="you"),
    "GET /v1/requests/{request_id}": Entry(),
    "POST /v1/algorithms/{owner}": Entry(body={"name": "{new}"}, fresh="another"),
    **{
        f"{verb} {place}{rest}": entry
        for place in ("/v1/algorithms/{owner}/{name}", "/v1/algorithms/{id}")
        for (verb, _, rest), entry in ((words.partition(" "), entry) for words, entry in IN_ALGORITHM.items())
    },
    "POST /v1/users": Entry("admin", body={"username": "{new}", "email": "{new}@x.org"}, fresh="another"),
    "GET /v1/users": Entry("admin"),
    "GET /v1/users/{user}": FACT,
    "PUT /v1/users/{user}": Entry("admin", body={"fullname": "{hush}"}),
    "DELETE /v1/users/{user}": Entry("admin", fresh="user"),
    "GET /v1/users/{user}/errors": FACT,
    "GET /v1/users/{user}/algorithms": FACT,
    "GET /v1/users/{user}/keys": Entry("account"),
    "POST /v1/users/{user}/keys": Entry("account", body={}),
    "DELETE /v1/users/{user}/keys/{key}": Entry("account", fresh="api_key"),
    "POST /v1/admin/users/{user}/keys": Entry("admin", body={}),
    "POST /v1/organizations": Entry("admin", body={"org_name": "{new}"}, fresh="another"),
    "GET /v1/organizations": Entry("admin"),
    "GET /v1/organizations/externalId/{external}": Entry("admin"),
    "GET /v1/organizations/{org}": FACT,
    "PUT /v1/organizations/{org}": Entry("admin", body={"org_label": "{hush}"}),
    "DELETE /v1/organizations/{org}": Entry("admin", fresh="organization"),
    "GET /v1/organizations/{org}/errors": Entry("account"),
    "GET /v1/organizations/{org}/members": FACT,
    "PUT /v1/organizations/{org}/members/{user}": Entry("admin"),
    "DELETE /v1/organizations/{org}/members/{user}": Entry("admin", fresh="organization"),
    "POST /v1/organizations/{org}/members/{user}/keys": Entry("admin", body={}),
    "GET /v1/organizations/{org}/keys": Entry("account"),
    "POST /v1/organizations/{org}/keys": Entry("account", body={}),
    "DELETE /v1/organizations/{org}/keys/{key}": Entry("account", fresh="organizations_key"),
    "POST /v1/admin/scms": Entry("admin", body={"provider": "github", "name": "{new}"}, fresh="another"),
    "PATCH /v1/admin/scms/{scm}": Entry("admin", body={"enabled": True}, fresh="scm"),
    "DELETE /v1/admin/scms/{scm}": Entry("admin", fresh="scm"),
    "POST /v1/admin/scms/{scm}/default": Entry("admin"),
    "GET /v1/admin/users/{user}/connectors": Entry("admin"),
    "PUT /v1/admin/users/{user}/connectors/{connector}": Entry(
        "admin", body={"bucket": "b", "access_key_id": "i", "secret_access_key": "s"}, fresh="storage"
    ),
    "DELETE /v1/admin/users/{user}/connectors/{connector}": Entry("admin", fresh="storage"),
    "GET /v1/admin/faults": Entry("admin"),
    "PUT /v1/admin/faults": Entry("admin", body=[]),
    "DELETE /v1/admin/faults": Entry("admin"),
    f"GET {GIT}/info/refs": Entry(),
    f"POST {GIT}/git-upload-pack": Entry(body=FLUSH),
    f"POST {GIT}/git-receive-pack": Entry(body=FLUSH),
    f"GET {VERSION}/info/refs": Entry(),
    f"POST {VERSION}/git-upload-pack": Entry(body=FLUSH),
}


def endpoints() -> Iterator[str]:
    """`METHOD /path/{parameter}` of every endpoint that is published, and of git's."""
    with tempfile.TemporaryDirectory() as folder:
        platform = open_platform(Path(folder) / "home")
        published, routes = document(app.endpoints(platform)), git.routes(platform)
        platform.close()
    for path, operations in published["paths"].items():
        yield from (f"{method.upper()} {path}" for method in operations)
    for route in routes:
        yield from (f"{method} {route.path}" for method in sorted((route.methods or set()) - {"HEAD"}))


ENDPOINTS = sorted(endpoints())


def filled(value: Any, values: dict[str, str]) -> Any:
    """A body whose words are filled."""
    if isinstance(value, dict):
        return {name: filled(each, values) for name, each in value.items()}
    if isinstance(value, bytes):
        return value.decode().format(**values).encode()
    return value.format(**values) if isinstance(value, str) else value


def send(world: Any, endpoint: str, kind: str, values: dict[str, str]) -> requests.Response:
    """The endpoint's request, on what is there, with a key of some kind."""
    entry, (method, _, path) = ENTRIES[endpoint], endpoint.partition(" ")
    for name, other in entry.words.items():
        place = "{" + name.replace("/", "}/{") + "}"
        path = path.replace(place, values[other])
    path = path.format(**values) + ("?service=git-upload-pack" if path.endswith("/info/refs") else "")
    body = filled(entry.body, values)
    given: dict[str, Any] = {"data" if isinstance(body, bytes) else "json": body}
    if not path.startswith("/git/"):
        return world.server.request(method, path, world.keys[kind], allow_redirects=False, **given)  # type: ignore[no-any-return]
    name = {"gone": world.gone, "stranger": world.stranger}.get(kind, world.owner)
    given["auth"] = None if kind == "none" else (name, world.keys[kind])
    kinds = {"Content-Type": f"application/x-{path.rpartition('/')[2]}-request"} if method == "POST" else {}
    return requests.request(method, world.server.address + path, headers=kinds, timeout=60, **given)


def expected(endpoint: str, kind: str) -> set[int]:
    """The statuses that a kind of key may get; 403 or 404 for what is another's is open but for data."""
    entry, refused = ENTRIES[endpoint], {403}
    if entry.who == "everybody":
        return DONE
    if kind in ("none", "wrong", "revoked", "gone") or (
        "/git/" in endpoint and kind in ("admin", "algorithm")
    ):
        return {401}
    if kind == "algorithm" and entry.who != "nobody":
        lent = endpoint.partition(" ")[2].startswith(LENT)
        return DONE if lent else {403, 404} | (DONE if entry.who == "anyone" else set())
    if kind == "elsewhere":
        return refused
    if entry.who == "nobody":
        return {400, 403}
    welcome = {
        "anyone": {"owner", "stranger"},
        "owner": {"owner"},
        "account": {"owner", "admin"},
        "admin": {"admin"},
    }[entry.who]
    if kind in welcome or (kind == "restricted" and entry.restricted):
        return DONE
    if entry.who == "anyone" and kind == "admin":
        return {*DONE, 403}
    if endpoint.endswith("/{path}") and entry.words.get("path") != "owner":
        return {404} if kind == "stranger" else refused
    return {403, 404} if kind in ("stranger", "restricted") else refused


DONE = set(range(200, 300))
REFUSED = ("none", "wrong", "revoked", "gone", "elsewhere", "stranger", "restricted", "algorithm")
LENT = ("/v1/algo/", "/v1/data", "/v1/connector", "/v1/hostedData")
"""Where a running algorithm is its caller: calls and data."""


def test_every_endpoint_has_an_entry() -> None:
    """What is published and what is tested are the same."""
    assert sorted(ENTRIES) == ENDPOINTS


def check_reply(published: dict[str, Any], endpoint: str, answer: requests.Response) -> None:
    """What an endpoint answers is what the document says: each field of its type, and no other one."""
    method, _, path = endpoint.partition(" ")
    if path.startswith("/git/"):
        return
    responses = published["paths"][path][method.lower()]["responses"]
    schema = (
        responses[f"{answer.status_code // 100}XX"]
        .get("content", {})
        .get("application/json", {})
        .get("schema")
    )
    if schema is not None:
        jsonschema.validate(answer.json(), {**schema, "components": published["components"]})
        if "$ref" in schema:
            known = published["components"]["schemas"][schema["$ref"].rpartition("/")[2]]["properties"]
            assert set(answer.json()) <= set(known)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_who_may_use_it(world: Any, endpoint: str) -> None:
    """Each wrong key is refused, learns nothing and changes nothing; then the right one succeeds."""
    entry = ENTRIES[endpoint]
    values = {**world.values, **(getattr(world, entry.fresh)() if entry.fresh else {})}
    last = "admin" if entry.who == "admin" else "owner"
    for kind in (*REFUSED, "owner" if last == "admin" else "admin", last):
        if (kind == "admin" and entry.who == "account") or (kind == "algorithm" and "/{path}" in endpoint):
            continue  # it may, and the owner needs what it would use up
        answer = send(world, endpoint, kind, values)
        assert answer.status_code in expected(endpoint, kind), (kind, answer.status_code, answer.text)
        if kind != last and not (kind == "restricted" and entry.restricted):
            assert world.hush not in answer.text, kind
        if kind == "stranger":
            assert world.owner not in answer.text or answer.status_code not in DONE
        if answer.status_code >= 400 and "/git/" not in endpoint:
            assert answer.headers["X-Error-Message"], kind
            assert endpoint.startswith("HEAD") or answer.json()["error"], kind
        if answer.headers.get("Content-Type") == "application/json" and answer.content:
            check_reply(world.document, endpoint, answer)


@pytest.mark.parametrize("form", ["{}", "Simple {}", "simple {}", "Bearer {}", "  Simple   {}  "])
def test_each_form_of_the_header_is_taken(server: Any, zoo: str, form: str) -> None:
    """The documented form, the Python client's bare key and the bearer form all mean the same key."""
    assert server.call(zoo, "you", key=form.format(server.key).strip()).json()["result"] == "hello you"


def test_after_all_that_nothing_has_changed(world: Any) -> None:
    """The private things are still there, and still private."""
    answer = world.server.request("GET", f"/v1/data/{world.values['path']}", world.keys["owner"])
    assert answer.text == world.hush
    listing = world.made("GET", f"/v1/data/{world.values['collection']}?acl=true")
    assert listing["acl"] == {"read": []}
    assert world.made("GET", f"/v1/algorithms/{world.owner}/Secret")["id"] == world.values["id"]
    members = world.made("GET", f"/v1/organizations/{world.values['org']}/members")["results"]
    assert {each["username"] for each in members} == {"local", world.owner}
