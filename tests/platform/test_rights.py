"""No path widens what a key may do: the rights of an algorithm's owner, revoked keys, loading, traces."""

from __future__ import annotations

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
