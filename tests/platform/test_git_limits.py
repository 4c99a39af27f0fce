"""Pushes made to cost much: trees that unpack to more than was sent, and clients that never end."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapgen.platform.storage.commit_size import excess
from wrapgen.platform.storage.repositories import Repositories

GIT = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org"]


def git(work: Path, *words: str, given: bytes = b"", fine: bool = True) -> str:
    """One git command in a work tree; what it says."""
    done = subprocess.run([*GIT, *words], cwd=work, input=given, capture_output=True, timeout=60, check=False)
    assert (done.returncode == 0) == fine, done.stderr
    return (done.stdout + done.stderr).decode().strip()


@pytest.fixture
def work(server: Any, tmp_path: Path) -> Iterator[Path]:
    """A clone of a new algorithm."""
    yield from cloned(server, tmp_path)


def cloned(server: Any, folder: Path) -> Iterator[Path]:
    name, folder = f"Pushed{uuid.uuid4().hex[:8]}", folder / "work"
    assert server.request("POST", "/v1/algorithms/local", json={"name": name}).status_code == 201
    remote = server.address.replace("//", f"//local:{server.key}@") + f"/git/local/{name}.git"
    subprocess.run([*GIT, "clone", "-q", remote, str(folder)], check=True)
    yield folder


def tree(work: Path, *entries: str) -> str:
    """A tree object of `mode type hash name` lines."""
    return git(work, "mktree", "--missing", given="".join(f"{each}\n" for each in entries).encode())


def commit(work: Path, root: str) -> str:
    """A commit of a tree, on top of what is there."""
    return git(work, "commit-tree", root, "-p", "HEAD", "-m", "Grow")


def bomb(work: Path, levels: int, each: int = 50) -> str:
    """A commit of `each ** levels` files in a few objects."""
    blob = git(work, "hash-object", "-w", "--stdin", given=b"x")
    found = tree(work, *(f"100644 blob {blob}\tf{number}" for number in range(each)))
    for _ in range(levels - 1):
        found = tree(work, *(f"040000 tree {found}\td{number}" for number in range(each)))
    return commit(work, found)


def deep(work: Path) -> str:
    """A commit of a file in forty folders."""
    found = tree(work, f"100644 blob {git(work, 'hash-object', '-w', '--stdin', given=b'x')}\tf")
    for _ in range(40):
        found = tree(work, f"040000 tree {found}\td")
    return commit(work, found)


def large(work: Path) -> str:
    """A commit that holds one file of 40 MB thirty times."""
    blob = git(work, "hash-object", "-w", "--stdin", given=bytes(40_000_000))
    return commit(work, tree(work, *(f"100644 blob {blob}\tf{number}" for number in range(30))))


@pytest.mark.parametrize(
    ("make", "limit"),
    [(lambda work: bomb(work, 3), "push-files"), (lambda work: bomb(work, 20), "push-files"),
     (deep, "push-depth"), (large, "push-unpacked")],
    ids=["files", "trees", "folders", "bytes"],
)  # fmt: skip
def test_a_push_is_told_which_limit_it_is_over(server: Any, work: Path, make: Any, limit: str) -> None:
    """What would unpack to too much is refused before anything of it counts, and says why at the pusher's."""
    before = git(work, "ls-remote", "origin", "refs/heads/master")
    said = git(work, "push", "origin", f"{make(work)}:refs/heads/master", fine=False)
    assert f"({limit})" in said, said
    assert "pre-receive hook declined" in said
    assert git(work, "ls-remote", "origin", "refs/heads/master") == before
    git(work, "push", "-q", "origin", f"{git(work, 'commit-tree', 'HEAD^{tree}', '-p', 'HEAD', '-m', 'Fine')}"
        ":refs/heads/master")  # fmt: skip


@pytest.mark.parametrize("name", [".git", ".GIT", "..", ".", "git~1", ".gitmodules"])
def test_a_push_brings_nothing_that_harms_who_clones_it(server: Any, work: Path, name: str) -> None:
    """Names that mean git's own folder or another one, and submodules with options for a URL, are refused."""
    text = b'[submodule "x"]\n\tpath = x\n\turl = --upload-pack=touch x\n'
    blob = git(work, "hash-object", "-w", "--stdin", given=text)
    entry = f"100644 blob {blob}\t{name}"
    if name != ".gitmodules":
        entry = f"040000 tree {tree(work, f'100644 blob {blob}%sconfig' % chr(9))}\t{name}"
    said = git(work, "push", "origin", f"{commit(work, tree(work, entry))}:refs/heads/master", fine=False)
    assert "fsck error" in said or "hasDot" in said, said


def test_what_old_tools_wrote_is_taken(server: Any, work: Path) -> None:
    """A history with a date, an address or a mode that git no longer writes can be pushed."""
    root, parent = git(work, "rev-parse", "HEAD^{tree}"), git(work, "rev-parse", "HEAD")
    text = f"tree {root}\nparent {parent}\nauthor A 1 +0000\ncommitter A <a> 01 +99999\n\nOld\n".encode()
    old = git(work, "hash-object", "-w", "--literally", "-t", "commit", "--stdin", given=text)
    git(work, "push", "-q", "origin", f"{old}:refs/heads/master")


def test_what_was_stored_before_there_were_limits_is_not_unpacked(server: Any, work: Path) -> None:
    """A build, a page or a list of files of a commit that is too large ends with an error, and soon."""
    found = bomb(work, 20)
    place = next((server.home / "repositories").glob("*.git/refs/heads/master"), None)
    name = re.findall(r"/(\w+)\.git", git(work, "remote", "get-url", "origin"))[0]
    identity = server.request("GET", f"/v1/algorithms/local/{name}").json()["id"]
    place = server.home / "repositories" / f"{identity}.git"
    git(work, "push", "-q", str(place), f"{found}:refs/heads/master")
    began = time.monotonic()
    built = server.request("POST", f"/v1/algorithms/local/{name}/compile", json={}).json()
    assert built["compilation"]["successful"] is False
    assert "push-files" in built["compilation"]["output"]
    assert time.monotonic() - began < 90


def test_counting_stops_at_the_limit(tmp_path: Path) -> None:
    """A tree of 10^30 files takes no longer than one just over the limit."""
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "First")
    variables = {**os.environ, "GIT_DIR": str(tmp_path / ".git")}
    began = time.monotonic()
    found = excess(bomb(tmp_path, 30), 5000, 1 << 30, 64, variables)
    assert found == "more than 5000 files and folders (push-files)"
    assert excess(git(tmp_path, "rev-parse", "HEAD"), 5000, 1 << 30, 64, variables) is None
    assert time.monotonic() - began < 60


def slow_push(server: Any, work: Path) -> socket.socket:
    """A push that has begun and sends nothing more."""
    name = re.findall(r"/(\w+)\.git", git(work, "remote", "get-url", "origin"))[0]
    host, port = server.address.removeprefix("http://").split(":")
    basic = base64.b64encode(f"local:{server.key}".encode()).decode()
    head = (
        f"POST /git/local/{name}.git/git-receive-pack HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {basic}\r\n"
    )
    head += "Content-Type: application/x-git-receive-pack-request\r\nTransfer-Encoding: chunked\r\n\r\n"
    connection = socket.create_connection((host, int(port)), timeout=60)
    connection.sendall(head.encode() + b"4\r\n00ff\r\n")
    return connection


def test_pushes_of_one_account_leave_places_to_others(serve: Any, tmp_path: Path) -> None:
    """However many pushes of one account are slow, another account's git works meanwhile."""
    server = serve(tmp_path / "home", "--limit", "git-processes=2", "--limit", "git-account=1")
    works = [work for number in range(2) for work in cloned(server, tmp_path / str(number))]
    name, key = server.user("jane")
    made = server.request("POST", f"/v1/algorithms/{name}", key, json={"name": "Hers"})
    assert made.status_code == 201, made.text
    with contextlib.ExitStack() as stack:
        for work in works:
            stack.enter_context(slow_push(server, work))
        remote = server.address.replace("//", f"//{name}:{key}@") + f"/git/{name}/Hers.git"
        assert "refs/heads/master" in git(tmp_path, "ls-remote", remote)


def test_gits_time_ends(serve: Any, tmp_path: Path) -> None:
    """A push that never ends is ended, and its client is told."""
    server = serve(tmp_path / "home", "--limit", "git-seconds=1", "--limit", "push-bytes=100000")
    (work,) = cloned(server, tmp_path)

    with slow_push(server, work) as connection:
        answer = connection.recv(65536)
    assert b"git-seconds" in answer, answer
    (work / "noise").write_bytes(os.urandom(300_000))
    git(work, "add", "noise")
    git(work, "commit", "-qm", "Grow")
    assert "exceeds maximum allowed size" in git(work, "push", "origin", "HEAD:master", fine=False)


def test_gits_memory_ends(serve: Any, tmp_path: Path) -> None:
    """A small push of what git can only hold whole is refused; repository and server are as before."""
    server = serve(tmp_path / "home", "--limit", "git-memory=80000000")
    (work,) = cloned(server, tmp_path)
    before = git(work, "ls-remote", "origin", "master")
    header = git(work, "cat-file", "commit", "HEAD").partition("\n\n")[0]
    long = git(work, "hash-object", "-t", "commit", "-w", "--stdin", given=header.encode() + b"\n\n" + ZEROS)
    assert sum(file.stat().st_size for file in (work / ".git" / "objects").rglob("*")) < 1_000_000
    said = git(work, "push", "origin", f"{long}:refs/heads/master", "--force", fine=False)
    assert "out of memory" in said or "unpack" in said or "hung up" in said, said
    assert git(work, "ls-remote", "origin", "master") == before
    git(work, "push", "origin", f"{commit(work, git(work, 'rev-parse', 'HEAD^{tree}'))}:master")


ZEROS = b"0" * 100_000_000


def test_what_an_ended_push_left_stops_no_other(server: Any, work: Path) -> None:
    """Git that was killed, or could not remove its lock, leaves it; the next push goes through."""
    name = re.findall(r"/(\w+)\.git", git(work, "remote", "get-url", "origin"))[0]
    identity = server.request("GET", f"/v1/algorithms/local/{name}").json()["id"]
    place = server.home / "repositories" / f"{identity}.git"
    for lock in ("HEAD.lock", "refs/heads/master.lock"):
        (place / lock).touch()
    git(work, "push", "origin", f"{commit(work, git(work, 'rev-parse', 'HEAD^{tree}'))}:master")
    assert not list(place.rglob("*.lock"))


def test_a_hook_that_cannot_run_says_so_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hook's Python can't start or ends early, the pusher reads one line and no traceback."""
    broken = tmp_path / "python"
    broken.write_text(
        "#!/bin/sh\necho 'Traceback (most recent call last):' >&2\necho 'MemoryError' >&2\nexit 1\n"
    )
    broken.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(broken))
    Repositories(tmp_path / "repositories", {})
    done = subprocess.run(
        [tmp_path / "hooks" / "pre-receive"], input="", capture_output=True, text=True, check=False
    )
    said = "the platform can't look at the push (MemoryError): push again, or ask its operator\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
