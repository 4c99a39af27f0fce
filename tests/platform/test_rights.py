"""No path widens what a key may do: the rights of an algorithm's owner, revoked keys, loading, traces."""

from __future__ import annotations

import re
import signal
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3

from wrapgen.platform.state import open_platform_state

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


def waiting(server: Any, zoo: str, folder: Path, key: str, **query: Any) -> tuple[Any, Path]:
    """A call that waits at a gate, below another one unless it is a void call; it has begun."""
    gate = folder / f"gate{uuid.uuid4().hex}"
    body = {"op": "wait", "path": str(gate), "mark": str(gate)}
    if not query:
        body = {"op": "pipe", "algorithm": zoo, "value": body}
    call = ThreadPoolExecutor(1).submit(server.call, zoo, body, key, **query)
    until(Path(f"{gate}.begun").exists)
    return call, gate


def until(done: Any) -> None:
    """Waits for what happens by itself."""
    deadline = time.monotonic() + 120
    while not done():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def revoked(server: Any, user: str, key: str) -> None:
    """Takes a user's only key away."""
    (kept,) = server.request("GET", f"/v1/users/{user}/keys", server.admin_key).json()
    assert server.request("DELETE", f"/v1/users/{user}/keys/{kept['id']}", server.admin_key).ok
    assert server.request("GET", "/v1/data/", key).status_code == 401


@pytest.mark.parametrize("query", [{}, {"output": "void"}], ids=["waiting", "void"])
def test_revoking_a_key_ends_what_runs_on_its_behalf(
    server: Any, zoo: str, tmp_path: Path, query: dict[str, str]
) -> None:
    """An open call, what it called in turn and a void call end at once; none of them does anything more."""
    user, key = server.user()
    call, gate = waiting(server, zoo, tmp_path, key, **query)
    began = time.monotonic()
    revoked(server, user, key)
    if query:
        other = server.admin("POST", f"/v1/admin/users/{user}/keys", {}).json()["api_key"]
        place = f"/v1/requests/{call.result().json()['request_id']}"
        until(lambda: server.request("GET", place, other).status_code == 200)
        answer = server.request("GET", place, other)
    else:
        answer = call.result()
    assert answer.json()["error"]["error_type"] == "AuthenticationError", answer.text
    assert time.monotonic() - began < 60
    gate.touch()
    threading.Event().wait(0.1)
    assert not Path(f"{gate}.ended").exists()


def test_a_void_call_of_a_revoked_key_does_not_start_again(
    serve: Any, tmp_path: Path, publish: Any, zoo_folder: Path
) -> None:
    """What a killed server left open asks again, at the next start, whether its caller still may."""
    server = serve(tmp_path / "home")
    zoo = publish(server, "Zoo", zoo_folder)
    _, key = server.user()
    call, gate = waiting(server, zoo, tmp_path, key, output="void")
    server.stop(signal.SIGKILL)
    state = open_platform_state(tmp_path / "home")
    user = state.accounts.caller(key).account
    state.accounts.revoke_key(user, state.accounts.caller(key).key_id)
    state.close()
    gate.touch()
    Path(f"{gate}.begun").unlink()
    again = serve(tmp_path / "home")
    other = again.admin("POST", f"/v1/admin/users/{user}/keys", {}).json()["api_key"]
    place = f"/v1/requests/{call.result().json()['request_id']}"
    until(lambda: again.request("GET", place, other).status_code == 200)
    assert "invalid API key" in again.request("GET", place, other).json()["error"]["message"]
    assert not Path(f"{gate}.begun").exists()


def test_leaving_an_organization_ends_calls_of_what_is_its_own(
    server: Any, module: Any, tmp_path: Path
) -> None:
    """A right that is lost while a call of a private algorithm is open ends that call."""
    (owner, key), (member, members) = server.user("owner"), server.user("member")
    group = f"org{uuid.uuid4().hex[:8]}"
    assert server.admin("POST", "/v1/organizations", {"org_name": group}).ok
    for each in (owner, member):
        assert server.admin("PUT", f"/v1/organizations/{group}/members/{each}").ok
    private = module(server, owner, key, WAITER, "private")
    assert server.call(private, "x", members).status_code == 404
    name = module(server, owner, key, WAITER, "private", account=group)
    begun = tmp_path / "begun"
    call = ThreadPoolExecutor(1).submit(server.call, name, str(begun), members)
    until(begun.exists)
    assert server.admin("DELETE", f"/v1/organizations/{group}/members/{member}").ok
    assert call.result().json()["error"]["error_type"] == "AuthenticationError"


WAITER = """\
import time


def apply(input):
    open(input, "w").close()
    time.sleep(60)
"""


def test_an_upload_that_outlives_its_key_is_refused(server: Any) -> None:
    """A file whose key is revoked while it comes in is not stored."""
    user, key = server.user()
    assert server.request("POST", f"/v1/data/{user}", key, json={"name": "slow"}).ok

    def body() -> Iterator[bytes]:
        yield b"first"
        revoked(server, user, key)
        yield b"second"

    assert server.request("PUT", f"/v1/data/{user}/slow/f", key, data=body()).status_code == 401
    other = server.admin("POST", f"/v1/admin/users/{user}/keys", {}).json()["api_key"]
    assert server.request("GET", f"/v1/data/{user}/slow/f", other).status_code == 404


LOADER = """\
import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def load():
    url = os.environ["ALGORITHMIA_API"] + "/v1/data/OWNER/private/f"
    headers = {"Authorization": os.environ["ALGORITHMIA_API_KEY"]}
    try:
        return urlopen(Request(url, headers=headers)).read().decode()
    except HTTPError as error:
        return str(error.code)


def apply(input, found):
    return found
"""


def test_a_key_without_data_reads_none_through_loading(server: Any, module: Any) -> None:
    """What an algorithm read while it loaded for one key is never in a worker that serves a narrower one."""
    owner, key = server.user("owner")
    server.request("POST", f"/v1/data/{owner}", key, json={"name": "private", "acl": {"read": []}})
    server.request("PUT", f"/v1/data/{owner}/private/f", key, data=b"secret")
    name = module(server, owner, key, LOADER.replace("OWNER", owner))
    made = server.request("POST", f"/v1/users/{owner}/keys", key, json={"permissions": {"allow_data": False}})
    narrow = made.json()["api_key"]
    assert server.call(name, 1, narrow).json()["result"] == "403"
    assert server.call(name, 1, key).json()["result"] == "secret"
    assert [server.call(name, 1, each).json()["result"] for each in (narrow, key)] == ["403", "secret"]


FAILING = """\
def apply(input):
    print("printed secret")
    raise ValueError("told to all")
"""
DYING = """import os
if "DIE" in os.environ:
    print("printed secret", flush=True)
    raise SystemExit(3)
def apply(input): return input
"""


@pytest.mark.parametrize("source", [FAILING, DYING], ids=["failing", "dying"])
def test_traces_and_prints_go_to_the_owner_only(server: Any, module: Any, sender: str, source: str) -> None:
    """A public algorithm that calls a private one of its caller gets neither traceback nor output of it."""
    owner, key = server.user("owner")
    private = module(server, owner, key, source, "private")
    place, secret = private.rpartition("/")[0], {"secret_key": "DIE", "secret_value": "1"}
    assert server.request("POST", f"/v1/algorithms/{place}/secrets", key, json=secret).ok
    mine = server.call(private, 1, key, stdout="true").text
    assert "printed secret" in mine
    asked = ["POST", f"/v1/algo/{private}?stdout=true", 1]
    ((status, text, _),) = server.call(sender, [asked], key).json()["result"]
    assert status == 200
    assert "error_type" in text
    assert "printed secret" not in text
    assert "Traceback" not in text
    assert "stack" not in text


def test_a_download_ends_with_its_key(server: Any) -> None:
    """Of a large file that is being read, a revoked key gets no more than what was on its way."""
    user, key = server.user()
    assert server.request("POST", f"/v1/data/{user}", key, json={"name": "large"}).ok
    assert server.request("PUT", f"/v1/data/{user}/large/f", key, data=bytes(60_000_000)).ok
    with server.request("GET", f"/v1/data/{user}/large/f", key, stream=True) as answer:
        got = len(answer.raw.read(1000))
        revoked(server, user, key)
        with pytest.raises(urllib3.exceptions.HTTPError):
            while piece := answer.raw.read(1 << 20):
                got += len(piece)
    assert got < 60_000_000
