"""A name that is registered again: whoever has it now sees nothing of who had it before."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import pytest


def admin(server: Any, method: str, path: str, body: Any = None) -> Any:
    answer = server.request(method, path, server.admin_key, json=body)
    assert answer.ok, answer.text
    return answer


def register(server: Any, kind: str, name: str) -> str:
    """The key of a new user or organization."""
    field = "username" if kind == "users" else "org_name"
    admin(server, "POST", f"/v1/{kind}", {field: name, "email": f"{name}@example.org"})
    key = admin(server, "POST", f"/v1/{kind}/{name}/keys", {}).json()["api_key"]
    return str(key)


def ended(server: Any, request_id: str, key: str) -> Any:
    """The reply of a void call, once it has ended."""
    while (answer := server.request("GET", f"/v1/requests/{request_id}", key)).status_code == 202:
        threading.Event().wait(0.02)
    return answer


@pytest.mark.parametrize("kind", ["users", "organizations"])
def test_errors_and_void_results_go_with_their_account(server: Any, zoo: str, kind: str) -> None:
    """Failed calls and replies kept for one account are not shown to the next of that name."""
    name = f"again{uuid.uuid4().hex[:8]}"
    first = register(server, kind, name)
    failed = server.call(zoo, {"op": "refuse"}, first, output="void").json()["request_id"]
    good = server.call(zoo, "private", first, output="void").json()["request_id"]
    assert ended(server, failed, first).json()["error"]["error_type"] == "InputError"
    assert ended(server, good, first).json()["result"] == "hello private"
    if kind == "users":
        listed = server.request("GET", f"/v1/users/{name}/errors", first).json()
        assert [entry["request_id"] for entry in listed] == [failed]
    admin(server, "DELETE", f"/v1/{kind}/{name}")
    second = register(server, kind, name)
    for request_id in (failed, good):
        assert server.request("GET", f"/v1/requests/{request_id}", second).status_code == 404
    if kind == "users":
        assert server.request("GET", f"/v1/users/{name}/errors", second).json() == []
    assert server.call(zoo, "you", second).json()["result"] == "hello you"


def test_an_account_with_open_calls_stays(server: Any, zoo: str, tmp_path: Path) -> None:
    """Deleting it is refused until they have ended: their outcomes would come under a name that is free."""
    name, gate = f"busy{uuid.uuid4().hex[:8]}", tmp_path / "gate"
    key = register(server, "users", name)
    waiting = {"op": "wait", "path": str(gate)}
    opened = server.call(zoo, waiting, key, output="void").json()["request_id"]
    refused = server.request("DELETE", f"/v1/users/{name}", server.admin_key)
    assert refused.status_code == 409
    assert "has open calls" in refused.json()["error"]["message"]
    gate.touch()
    assert ended(server, opened, key).status_code == 200
    while (answer := server.request("DELETE", f"/v1/users/{name}", server.admin_key)).status_code == 409:
        threading.Event().wait(0.02)
    assert answer.status_code == 204
