"""The whole server killed with SIGKILL in the middle of everything, and started again on the same home."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests

SLOW = {"requirements.txt": "./slow\n", "slow/setup.py": "import time; time.sleep(600)\n"}
PLAIN = {
    "algorithmia.conf": '{"algoname": "Killed"}',
    "src/__init__.py": "",
    "src/Killed.py": "def apply(input):\n    return input\n",
}


def git(folder: Path, *words: str, ok: bool = True) -> str:
    variables = {"PATH": os.environ["PATH"], "HOME": str(folder.parent), "GIT_TERMINAL_PROMPT": "0"}
    named = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", *words]
    done = subprocess.run(named, cwd=folder, env=variables, capture_output=True, text=True)
    assert done.returncode == 0 or not ok, done.stderr
    return done.stdout.strip()


def commit(folder: Path, files: dict[str, str]) -> str:
    """Replaces the clone's files and commits; the hash."""
    git(folder, "rm", "-rqf", ".")
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "Change", "--allow-empty")
    return git(folder, "rev-parse", "HEAD")


def remote(server: Any) -> str:
    return server.address.replace("//", f"//local:{server.key}@") + "/git/local/Killed.git"


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    tick = threading.Event()
    for _ in range(int(seconds / 0.05)):
        if what():
            return
        tick.wait(0.05)
    raise AssertionError("waited in vain")


def statuses(server: Any) -> list[str]:
    return [each["status"] for each in server.request("GET", PLACE + "/builds").json()["results"]]


PLACE = "/v1/algorithms/local/Killed"


def test_a_kill_during_a_build(serve: Callable[..., Any], tmp_path: Path) -> None:
    """Nothing of the build lives on; it starts again under its id; what was released is called as before."""
    home, clone = tmp_path / "home", tmp_path / "clone"
    server = serve(home)
    assert server.request("POST", "/v1/algorithms/local", json={"name": "Killed"}).status_code == 201
    clone.mkdir()
    git(clone, "clone", "-q", remote(server), ".")
    commit(clone, PLAIN)
    git(clone, "push", "-q", remote(server), "master")
    assert server.request("POST", PLACE + "/compile").json()["compilation"]["successful"] is True
    assert server.request("POST", PLACE + "/versions", json={}).status_code == 200
    slow = commit(clone, {**PLAIN, **SLOW})
    git(clone, "push", "-q", remote(server), "master")
    (build,) = server.request("GET", PLACE + "/builds?limit=1").json()["results"]
    assert (build["commit_sha"], build["status"]) == (slow, "in-progress")
    assert server.request("GET", f"{PLACE}/builds/{build['build_id']}/logs").status_code == 404
    wait_for(lambda: bool(building(home)))
    server.stop(signal.SIGKILL)
    wait_for(lambda: not building(home))

    again = serve(home)
    assert again.key == server.key
    (found,) = again.request("GET", PLACE + "/builds?limit=1").json()["results"]
    assert (found["build_id"], found["status"]) == (build["build_id"], "in-progress")
    assert again.call("local/Killed/0.1.0", "still here").json()["result"] == "still here"
    # Mended, the next commit builds although the stuck one still waits.
    commit(clone, PLAIN)
    git(clone, "push", "-q", remote(again), "master")
    wait_for(lambda: "succeeded" in statuses(again)[:1])
    assert again.stop() == 0
    assert not building(home)


def building(home: Path) -> list[str]:
    """Command lines of processes that work for a build of this home."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            found.append(entry.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
    return [line for line in found if f"{home}/venvs/" in line]


def test_kills_during_pushes_and_releases(serve: Callable[..., Any], tmp_path: Path) -> None:
    """What git or the API acknowledged before a kill is there after it: commits, builds, versions, files."""
    home, clone = tmp_path / "home", tmp_path / "clone"
    server = serve(home)
    assert server.request("POST", "/v1/algorithms/local", json={"name": "Killed"}).status_code == 201
    assert server.request("POST", "/v1/data/.my", json={"name": "col"}).status_code == 200
    clone.mkdir()
    git(clone, "clone", "-q", remote(server), ".")
    released: list[str] = []
    stored: list[str] = []
    for round_number in range(4):
        acknowledged = threading.Event()

        def work(
            server: Any = server, round_number: int = round_number, done: threading.Event = acknowledged
        ) -> None:
            try:
                for step in range(100):
                    commit(clone, {**PLAIN, "step.txt": f"{round_number}-{step}"})
                    git(clone, "push", "-q", remote(server), "master")
                    server.request("POST", PLACE + "/compile")
                    answer = server.request("POST", PLACE + "/versions", json={})
                    if answer.status_code == 200:
                        released.append(answer.json()["version_info"]["semantic_version"])
                    name = f"{round_number}-{step}"
                    if server.request("PUT", f"/v1/data/.my/col/{name}", data=name * 1000).status_code == 200:
                        stored.append(name)
                    if step >= round_number % 2:
                        done.set()
            except (requests.RequestException, AssertionError, ValueError):
                done.set()  # the server is dead: what was noted counts

        worker = threading.Thread(target=work)
        worker.start()
        assert acknowledged.wait(120)
        server.stop(signal.SIGKILL)
        worker.join(60)
        server = serve(home)
        (clone / ".git" / "index.lock").unlink(missing_ok=True)
        versions = server.request("GET", PLACE + "/versions?published=true&limit=1000").json()["results"]
        shown = [each["version_info"]["semantic_version"] for each in versions]
        assert set(released) <= set(shown)
        assert len(shown) == len(set(shown))
        assert all(each["build"]["status"] == "succeeded" for each in versions)
        for name in stored:
            assert server.request("GET", f"/v1/data/.my/col/{name}").text == name * 1000
        head = git(clone, "ls-remote", remote(server), "master").split()[0]
        wait_for(lambda head=head, server=server: built(server, head))
    assert len(released) >= 4
    assert len(stored) >= 4


def built(server: Any, head: str) -> bool:
    """Whether the repository's head has a build that has ended."""
    builds = server.request("GET", PLACE + "/builds?limit=1000").json()["results"]
    return any(each["commit_sha"] == head and each["status"] != "in-progress" for each in builds)
