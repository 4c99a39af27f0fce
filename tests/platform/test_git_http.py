"""Real git against the platform: clone, push, what is refused, and what a push sets off."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests


@dataclass
class Repository:
    """An algorithm's repository on the server and a clone of it."""

    server: Any
    name: str
    clone: Path

    def remote(self, user: str = "local", key: str | None = None, version: str = "") -> str:
        scheme, _, place = self.server.address.partition("://")
        key = self.server.key if key is None else key
        return f"{scheme}://{user}:{key}@{place}/git/local/{self.name}{version}.git"

    def git(self, *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.clone.parent),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        named = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *words]
        return subprocess.run(named, cwd=cwd or self.clone, env=variables, capture_output=True, text=True)

    def commit(self, name: str, content: bytes) -> str:
        (self.clone / name).write_bytes(content)
        assert self.git("add", "-A").returncode == 0
        assert self.git("commit", "-qm", f"Change {name}").returncode == 0
        return self.git("rev-parse", "HEAD").stdout.strip()

    def builds(self) -> list[dict[str, Any]]:
        listed = self.server.request("GET", f"/v1/algorithms/local/{self.name}/builds")
        return list(listed.json()["results"])


@pytest.fixture
def repository(server: Any, tmp_path: Path) -> Repository:
    name = f"Git{uuid.uuid4().hex[:8]}"
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    made = Repository(server, name, tmp_path / "clone")
    cloned = made.git("clone", made.remote(), str(made.clone), cwd=tmp_path)
    assert cloned.returncode == 0, cloned.stderr
    return made


def test_a_new_repository_holds_the_template(repository: Repository) -> None:
    """The first commit on master is the documented template, with names filled in."""
    assert repository.git("branch", "--show-current").stdout.strip() == "master"
    listed = repository.git("ls-files").stdout.split()
    name = repository.name
    expected = [".adk", "algorithmia.conf", "requirements.txt", "src/__init__.py", f"src/{name}.py"]
    assert sorted(listed) == sorted([*expected, f"src/{name}_test.py"])
    conf = (repository.clone / "algorithmia.conf").read_text()
    assert f'"algoname": "{name}"' in conf
    assert '"langauge": "python3"' in conf
    assert "__" not in conf


def test_a_push_builds_its_newest_commit_only(repository: Repository) -> None:
    """When git has been answered, the one build of the new head is there to be seen."""
    repository.commit("a.txt", b"a")
    head = repository.commit("b.txt", b"b")
    pushed = repository.git("push")
    assert pushed.returncode == 0, pushed.stderr
    assert [build["commit_sha"] for build in repository.builds()] == [head]


def test_other_branches_are_kept_and_not_built(repository: Repository) -> None:
    """Only the default branch is built."""
    repository.git("checkout", "-qb", "topic")
    repository.commit("a.txt", b"a")
    assert repository.git("push", "origin", "topic").returncode == 0
    assert repository.builds() == []
    assert "refs/heads/topic" in repository.git("ls-remote", "origin").stdout


def test_history_is_never_rewritten(repository: Repository) -> None:
    """A forced push and the deletion of a branch are rejected, and nothing is built."""
    repository.git("commit", "-q", "--amend", "-m", "Other")
    assert repository.git("push").returncode != 0
    forced = repository.git("push", "--force")
    assert forced.returncode != 0
    assert "non-fast-forward" in forced.stderr
    assert repository.git("push", "origin", ":master").returncode != 0
    assert repository.builds() == []


def test_a_large_push_goes_through(repository: Repository) -> None:
    """8 MB that don't compress, which git sends chunked."""
    content = os.urandom(8_000_000)
    head = repository.commit("large.bin", content)
    pushed = repository.git("push")
    assert pushed.returncode == 0, pushed.stderr
    again = repository.clone.parent / "again"
    assert repository.git("clone", "-q", repository.remote(), str(again), cwd=again.parent).returncode == 0
    assert (again / "large.bin").read_bytes() == content
    assert repository.builds()[0]["commit_sha"] == head


def test_one_version_can_be_read(repository: Repository) -> None:
    """By number or hash a clone ends at that version; pushing to it is refused."""
    place = f"/v1/algorithms/local/{repository.name}"
    assert repository.server.request("POST", f"{place}/compile").status_code == 200
    assert repository.server.request("POST", f"{place}/versions", json={}).status_code == 200
    first = repository.git("rev-parse", "HEAD").stdout.strip()
    repository.commit("later.txt", b"later")
    assert repository.git("push").returncode == 0
    for number, version in enumerate(("/0.1.0", f"/{first}")):
        target = repository.clone.parent / f"v{number}"
        remote = repository.remote(version=version)
        done = repository.git("clone", "-q", remote, str(target), cwd=repository.clone.parent)
        assert done.returncode == 0, done.stderr
        assert repository.git("rev-parse", "HEAD", cwd=target).stdout.strip() == first
    assert repository.git("push", repository.remote(version="/0.1.0"), "master").returncode != 0
    absent = repository.git(
        "clone", repository.remote(version="/9.9.9"), "absent", cwd=repository.clone.parent
    )
    assert absent.returncode != 0


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_who_gets_in(repository: Repository, service: str) -> None:
    """No or wrong credentials are challenged; another account is refused, an admin key is no password."""
    server = repository.server
    user = f"u{uuid.uuid4().hex[:8]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": user, "email": f"{user}@x.org"})
    key = server.request("POST", f"/v1/admin/users/{user}/keys", server.admin_key, json={}).json()["api_key"]
    url = f"{server.address}/git/local/{repository.name}.git/info/refs?service={service}"

    def status(credentials: str | None) -> int:
        headers = {}
        if credentials is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(credentials.encode()).decode()
        answer = requests.get(url, headers=headers, timeout=120)
        assert ("WWW-Authenticate" in answer.headers) == (answer.status_code == 401)
        return answer.status_code

    assert status(f"local:{server.key}") == status(f"LOCAL:{server.key}") == 200
    for wrong in (
        None,
        "",
        "local",
        "local:wrong",
        f"jane:{server.key}",
        f"local:{server.admin_key}",
        "\xff:x",
    ):
        assert status(wrong) == 401
    assert status(f"{user}:{key}") == 404
    absent = requests.get(url.replace(repository.name, "None"), auth=("local", server.key), timeout=120)
    assert absent.status_code == 404
    dumb = requests.get(url.partition("?")[0], auth=("local", server.key), timeout=120)
    assert dumb.status_code == 404


def test_open_source_can_be_read_by_everyone_with_a_key(repository: Repository, tmp_path: Path) -> None:
    """An algorithm that is public, with open source, is cloned by strangers and changed by none."""
    server, place = repository.server, f"/v1/algorithms/local/{repository.name}"
    server.request("PUT", place, json={"settings": {"source_visibility": "open", "license": "mit"}})
    server.request("POST", f"{place}/compile")
    body = {"settings": {"algorithm_callability": "public"}}
    assert server.request("POST", f"{place}/versions", json=body).status_code == 200
    user = f"u{uuid.uuid4().hex[:8]}"
    server.request("POST", "/v1/users", server.admin_key, json={"username": user, "email": f"{user}@x.org"})
    key = server.request("POST", f"/v1/admin/users/{user}/keys", server.admin_key, json={}).json()["api_key"]
    remote = repository.remote(user, key)
    assert repository.git("clone", "-q", remote, str(tmp_path / "theirs"), cwd=tmp_path).returncode == 0
    repository.commit("a.txt", b"a")
    assert repository.git("push", remote, "master").returncode != 0


def test_a_broken_push_leaves_the_repository_whole(repository: Repository) -> None:
    """Garbage and half requests change nothing; the next push works."""
    url = f"{repository.server.address}/git/local/{repository.name}.git/git-receive-pack"
    headers = {"Content-Type": "application/x-git-receive-pack-request"}
    for body in (b"", b"0000", b"garbage", b"00" * 5000):
        answer = requests.post(url, body, headers=headers, auth=("local", repository.server.key), timeout=120)
        assert answer.status_code < 600
    head = repository.commit("a.txt", b"a")
    assert repository.git("push").returncode == 0
    assert repository.git("ls-remote", "origin", "master").stdout.startswith(head)
