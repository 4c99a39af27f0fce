"""No path widens what a key may do: the rights of an algorithm's owner, revoked keys, loading, traces."""

from __future__ import annotations

import re
from typing import Any

CALLERS = {"X-Algorithm-Rights": "caller"}


def test_a_request_can_drop_the_rights_of_the_algorithms_owner(server: Any, sender: str) -> None:
    """With the header, an algorithm reads only what its caller may read; the reply says that it was heard."""
    stranger, key = server.user()
    server.request("POST", "/v1/data/local", json={"name": "lent"})
    server.request("PUT", "/v1/data/local/lent/f", data=b"owners")
    server.request("POST", f"/v1/data/{stranger}", key, json={"name": "own"})
    server.request("PUT", f"/v1/data/{stranger}/own/f", key, data=b"callers")
    paths = ["/v1/data/local/lent/f", "/v1/data/local/lent", f"/v1/data/{stranger}/own/f"]
    asked = [["GET", path, None, headers] for headers in ({}, CALLERS) for path in paths]
    found = server.call(sender, asked, key).json()["result"]
    assert [status for status, _, _ in found] == [200, 200, 200, 404, 404, 200]
    echoed = [headers.get("x-algorithm-rights") for _, _, headers in found]
    assert echoed == [None, None, None, "caller", "caller", "caller"]
    owners = server.call(sender, asked).json()["result"]
    assert [status for status, _, _ in owners] == [200, 200, 404, 200, 200, 404]


MANAGED = [("GET", rest) for rest in ("", "/versions", "/versions/0.1.0", "/builds", "/errors", "/log")]
MANAGED += [("GET", "/secrets"), ("GET", "/scm/status"), ("PUT", ""), ("DELETE", "")]
MANAGED += [("POST", rest) for rest in ("/compile", "/versions", "/secrets")]


def test_a_private_algorithm_of_another_is_not_there(server: Any, module: Any) -> None:
    """On every route a stranger gets the same answer as for a name, an id or a build that nobody has."""
    owner, key = server.user("owner")
    hidden = module(server, owner, key, "def apply(input):\n    return input\n", "private").split("/")[1]
    place = f"/v1/algorithms/{owner}/{hidden}"
    there = server.request("GET", place, key).json()["id"]
    listed, *_ = server.request("GET", f"{place}/versions", key).json()["results"]
    git_hash = listed["version_info"]["git_hash"]
    names = {hidden: "X" * len(hidden), there: "00000000-0000-4000-8000-000000000000", git_hash: 40 * "0"}

    def unnamed(text: str) -> str:
        for name, other in names.items():
            text = text.replace(name, other)
        return re.sub("req-[0-9a-f-]{36}", "", text)

    calls = [f"{owner}/{hidden}{version}" for version in ("", "/0.1.0", "/latestPrivate", f"/{git_hash}")]
    tried = [("POST", f"/v1/algo/{each}") for each in (*calls, there, f"{there}/0.1.0")]
    places = (place, f"/v1/algorithms/{there}")
    tried += [(method, f"{at}{rest}") for at in places for method, rest in MANAGED]
    tried += [("GET", f"/v1/data/.algo/{owner}/{hidden}/{rest}") for rest in ("temp", "perm", "temp/f")]
    _, stranger = server.user("stranger")
    for method, path in tried:
        found = [server.request(method, each, stranger, json={}) for each in (path, unnamed(path))]
        assert [each.status_code for each in found] == [404, 404], (method, path)
        assert unnamed(found[0].text) == unnamed(found[1].text), (method, path)
    narrow = server.request("POST", f"/v1/users/{owner}/keys", key, json={"permissions": {"algo_acl": []}})
    assert server.call(f"{owner}/{hidden}/0.1.0", 1, narrow.json()["api_key"]).status_code == 403
    assert server.call(f"{owner}/{hidden}/0.1.0", 1, key).json()["result"] == 1
