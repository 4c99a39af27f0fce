"""The wall around workers: what code behind it can't see or change, and that all else works as before it."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from wrapgen.errors import UsageError
from wrapgen.platform.workers.family import marked
from wrapgen.platform.workers.wall import Wall

SPY = """\
import glob
import os

import Algorithmia


def attempt(action):
    try:
        return action()
    except OSError as error:
        return error.strerror


def apply(input):
    home = input["home"]
    return {
        "home": attempt(lambda: sorted(os.listdir(home))),
        "credentials": attempt(lambda: open(home + "/credentials.json").read()),
        "write": attempt(lambda: open(input["outside"], "w").write("x")),
        "kill": attempt(lambda: os.kill(input["server"], 0)),
        "processes": len(glob.glob("/proc/[0-9]*")),
        "own": attempt(lambda: open("note", "w").write("x")),
        "account": Algorithmia.client().username(),
    }
"""


@pytest.fixture
def walled(serve, tmp_path):
    """A server whose workers are walled in; skipped where that can't be."""
    if Wall.find(tmp_path, "auto") is None:
        pytest.skip("bubblewrap is not installed, or not allowed here")
    return serve(tmp_path / "home", "--isolation", "bubblewrap")


def test_code_behind_the_wall_reaches_nothing_of_the_platform(walled, tmp_path, publish):
    """The home is hidden, files outside are read-only, the server can't be signalled."""
    source = tmp_path / "spy"
    (source / "src").mkdir(parents=True)
    (source / "algorithmia.conf").write_text(json.dumps({"username": "local", "algoname": "Spy"}))
    (source / "requirements.txt").write_text("algorithmia>=2.0.5\n")
    (source / "src" / "__init__.py").write_text("")
    (source / "src" / "Spy.py").write_text(SPY)
    reference = publish(walled, "Spy", source)
    outside = Path(__file__).parent / "written-by-a-worker"
    asked = {"home": str(walled.home), "outside": str(outside), "server": walled.process.pid}
    answer = walled.call(reference, asked).json()
    found = answer["result"]
    assert found["home"] == ["builds", "venvs", "workers"]
    assert "No such file" in found["credentials"]
    # Read-only, or hidden where the checkout lies below /tmp.
    assert "Read-only" in found["write"] or "No such file" in found["write"]
    assert "No such process" in found["kill"]
    assert found["processes"] < 5
    assert (found["own"], found["account"]) == (1, "local")
    assert not outside.exists()


def test_behind_the_wall_deadlines_and_crashes_are_as_before_it(walled, publish, zoo_folder):
    """Timeouts, exit codes, nested calls and an end without leftovers."""
    reference = publish(walled, "Zoo", zoo_folder)
    assert (
        walled.call(reference, {"op": "exit", "code": 3}).json()["error"]["message"] == "exited with code 3"
    )
    slow = walled.call(reference, {"op": "sleep", "seconds": 60}, timeout="1")
    assert slow.json()["error"]["error_type"] == "TimeoutError"
    nested = {"op": "pipe", "algorithm": reference, "value": "you"}
    assert walled.call(reference, nested).json()["result"] == "hello you"
    assert walled.stop() == 0
    assert not marked(f"ALGORITHMIA_API={walled.address}")


BACKEND = """\
import json, os


def attempt(action):
    try:
        return action()
    except OSError as error:
        return error.strerror


home = os.path.abspath("../../../..")
found = {
    "home": sorted(os.listdir(home)),
    "others": sorted(os.listdir(home + "/venvs")),
    "write": attempt(lambda: open(os.path.expanduser("~/written-by-a-build"), "w").write("x")),
    "server": attempt(lambda: os.kill(SERVER, 0)),
}
print("found " + json.dumps(found), flush=True)
raise SystemExit(json.dumps(found))
"""


def test_builds_run_behind_the_wall_too(walled, tmp_path):
    """What a requirement runs while it is built sees no key, no other environment and no server."""
    server = walled
    made = server.request("POST", "/v1/algorithms/local", json={"name": "Setup"})
    assert made.status_code == 201
    work = tmp_path / "work"
    remote = server.address.replace("//", f"//local:{server.key}@") + "/git/local/Setup.git"
    git = ["git", "-c", "user.name=Test", "-c", "user.email=test@example.org", "-C", str(work)]
    subprocess.run(["git", "clone", "-q", remote, str(work)], check=True)
    (work / "nosy").mkdir()
    (work / "nosy" / "backend.py").write_text(BACKEND.replace("SERVER", str(server.process.pid)))
    backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (work / "nosy" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
    (work / "requirements.txt").write_text("./nosy\n")
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "Look around"], check=True)
    subprocess.run([*git, "push", "-q", "origin", "HEAD:master"], check=True)
    (build,) = server.request("GET", "/v1/algorithms/local/Setup/builds").json()["results"]
    place, deadline = f"/v1/algorithms/local/Setup/builds/{build['build_id']}/logs", time.monotonic() + 120
    while (log := server.request("GET", place)).status_code == 404:
        assert time.monotonic() < deadline
    said = re.search("found ({.*})", log.json()["logs"])
    assert said, log.text
    found = json.loads(said[1])
    assert found["home"] == ["builds", "venvs"]
    assert len(found["others"]) == 1
    outside = Path.home() / "written-by-a-build"
    assert not outside.exists()  # a temporary folder of its own it may write to
    assert outside.is_relative_to("/tmp") or re.match("Read-only|No such file", found["write"])
    assert "No such process" in found["server"]


def test_a_wall_that_cannot_be_is_an_error_for_those_who_insist(tmp_path, monkeypatch):
    """Without bubblewrap `auto` goes on without a wall, `bubblewrap` says what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Wall.find(tmp_path, "auto") is None
    with pytest.raises(UsageError, match="not installed"):
        Wall.find(tmp_path, "bubblewrap")
