"""What the vendor's Node and Java clients put on the wire, request by request, named after their sources.

The clients themselves are not at hand here; each request is written as the platform contract describes it.
"""

from __future__ import annotations

import http.client
import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus


@dataclass(frozen=True)
class Answer:
    """Status, reason, headers and body as they came."""

    status: int
    reason: str
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


def send(platform: Any, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """One request whose target is sent exactly as given."""
    host, _, port = platform.address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body, named)
        response = connection.getresponse()
        return Answer(response.status, response.reason, response.headers, response.read())
    finally:
        connection.close()


def node(platform: Any, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """Node: `Simple KEY`, and headers left over from an earlier request (nodejs, src/HttpClient.ts)."""
    stale = {"Content_Type": "application/json", "Accept": "application/json"}
    return send(
        platform, method, target, body, Authorization=f"Simple {platform.key}", **{**stale, **headers}
    )


def java(platform: Any, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
    """Java: `Simple KEY`, paths encoded as form fields (java, data/DataObject.java)."""
    return send(platform, method, target, body, Authorization=f"Simple {platform.key}", **headers)


def test_node_data_directory(platform: Any) -> None:
    """DataDir.create posts the bare name as text; exists is a HEAD; iteration sends stale headers."""
    name = f"n{uuid.uuid4().hex[:8]}"
    made = node(platform, "POST", "/v1/data/.my", name.encode(), Content_Type="text/plain")
    assert (made.status, made.body) == (200, f'{{"result":"data://local/{name}"}}'.encode())
    head = node(platform, "HEAD", f"/v1/data/.my/{name}")
    assert (head.status, head.headers["X-Data-Type"], head.body) == (200, "directory", b"")
    assert node(platform, "HEAD", f"/v1/data/.my/{name}x").status == 404
    listing = node(platform, "GET", f"/v1/data/.my/{name}?acl=true")
    assert listing.json() == {"acl": {"read": ["algo://.my/*"]}}
    assert node(platform, "DELETE", f"/v1/data/.my/{name}?force=true").json() == {"result": {"deleted": 1}}


def test_node_data_file(platform: Any) -> None:
    """DataFile.put labels everything as JSON; the bytes come back unchanged."""
    name = f"n{uuid.uuid4().hex[:8]}"
    node(platform, "POST", "/v1/data/.my", name.encode(), Content_Type="text/plain")
    content = b"\x00not json\xff"
    assert node(platform, "PUT", f"/v1/data/.my/{name}/f", content).status == 200
    assert node(platform, "GET", f"/v1/data/.my/{name}/f").body == content
    missing = node(platform, "HEAD", f"/v1/data/.my/{name}/none")
    assert (missing.status, "not found" in missing.headers["X-Error-Message"]) == (404, True)


def test_node_algorithm_management(platform: Any) -> None:
    """createAlgorithm, compile, publish at the singular address, listings with limit=50, as compact text."""
    name = f"N{uuid.uuid4().hex[:8]}"
    settings = {
        "source_visibility": "closed",
        "license": "apl",
        "network_access": "full",
        "pipeline_enabled": True,
        "package_set": "python39",
    }
    environments = node(
        platform, "GET", "/v1/algorithm-environments/edge/languages/python3/environments"
    ).json()
    settings["package_set"] = environments["environments"][-1]["id"]
    body = json.dumps({"name": name, "details": {"label": name}, "settings": settings}, indent=2).encode()
    made = node(platform, "POST", "/v1/algorithms/local", body)
    assert (made.status, b'": ' in made.body) == (201, False)
    place = f"/v1/algorithms/local/{name}"
    assert node(platform, "POST", f"{place}/compile", b"{}").json()["compilation"]["successful"] is True
    released = node(platform, "POST", f"{place}/version", b"{}").json()
    assert released["version_info"]["semantic_version"] == "0.1.0"
    versions = node(platform, "GET", f"{place}/versions?limit=50&published=true&callable=false").json()
    assert [each["version_info"]["semantic_version"] for each in versions["results"]] == ["0.1.0"]
    builds = node(platform, "GET", f"{place}/builds?limit=50").json()
    assert (len(builds["results"]), builds["marker"]) == (1, None)
    build = builds["results"][0]["build_id"]
    assert "build succeeded" in node(platform, "GET", f"{place}/builds/{build}/logs").json()["logs"]
    assert node(platform, "GET", f"{place}/scm/status").body == b'{"scm_connection_status":"active"}'
    assert node(platform, "GET", f"{place}/errors").body == b"[]"
    assert node(platform, "DELETE", place).status == 204


def test_java_paths_are_encoded_whole(platform: Any) -> None:
    """Slashes as %2F and spaces as +; a plus itself as %2B (java, data/DataObject.java)."""
    name = f"j{uuid.uuid4().hex[:8]}"
    made = java(platform, "POST", "/v1/data/.my", json.dumps({"name": name}).encode())
    assert made.json() == {"result": f"data://local/{name}"}
    path = quote_plus(f".my/{name}/a b+c ü.txt")
    assert "%2F" in path
    assert "+" in path
    assert java(platform, "PUT", f"/v1/data/{path}", b"x").json()["result"].endswith("/a b+c ü.txt")
    assert java(platform, "GET", f"/v1/data/{path}").body == b"x"
    assert java(platform, "HEAD", f"/v1/data/{path}").status == 200
    listing = java(platform, "GET", f"/v1/data/{quote_plus(f'.my/{name}')}").json()
    assert [each["filename"] for each in listing["files"]] == ["a b+c ü.txt"]
    assert "marker" not in listing
    assert java(platform, "DELETE", f"/v1/data/{path}").json() == {"result": {"deleted": 1}}
    assert java(platform, "GET", f"/v1/data/{quote_plus(f'.my/{name}')}").body == b"{}"
    other = java(platform, "GET", f"/v1/data/{quote_plus('s3://bucket/file')}")
    assert (other.status, "message" in other.json()["error"]) == (404, True)


def test_java_uploads_of_unknown_length(platform: Any) -> None:
    """DataFile.put of a stream is chunked."""
    name = f"j{uuid.uuid4().hex[:8]}"
    java(platform, "POST", "/v1/data/.my", json.dumps({"name": name}).encode())
    host, _, port = platform.address.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=60)
    headers = {"Authorization": f"Simple {platform.key}", "Content-Type": "application/octet-stream"}
    pieces = (bytes([number]) * 10_000 for number in range(100))
    connection.request("PUT", f"/v1/data/{quote_plus(f'.my/{name}/s')}", pieces, headers, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, json.loads(response.read())["result"]) == (200, f"data://local/{name}/s")
    connection.close()
    assert len(java(platform, "GET", f"/v1/data/.my/{name}/s").body) == 1_000_000


def test_java_permissions(platform: Any) -> None:
    """updatePermissions patches the ACL; reading it back asks with acl=true."""
    name = f"j{uuid.uuid4().hex[:8]}"
    java(platform, "POST", "/v1/data/.my", json.dumps({"name": name, "acl": {"read": []}}).encode())
    place = f"/v1/data/{quote_plus(f'.my/{name}')}"
    assert java(platform, "GET", f"{place}?acl=true").json()["acl"] == {"read": []}
    assert java(platform, "PATCH", place, b'{"acl":{"read":["user://*"]}}').status == 200
    assert java(platform, "GET", f"{place}?acl=true").json()["acl"] == {"read": ["user://*"]}


def test_java_sends_whole_objects_back(platform: Any, hello: str) -> None:
    """updateAlgorithm serializes its whole model, without nulls: fields that are not settable are ignored."""
    place = "/v1/algorithms/local/Hello"
    whole = java(platform, "GET", place).json()
    whole["details"]["summary"] = "from Java"
    changed = java(platform, "PUT", place, json.dumps(whole).encode(), Content_Type="application/json")
    assert (changed.status, changed.json()["details"]["summary"]) == (200, "from Java")
    assert changed.json()["id"] == whole["id"]


def test_java_errors_have_an_object_with_a_message(platform: Any) -> None:
    """Where it parses an error body it wants an object; the message is in a header too."""
    for method, target in (("GET", "/v1/data/local/none"), ("POST", "/v1/algorithms/local/None/compile")):
        answer = java(platform, method, target)
        assert answer.status == 404
        assert answer.json()["error"]["message"]
        assert answer.headers["X-Error-Message"]


def test_java_users_and_organizations(platform: Any) -> None:
    """The admin calls: types first, then the object with the type's id; members by PUT without a body."""
    name, user = f"j{uuid.uuid4().hex[:8]}", f"u{uuid.uuid4().hex[:8]}"

    def admin(method: str, target: str, value: Any = None) -> Answer:
        body = b"" if value is None else json.dumps(value).encode()
        return send(platform, method, target, body, Authorization=f"Simple {platform.admin_key}")

    types = {each["name"]: each["id"] for each in admin("GET", "/v1/organization/types").json()}
    made = admin(
        "POST", "/v1/organizations", {"org_name": name, "type_id": types["pro"], "resource_type": "x"}
    )
    assert made.json()["type_id"] == types["pro"]
    assert (
        admin("POST", "/v1/users", {"username": user, "email": f"{user}@x.org", "fullname": "U"}).status
        == 200
    )
    assert admin("PUT", f"/v1/organizations/{name}/members/{user}").status == 201
    member = admin("GET", f"/v1/organizations/{name}/members?limit=50").json()["results"][-1]
    assert (member["username"], member["role"], member["resource_type"]) == (
        user,
        "member",
        "organization_member",
    )
    gone = admin("DELETE", f"/v1/organizations/{name}/members/{user}")
    assert (gone.status, gone.reason, gone.body) == (204, "No Content", b"")


def test_documented_bearer_requests(platform: Any, hello: str) -> None:
    """`Authorization: Bearer KEY`, as the documents show it for environments and error logs."""
    bearer = {"Authorization": f"Bearer {platform.key}"}
    assert send(platform, "GET", "/v1/algorithm-environments/edge/languages", **bearer).status == 200
    assert send(platform, "GET", "/v1/algorithms/local/Hello/errors", **bearer).status == 200


def test_node_calls(platform: Any, hello: str) -> None:
    """pipe always sends all three options behind a slash, raw unless told otherwise; a scheme stays in place
    (nodejs, src/AlgorithmExecutable.ts)."""
    text = {"Content_Type": "text/plain"}
    for path in ("local/Hello/", "local/Hello/0.1.0/", "algo://local/Hello/0.1.0/"):
        raw = node(platform, "POST", f"/v1/algo/{path}?timeout=300&stdout=false&output=raw", b"you", **text)
        assert (raw.status, raw.body) == (200, b"hello you")
    place = f"/v1/algo/{hello}/"
    whole = node(platform, "POST", f"{place}?timeout=3000&stdout=true&output=default", b"you", **text).json()
    assert (whole["result"], whole["metadata"]["stdout"]) == ("hello you", "")
    quiet = node(platform, "POST", f"{place}?timeout=10&stdout=false&output=default", b"you", **text).json()
    assert set(quiet["metadata"]) == {"content_type", "duration"}
    void = node(platform, "POST", f"{place}?timeout=10&stdout=false&output=void", b"you", **text).json()
    assert (void["async"], void["request_id"][:4]) == ("void", "req-")
    pretty = json.dumps("you", indent=2).encode()
    sent = node(platform, "POST", f"{place}?timeout=300&stdout=false&output=raw", pretty)
    assert (sent.status, sent.body) == (200, b"hello you")
    missing = node(
        platform, "POST", "/v1/algo/local/None/?timeout=300&stdout=false&output=raw", b"you", **text
    )
    assert (missing.status, b"not found" in missing.body) == (404, True)
    late = node(platform, "POST", f"{place}?timeout=3001&stdout=false&output=raw", b"you", **text)
    assert late.status == 400


def test_java_calls(platform: Any, hello: str) -> None:
    """setTimeout, setStdout and setOutputType, which can say `default`; entities with a charset
    (java, algo/AlgorithmExecutable.java)."""
    place, kind = f"/v1/algo/{hello}", {"Content_Type": "text/plain; charset=UTF-8"}
    plain = java(platform, "POST", place, "wörld".encode(), **kind).json()
    assert (plain["result"], plain["metadata"]["content_type"]) == ("hello wörld", "text")
    assert isinstance(plain["metadata"]["duration"], float)
    assert "stdout" not in plain["metadata"]
    options = f"{place}?output=default&stdout=true&timeout=60"
    sent = java(platform, "POST", options, b'"you"', Content_Type="application/json; charset=UTF-8").json()
    assert (sent["result"], sent["metadata"]["stdout"]) == ("hello you", "")
    raw = java(platform, "POST", f"{place}?output=raw&timeout=60", b"you", **kind)
    assert (raw.status, raw.body, raw.headers["Content-Type"][:10]) == (200, b"hello you", "text/plain")
    void = java(platform, "POST", f"{place}?output=void", b"you", **kind).json()
    assert (void["async"], void["request_id"][:4]) == ("void", "req-")
    binary = java(platform, "POST", place, b"\x00\xff", Content_Type="application/octet-stream").json()
    assert isinstance(binary["error"]["message"], str)
    assert isinstance(binary["error"]["stacktrace"], str)
