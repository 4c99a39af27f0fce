"""What a running algorithm may do with the identity it is lent: its caller's calls and data, and no more."""

from __future__ import annotations

import json
import subprocess
import threading
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MAIN = '''\
import json, os
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def apply(input):
    """Sends the requests that the input lists, as this algorithm; their statuses and bodies."""
    answers = []
    for method, path, body in input:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
        try:
            answer = urlopen(Request(os.environ["ALGORITHMIA_API"] + path, data, headers, method=method))
        except HTTPError as error:
            answer = error
        answers.append([answer.status, answer.read().decode()])
    return answers
'''


@pytest.fixture(scope="module")
def sender(server: Any, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A public algorithm that sends whatever requests it is asked to."""
    name = f"Sender{uuid.uuid4().hex[:6]}"
    folder = tmp_path_factory.mktemp("sender")
    (folder / "src").mkdir()
    (folder / "src" / "__init__.py").write_text("")
    (folder / "src" / f"{name}.py").write_text(MAIN)
    (folder / "algorithmia.conf").write_text(json.dumps({"algoname": name}))
    return host_plain(server, name, folder)


def host_plain(server: Any, name: str, folder: Path) -> str:
    """Puts files into a new algorithm with git and releases it as public."""
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    remote = server.address.replace("//", f"//local:{server.key}@") + f"/git/local/{name}.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]
    subprocess.run([*git, "clone", "-q", "--bare", remote, str(folder / ".git")], check=True)
    subprocess.run([*git, "config", "core.bare", "false"], cwd=folder, check=True)
    subprocess.run([*git, "add", "-A"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-qm", "Send requests"], cwd=folder, check=True)
    subprocess.run([*git, "push", "-q", remote, "master"], cwd=folder, check=True)
    place = f"/v1/algorithms/local/{name}"
    assert server.request("POST", f"{place}/compile").json()["compilation"]["successful"] is True
    body = {"settings": {"algorithm_callability": "public"}}
    assert server.request("POST", f"{place}/versions", json=body).status_code == 200
    return f"local/{name}/0.1.0"


@pytest.fixture(scope="module")
def jane(server: Any) -> tuple[str, str]:
    """Another user and her key."""
    name = f"jane{uuid.uuid4().hex[:6]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": name, "email": f"{name}@x.org"})
    made = server.request("POST", f"/v1/admin/users/{name}/keys", server.admin_key, json={})
    return name, made.json()["api_key"]


@pytest.fixture
def send(server: Any, sender: str, jane: tuple[str, str]) -> Callable[..., list[tuple[int, str]]]:
    """Has the algorithm send requests while it works for jane."""

    def go(*requests: tuple[str, str, object], key: str = jane[1]) -> list[tuple[int, str]]:
        answer = server.call(sender, requests, key).json()
        assert "result" in answer, answer
        return [(status, body) for status, body in answer["result"]]

    return go


def test_it_never_manages_accounts_or_algorithms(server: Any, jane: tuple[str, str], send: Any) -> None:
    """Keys, algorithms and users of the caller are out of reach; nothing was made."""
    name = jane[0]
    tried = [
        ("POST", f"/v1/users/{name}/keys", {}),
        ("GET", f"/v1/users/{name}/keys", None),
        ("POST", f"/v1/algorithms/{name}", {"name": "Planted"}),
        ("GET", "/v1/users", None),
        ("GET", "/metrics", None),
        ("POST", f"/v1/admin/users/{name}/keys", {}),
        ("POST", "/v1/organizations", {"org_name": "planted"}),
        ("GET", f"/v1/users/{name}", None),
        ("GET", f"/v1/users/{name}/errors", None),
        ("GET", f"/v1/users/{name}/algorithms", None),
        ("PUT", f"/v1/users/{name}", {"fullname": "Planted"}),
    ]
    assert [status for status, _ in send(*tried)] == [403] * len(tried)
    assert len(server.request("GET", f"/v1/users/{name}/keys", jane[1]).json()) == 1
    assert server.request("GET", f"/v1/users/{name}/algorithms", jane[1]).json() == []


def test_its_callers_private_algorithms_stay_out_of_sight(server: Any, sender: str, send: Any) -> None:
    """Private algorithms, their versions, builds and errors, are not shown to what works for their owner."""
    name = f"Hidden{uuid.uuid4().hex[:6]}"
    place = f"/v1/algorithms/local/{name}"
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    assert server.request("POST", f"{place}/compile").status_code == 200
    assert server.request("POST", f"{place}/versions", json={}).status_code == 200
    paths = [place, f"{place}/versions", f"{place}/versions/0.1.0", f"{place}/builds", f"{place}/errors"]
    assert [server.request("GET", path).status_code for path in paths] == [200] * len(paths)
    asked = send(*(("GET", path, None) for path in paths), key=server.key)
    assert [status for status, _ in asked] == [403] * len(paths)


LOADING = '''\
import json, os
from urllib.error import HTTPError
from urllib.request import Request, urlopen

ANSWERS = []
for method, path in [("POST", "/v1/algo/local/PRIVATE/0.1.0"), ("POST", "/v1/algo/local/PRIVATE?output=void"),
                     ("GET", "/v1/users/local/errors")]:
    headers = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
    try:
        data = b"1" if method == "POST" else None
        answer = urlopen(Request(os.environ["ALGORITHMIA_API"] + path, data, headers))
    except HTTPError as error:
        answer = error
    ANSWERS.append([answer.status, answer.read().decode()])


def apply(input):
    """What it was answered while it loaded."""
    return ANSWERS
'''


def test_while_it_loads_it_calls_nothing(server: Any, sender: str, tmp_path: Path) -> None:
    """Before any call an algorithm acts for nobody: it can't call its owner's algorithms, nor read errors."""
    name = f"Loader{uuid.uuid4().hex[:6]}"
    private = sender.split("/")[1]
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "__init__.py").write_text("")
    (tmp_path / "src" / f"{name}.py").write_text(LOADING.replace("PRIVATE", private))
    (tmp_path / "algorithmia.conf").write_text(json.dumps({"algoname": name}))
    loader = host_plain(server, name, tmp_path)
    answers = server.call(loader, 1).json()["result"]
    assert [status for status, _ in answers] == [403, 403, 403], answers


def test_my_data_is_the_callers(server: Any, jane: tuple[str, str], send: Any) -> None:
    """`.my` and the account's name mean the caller; the author's private data stays out of reach."""
    server.request("POST", "/v1/data/local", json={"name": "authors", "acl": {"read": []}})
    server.request("PUT", "/v1/data/local/authors/f", data=b"secret")
    made, written, listed, denied = send(
        ("POST", "/v1/data/.my", {"name": "mine"}),
        ("PUT", "/v1/data/.my/mine/f", "x"),
        ("GET", "/v1/data/", None),
        ("GET", "/v1/data/local/authors/f", None),
    )
    assert (made[0], written) == (200, (200, f'{{"result":"data://{jane[0]}/mine/f"}}'))
    assert json.loads(listed[1])["folders"][0] == {"name": jane[0]}
    assert denied[0] == 404
    server.request("PATCH", "/v1/data/local/authors", json={"acl": {"read": ["algo://.my/*"]}})
    assert send(("GET", "/v1/data/local/authors/f", None)) == [(200, "secret")]
    assert server.request("GET", "/v1/data/local/authors/f", jane[1]).status_code == 404


def test_temporary_files_go_to_the_caller(server: Any, sender: str, jane: tuple[str, str], send: Any) -> None:
    """The full URL that a write to .algo/temp answers is readable by the caller, and by no other."""
    ((status, body),) = send(("PUT", "/v1/data/.algo/temp/result", [1, 2]))
    assert status == 200
    url = json.loads(body)["result"]
    assert url == f"data://.algo/{sender.rpartition('/')[0]}/temp/result"
    path = url.replace("data://", "/v1/data/")
    assert server.request("GET", path, jane[1]).json() == [1, 2]
    assert server.request("GET", path).status_code == 404


def test_a_session_ends_with_its_call(send: Any) -> None:
    """What one call keeps in .session is there for that call only."""
    first = send(("PUT", "/v1/data/.session/f", "x"), ("GET", "/v1/data/.session/f", None))
    assert [status for status, _ in first] == [200, 200]
    assert [status for status, _ in send(("GET", "/v1/data/.session/f", None))] == [404]


def test_a_keys_list_guards_the_callers_private_algorithms(
    server: Any, sender: str, jane: tuple[str, str], send: Any
) -> None:
    """An algorithm calls private ones of its caller only where the key's list has them too."""
    name, key = jane
    private, place = f"Own{uuid.uuid4().hex[:6]}", f"/v1/algorithms/{name}"
    assert server.request("POST", place, key, json={"name": private}).status_code == 201
    assert server.request("POST", f"{place}/{private}/compile", key).status_code == 200
    assert server.request("POST", f"{place}/{private}/versions", key, json={}).status_code == 200
    asked = ("POST", f"/v1/algo/{name}/{private}/0.1.0", "Jane")
    for more, status in (([], 403), ([f"algo://{name}/{private}/*"], 200)):
        wanted = {"algo_acl": [f"algo://{sender.rpartition('/')[0]}/*", *more]}
        narrow = server.request("POST", f"/v1/users/{name}/keys", key, json={"permissions": wanted}).json()
        assert [found for found, _ in send(asked, key=narrow["api_key"])] == [status]
    assert [found for found, _ in send(asked)] == [200]
    assert server.request("DELETE", f"{place}/{private}", key).status_code == 204


def test_an_algorithm_follows_only_its_own_void_calls(
    server: Any, jane: tuple[str, str], sender: str, send: Any
) -> None:
    """What its caller has called besides is none of its business."""
    callers = server.call(sender, [], jane[1], output="void").json()["request_id"]
    ((_, body),) = send(("POST", f"/v1/algo/{sender}?output=void", []))
    own = json.loads(body)["request_id"]
    while server.request("GET", f"/v1/requests/{callers}", jane[1]).status_code == 202:
        threading.Event().wait(0.02)
    while send(("GET", f"/v1/requests/{own}", None))[0][0] == 202:
        threading.Event().wait(0.02)
    asked = send(*(("GET", f"/v1/requests/{each}", None) for each in (callers, own)))
    assert [status for status, _ in asked] == [404, 200]


def test_an_algorithm_is_not_asked_for_a_page(server: Any, jane: tuple[str, str], sender: str) -> None:
    """Called from a page with a key that only its host's pages may use, it reaches its caller's data."""
    name, key = jane
    wanted = {"allow_algo": False, "referer_host": "a.org"}
    narrow = server.request("POST", f"/v1/users/{name}/keys", key, json={"permissions": wanted}).json()
    asked = [("GET", "/v1/data/.my", None), ("POST", f"/v1/algo/{sender}", [])]
    called = server.request(
        "POST",
        f"/v1/algo/{sender}",
        narrow["api_key"],
        json=asked,
        headers={"Origin": "https://a.org"},
    )
    assert [status for status, _ in called.json()["result"]] == [200, 200]


def test_the_keys_restrictions_go_along(server: Any, sender: str, jane: tuple[str, str], send: Any) -> None:
    """With a read-only key of the caller the algorithm writes nothing; it still calls what it needs."""
    name, key = jane
    wanted = {"allow_data_write": False, "algo_acl": [f"algo://{sender.rpartition('/')[0]}/*"]}
    narrow = server.request("POST", f"/v1/users/{name}/keys", key, json={"permissions": wanted}).json()
    answers = send(
        ("PUT", "/v1/data/.algo/temp/f", "x"),
        ("POST", f"/v1/algo/{sender}", []),
        key=narrow["api_key"],
    )
    assert [status for status, _ in answers] == [403, 200]
    server.request("DELETE", f"/v1/users/{name}/keys/{narrow['id']}", key)
