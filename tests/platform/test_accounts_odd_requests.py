"""Odd requests to every management and data endpoint, with good keys: never a fault of ours."""

from __future__ import annotations

import itertools
import json
import random
import uuid
from typing import Any
from unittest.mock import MagicMock

import pytest
import requests

VALUES: list[Any] = [
    None,
    True,
    0,
    -1,
    10**30,
    1.5,
    float("inf"),
    "",
    "x",
    "é\u0000\n",
    "x" * 5000,
    "1" * 5000,
    "../..",
    "'; DROP TABLE accounts; --",
    [],
    [[]],
    {},
    {"x": {}},
    ["algo://*"],
    {"read": ["user://*"]},
]
"""What is put where something else is expected."""

FIELDS = [
    "name",
    "details",
    "settings",
    "version_info",
    "source",
    "acl",
    "username",
    "email",
    "fullname",
    "org_name",
    "type_id",
    "external_id",
    "key_label",
    "key_type",
    "permissions",
    "secret_key",
    "secret_value",
    "short_name",
    "description",
    "bucket",
    "write",
]
QUERIES = ["limit", "marker", "published", "callable", "acl", "force", "service"]
WORDS = ["local", "None", "x" * 300, "%00", "%2e%2e", "a%2Fb", "%ff", "é", "'", str(uuid.uuid4()), "0" * 40]


def templates() -> list[tuple[str, str]]:
    """Method and path, with placeholders, of every endpoint."""
    from types import SimpleNamespace

    from wrapgen.platform.api import git
    from wrapgen.platform.api.app import endpoints

    platform: Any = SimpleNamespace(
        **dict.fromkeys(("state", "bounds", "observer", "calls", "faults"), MagicMock())
    )
    found = {(each.verb, each.path) for each in endpoints(platform)}
    routes = {(method, route.path) for route in git.routes(platform) for method in route.methods or ()}
    return sorted(found | routes)


def filled(template: str, chance: random.Random) -> str:
    """A path whose placeholders hold odd words."""
    path = ""
    for part in template.replace("{", "\0{").replace("}", "}\0").split("\0"):
        if part == "{id:uuid}":
            path += str(uuid.UUID(int=chance.getrandbits(128)))
        elif part == "{path:anything}":
            path += "/".join(chance.choice(WORDS) for _ in range(chance.randrange(5)))
        else:
            path += chance.choice(WORDS) if part.startswith("{") else part
    return path


def body(chance: random.Random) -> tuple[bytes, str]:
    """A body and its content type: JSON with odd fields, or no JSON at all."""
    kind = chance.random()
    if kind < 0.1:
        return chance.randbytes(50), "application/json"
    if kind < 0.2:
        return json.dumps(chance.choice(VALUES)).encode(), chance.choice(
            ["text/plain", "application/json", ""]
        )
    nested = {name: chance.choice(VALUES) for name in chance.sample(FIELDS, 5)}
    nested[chance.choice(FIELDS)] = {name: chance.choice(VALUES) for name in chance.sample(FIELDS, 3)}
    return json.dumps(nested).encode(), "application/json"


@pytest.fixture(scope="module")
def someone(server: Any) -> str:
    """The key of a user nobody else needs."""
    name = f"odd{uuid.uuid4().hex[:8]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": name, "email": f"{name}@x.org"})
    made = server.request("POST", f"/v1/admin/users/{name}/keys", server.admin_key, json={})
    return str(made.json()["api_key"])


@pytest.mark.parametrize("seed", range(4))
def test_no_request_is_a_fault_of_ours(server: Any, someone: str, seed: int) -> None:
    """Odd words in paths, odd queries and odd bodies end below 500, each error with its message as JSON."""
    chance = random.Random(seed)
    with requests.Session() as session:
        for method, template in itertools.chain.from_iterable(itertools.repeat(templates(), 2)):
            path = filled(template, chance)
            if (method, template.count("{")) == ("DELETE", 1) and "local" in path:
                continue  # the other tests need the first account
            content, kind = body(chance)
            query = {name: str(chance.choice(VALUES)) for name in chance.sample(QUERIES, 2)}
            key = chance.choice([someone, someone, server.admin_key])
            answer = session.request(
                method,
                server.address + path,
                params=query,
                data=None if method in ("GET", "HEAD") else content,
                headers={"Authorization": key, "Content-Type": kind},
                timeout=60,
            )
            allowed = answer.status_code < 500 or answer.status_code == 501
            assert allowed, (method, path, query, content, answer.text)
            if answer.status_code >= 400 and method != "HEAD" and not path.startswith("/git/"):
                assert answer.json()["error"], (method, path)
