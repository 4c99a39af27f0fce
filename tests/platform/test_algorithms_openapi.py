"""The OpenAPI document that the platform publishes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from starlette.routing import Route

from wrapgen.platform import open_platform
from wrapgen.platform.api.app import rest


@pytest.fixture(scope="module")
def document(server: Any) -> dict[str, Any]:
    answer = server.request("GET", "/v1/openapi.json", "")
    assert answer.status_code == 200
    return dict(answer.json())


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (path, method, each) for path, place in document["paths"].items() for method, each in place.items()
    ]


def test_it_names_what_a_client_needs(document: dict[str, Any]) -> None:
    """Calls, data, management and accounts are in it, with the version of the format."""
    assert document["openapi"].startswith("3.")
    for path, method in (
        ("/v1/algo/{owner}/{name}/{version}", "post"),
        ("/v1/algorithms/{owner}", "post"),
        ("/v1/algorithms/{owner}/{name}/versions", "get"),
        ("/v1/algorithms/{id}/secrets", "post"),
        ("/v1/data/{path}", "head"),
        ("/v1/users/{user}", "put"),
    ):
        assert method in document["paths"][path], path


def test_every_route_is_in_it(document: dict[str, Any], tmp_path: Path) -> None:
    """Whatever the application answers is described, git's own protocol and web pages apart."""
    platform = open_platform(tmp_path / "home")
    served = {
        (re.sub(r":\w+}", "}", route.path), method.lower())
        for route in rest(platform).routes
        if isinstance(route, Route) and not re.match("/(git/|web|$)", route.path)
        for method in (route.methods or set()) - ({"HEAD"} if "GET" in (route.methods or ()) else set())
    }
    platform.close()
    described = {(path, method) for path, method, _ in operations(document)}
    assert described - served == {
        (f"/v1/algo/{path}", "post") for path in ("{id}", "{owner}/{name}", "{owner}/{name}/{version}")
    }
    assert served <= described


def test_each_operation_is_whole(document: dict[str, Any]) -> None:
    """Unique ids, a sentence each, and every placeholder of the path declared."""
    found = operations(document)
    assert len(found) > 80
    assert len({each["operationId"] for _, _, each in found}) == len(found)
    for path, method, each in found:
        assert each["summary"], (method, path)
        declared = {parameter["name"] for parameter in each["parameters"] if parameter["in"] == "path"}
        assert declared == set(re.findall(r"{(\w+)}", path)), path
        assert {"2XX", "4XX"} <= each["responses"].keys()


def test_what_it_says_of_keys_is_true(document: dict[str, Any], server: Any) -> None:
    """Without a key each operation is refused with 401, unless the document says that it needs none."""
    for path, method, each in operations(document):
        filled = re.sub(r"{id}", "00000000-0000-0000-0000-000000000000", path)
        filled = re.sub(r"{(\w+)}", "x", filled)
        answer = server.request(method.upper(), filled, "")
        assert (answer.status_code == 401) == (each.get("security") != []), (method, path, answer.text)


def test_what_it_says_of_timeouts_is_true(document: dict[str, Any], server: Any, zoo: str) -> None:
    """It promises a second and more; a call may have any part of one, but not none."""
    parameters = document["paths"]["/v1/algo/{owner}/{name}"]["post"]["parameters"]
    (schema,) = (each["schema"] for each in parameters if each["name"] == "timeout")
    assert schema == {"type": "number", "minimum": 1, "maximum": 3000}
    for timeout, status in ((0, 400), (0.001, 200), (2.5, 200), (3000, 200), (3000.5, 400)):
        assert server.call(zoo, "you", timeout=timeout).status_code == status, timeout


def test_it_says_what_a_body_and_a_query_may_be(document: dict[str, Any]) -> None:
    """Fields of requests and replies are there by name, as the types that check and build them have them."""
    schemas = document["components"]["schemas"]
    assert "company_role" in schemas["UserFields"]["properties"]
    assert "external_admin_group" in schemas["OrganizationObject"]["properties"]
    assert "secret_access_key" in schemas["ConnectorFields"]["properties"]
    assert "secret_access_key" not in schemas["ConnectorObject"]["properties"]
    listed = document["paths"]["/v1/algorithms/{id}/versions"]["get"]
    assert {each["name"] for each in listed["parameters"]} == {
        "id",
        "limit",
        "marker",
        "published",
        "callable",
    }
    body = document["paths"]["/v1/users"]["post"]["requestBody"]["content"]["application/json"]
    assert body["schema"] == {"$ref": "#/components/schemas/UserFields"}
