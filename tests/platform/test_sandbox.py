"""The sandbox around workers and builds: attacks on it, and that all else works as without it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from attacks import TELL, push, source

import wrapgen
from wrapgen.errors import UsageError
from wrapgen.platform.workers.sandbox import Isolation, Sandbox

SPY = """\
import glob
import json
import os
import urllib.request


def account():
    asked = urllib.request.Request(os.environ["ALGORITHMIA_API"] + "/v1/data")
    asked.add_header("Authorization", os.environ["ALGORITHMIA_API_KEY"])
    return json.loads(urllib.request.urlopen(asked).read())["folders"][0]["name"]


def attempt(action):
    try:
        return action()
    except OSError as error:
        return error.strerror


def capabilities():
    lines = open("/proc/self/status").read().splitlines()
    return {line.split()[1].strip("0") for line in lines if line.startswith("Cap")}


def apply(input):
    home = input["home"]
    return {
        "home": attempt(lambda: sorted(os.listdir(home))),
        "credentials": attempt(lambda: open(home + "/credentials.json").read()),
        "write": attempt(lambda: open(input["outside"], "w").write("x")),
        "kill": attempt(lambda: os.kill(input["server"], 0)),
        "processes": len(glob.glob("/proc/[0-9]*")),
        "own": attempt(lambda: open("note", "w").write("x")),
        "account": account(),
        "user": os.getuid(),
        "groups": os.getgroups(),
        "capabilities": sorted(capabilities()),
        "read": {path: attempt(lambda: open(path).read(100)) for path in input["secret"]},
        "listed": {path: attempt(lambda: os.listdir(path)) for path in input["closed"]},
        "writable": [path for path in input["system"] if os.access(path, os.W_OK)],
        "uuid": len(open("/proc/sys/kernel/random/uuid").read()),
        "variables": sorted(os.environ),
    }
"""

ROOT = os.geteuid() == 0
NOBODY = 65534


@pytest.fixture(params=["as it is", "unprivileged"])
def whoever(request, sandboxed, serve, tmp_path):
    """A server with a sandbox whose user is the test's, and one whose user may do nothing special."""
    if request.param == "as it is":
        yield sandboxed
        return
    if not ROOT:
        pytest.skip("the tests' own user has no privilege already")
    with tempfile.TemporaryDirectory() as folder:  # pytest's own are closed to others
        os.chown(folder, NOBODY, NOBODY)
        become = [*OPENED, *(str(path) for path in needed_in_home()), "--"]
        become += ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
        become += ["env", f"HOME={folder}"]
        tried = subprocess.run([*become, sys.executable, "-c", "import wrapgen"], check=False, cwd=folder)
        if tried.returncode:
            pytest.skip("the tests may not make a mount, or no other user can run their Python")
        server = serve(Path(folder, "home"), "--isolation", "auto", before=become)
        if server.facts["isolation"] != "bubblewrap":
            pytest.skip("user namespaces are not allowed here")
        yield server
        assert server.stop() == 0


OPENED = [
    *("unshare", "--mount", "sh", "-ec"),
    """
    home=$0; kept=$(mktemp -d); mount -t tmpfs -o mode=755 kept "$kept"; number=0
    for path; do
        [ "$path" != -- ] || break
        number=$((number + 1)); mkdir "$kept/$number"; mount --bind "$path" "$kept/$number"
    done
    [ $number = 0 ] || mount -t tmpfs -o mode=755 home "$home"
    number=0
    while path=$1; shift; [ "$path" != -- ]; do
        number=$((number + 1)); mkdir -p "$path"; mount --move "$kept/$number" "$path"
    done
    umount "$kept"; rmdir "$kept"; exec "$@"
    """,
    str(Path.home()),
]
"""Runs a command where of the home folder, closed to others, only some folders are there, and open."""


def needed_in_home():
    """The folders of the home that the tests' Python is in, and what it imports."""
    needed = {Path(sys.base_prefix), Path(sys.prefix), Path(wrapgen.__file__).parent}
    return sorted(path for path in needed if path.is_relative_to(Path.home()))


def test_a_sandboxed_algorithm_reaches_nothing_of_the_machine(whoever, tmp_path, publish):
    """The home, other homes and the system's secrets aren't there, no privilege is left, all works inside."""
    sandboxed = whoever
    reference = publish(sandboxed, "Spy", source(tmp_path / "spy", "Spy", SPY))
    outside = Path(__file__).parent / "written-by-a-worker"
    secret = ["/etc/shadow", "/etc/sudoers", "/etc/machine-id", "/etc/ssh/sshd_config", "/proc/1/environ"]
    secret += [str(Path.home() / name) for name in (".git-credentials", ".pgpass", ".npmrc", ".bashrc")]
    asked = {"home": str(sandboxed.home), "outside": str(outside), "server": sandboxed.process.pid}
    asked |= {"secret": secret, "closed": ["/home", "/opt", "/run", "/srv", "/var", "/etc/ssl/private"]}
    asked |= {"system": ["/", "/etc", "/dev", "/usr", "/sys", "/proc/sys/kernel/hostname", "/proc/sys/vm"]}
    answer = sandboxed.call(reference, asked).json()
    assert "result" in answer, answer
    found = answer["result"]
    assert found["home"] == ["builds", "sandbox", "venvs", "workers"]
    assert "No such file" in found["credentials"]
    assert "No such file" in found["write"] or "Read-only" in found["write"]
    assert "No such process" in found["kill"]
    assert found["processes"] < 5
    assert (found["own"], found["account"], found["uuid"]) == (1, "local", 37)
    assert not outside.exists()
    # What stands inside with another user's rights has variables of ours only, and its worker's key.
    told = found["read"].pop("/proc/1/environ")
    assert "Permission denied" in told or "PATH=/usr/local/bin:/usr/bin:/bin" in told
    assert not [said for said in found["read"].values() if not re.match("No such file|Permission", said)]
    assert not any(isinstance(listed, list) and listed for listed in found["listed"].values())
    assert found["writable"] == []
    assert not [number for number in found["capabilities"] if number]
    if ROOT:
        assert (found["user"] != 0, found["groups"]) == (True, [])


def test_packages_are_installed_as_what_they_are_known_by(sandboxed, tmp_path):
    """Requirements that are plain are locked by their digests, then installed once, with nothing built."""
    folder = source(tmp_path / "tell", "Locked", TELL, **{"requirements.txt": "six>=1.16\n"})
    log = push(sandboxed, "Locked", folder)
    assert "--require-hashes" in log
    assert log.count(" venv ") == 1, log  # nothing had to be built, so nothing was tried a second time


PRELOADED = """\
#include <stdio.h>
#include <stdlib.h>
__attribute__((constructor)) static void loaded(void) {
    FILE *out = fopen("TARGET", "w");
    if (out) { fputs("loaded", out); fclose(out); }
}
"""


def test_a_secret_cannot_steer_what_stands_around_the_algorithm(sandboxed, tmp_path, publish):
    """LD_PRELOAD in a secret, kept since before it was refused, is loaded by nothing outside and inside."""
    target, library = tmp_path / "loaded", tmp_path / "spy.so"
    (tmp_path / "spy.c").write_text(PRELOADED.replace("TARGET", str(target)))
    compiler = shutil.which("cc") or pytest.skip("there is no C compiler here")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "spy.c"], check=True)
    reference = publish(sandboxed, "Tell", source(tmp_path / "tell", "Tell", TELL))
    found = sandboxed.request("GET", f"/v1/algorithms/{reference}").json()["id"]
    body = {"short_name": "s", "secret_key": "TOKEN", "secret_value": str(library)}
    made = sandboxed.request("POST", f"/v1/algorithms/{found}/secrets", json=body).json()
    for name in (
        "LD_PRELOAD",
        "PYTHONPATH",
        "BASH_ENV",
        "IFS",
        "GIT_SSH_COMMAND",
        "PATH",
        "NODE_OPTIONS",
        "COVERAGE_PROCESS_START",
        "Env",
    ):
        refused = sandboxed.request(
            "POST", f"/v1/algorithms/{found}/secrets", json={**body, "secret_key": name}
        )
        assert refused.status_code == 400
        assert "steers" in refused.json()["error"]["message"]
    with sqlite3.connect(sandboxed.home / "platform.sqlite", timeout=60) as database:
        database.execute("UPDATE secrets SET variable = 'LD_PRELOAD' WHERE id = ?", (made["id"],))
    put = sandboxed.request("POST", f"/v1/algorithms/{found}/secrets", json={**body, "secret_key": "OTHER"})
    assert put.status_code == 200
    answer = sandboxed.call(reference, "x").json()
    assert "result" in answer, answer
    told = answer["result"]
    assert told["OTHER"] == str(library)
    assert "LD_PRELOAD" not in told
    assert not target.exists()


def test_the_algorithms_variables_stay_inside(sandboxed, tmp_path, publish):
    """What stands around the algorithm has no secret in its environment and starts elsewhere."""
    held = "import time\n\n\ndef apply(input):\n    open(input, 'w').close()\n    time.sleep(60)\n"
    reference = publish(sandboxed, "Held", source(tmp_path / "held", "Held", held))
    found = sandboxed.request("GET", f"/v1/algorithms/{reference}").json()["id"]
    body = {"short_name": "s", "secret_key": "SPECIAL", "secret_value": "unmistakable"}
    assert sandboxed.request("POST", f"/v1/algorithms/{found}/secrets", json=body).status_code == 200
    sandboxed.request("POST", f"/v1/algo/{reference}?output=void&timeout=60", json="/tmp/began")
    begun = wait_for(lambda: [each for each in children(sandboxed, "bwrap") if len(below(each)) > 1])
    outer = begun[-1]
    for process in (outer, *below(outer)):
        with contextlib.suppress(ProcessLookupError):  # what starts the algorithm becomes it, or ends
            assert b"unmistakable" not in Path(f"/proc/{process}/environ").read_bytes()
    assert Path(f"/proc/{outer}/cwd").readlink() == Path("/")


def children(server, name):
    """The child processes of a server that run a program."""
    found = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    pids = [pid for each in found for pid in each.read_text().split()]
    named = [(pid, Path(f"/proc/{pid}/comm")) for pid in pids]
    return [pid for pid, file in named if file.exists() and file.read_text().strip() == name]


def below(process):
    """All processes below one."""
    listed, found = Path(f"/proc/{process}/task/{process}/children"), []
    with contextlib.suppress(OSError):  # it ended
        found = listed.read_text().split()
    return [*found, *(each for child in found for each in below(child))]


def wait_for(condition, seconds=30.0):
    """Waits for a condition with a deadline; gives its value."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
    return found


def test_in_the_sandbox_deadlines_and_crashes_are_as_without_it(sandboxed, publish, zoo_folder):
    """Timeouts, exit codes, nested calls and an end without leftovers."""
    reference = publish(sandboxed, "Zoo", zoo_folder)
    assert (
        sandboxed.call(reference, {"op": "exit", "code": 3}).json()["error"]["message"]
        == "exited with code 3"
    )
    slow = sandboxed.call(reference, {"op": "sleep", "seconds": 60}, timeout="1")
    assert slow.json()["error"]["error_type"] == "TimeoutError"
    nested = {"op": "pipe", "algorithm": reference, "value": "you"}
    assert sandboxed.call(reference, nested).json()["result"] == "hello you"
    (outer,) = children(sandboxed, "bwrap")[-1:]
    inside = below(outer)
    assert sandboxed.stop() == 0
    left = [Path(f"/proc/{each}/stat") for each in (outer, *inside)]
    assert not [text for each in left if each.exists() and ") Z " not in (text := each.read_text())]


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
    "write": attempt(lambda: open("HOME/written-by-a-build", "w").write("x")),
    "marker": attempt(lambda: os.symlink("x", os.path.join(os.environ["TARGET"], "..", "ready")))
    if "TARGET" in os.environ else None,
    "server": attempt(lambda: os.kill(SERVER, 0)),
    "user": os.getuid(),
    "variables": sorted(os.environ),
}
print("found " + json.dumps(found), flush=True)
raise SystemExit(json.dumps(found))
"""


def test_builds_run_in_the_sandbox_too(serve, tmp_path, monkeypatch):
    """What a requirement runs while it is built sees no key, no other environment and no server."""
    monkeypatch.setenv("GIT_TOKEN", "unmistakable")
    monkeypatch.setenv("UV_PUBLISH_TOKEN", "unmistakable")
    server = serve(tmp_path / "home", "--isolation", "bubblewrap")
    text = BACKEND.replace("SERVER", str(server.process.pid)).replace("HOME", str(Path.home()))
    folder = source(tmp_path / "nosy", "Setup", TELL, **{"requirements.txt": "./nosy\n"})
    (folder / "nosy").mkdir()
    (folder / "nosy" / "backend.py").write_text(text)
    backend = 'requires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    (folder / "nosy" / "pyproject.toml").write_text(f"[build-system]\n{backend}")
    log = push(server, "Setup", folder)
    said = re.search("found ({.*})", log)
    assert said, log
    found = json.loads(said[1])
    assert found["home"] == ["builds", "sandbox", "venvs"]
    assert len(found["others"]) == 1
    outside = Path.home() / "written-by-a-build"
    assert not outside.exists()
    assert re.match("Read-only|No such file|Permission", found["write"])
    assert "No such process" in found["server"]
    assert not {"GIT_TOKEN", "UV_PUBLISH_TOKEN", "LD_PRELOAD"} & set(found["variables"])
    assert "unmistakable" not in log
    assert found["user"] != 0 or not ROOT


def test_a_requirement_never_prints_a_file_of_the_machine(sandboxed, tmp_path):
    """Neither `-r` nor a link in place of a file that is read shows a line of a file outside."""
    known = Path("/etc/passwd").read_text().splitlines()[0]
    file = tmp_path / "private"
    file.write_text("unmistakable line\n")
    included = source(
        tmp_path / "r", "Included", TELL, **{"requirements.txt": f"-r /etc/passwd\n-r {file}\n"}
    )
    log = push(sandboxed, "Included", included)
    assert_silent(log, known)
    linked = source(tmp_path / "l", "Linked", TELL)
    (linked / "requirements.txt").symlink_to(file)
    log = push(sandboxed, "Linked", linked)
    assert_silent(log, known)
    assert "requirements.txt is a link to somewhere else" in log
    (tmp_path / "c" / "src").mkdir(parents=True)
    (tmp_path / "c" / "algorithmia.conf").symlink_to("/dev/zero")
    assert "algorithmia.conf is a link to somewhere else" in push(sandboxed, "Conf", tmp_path / "c")


def assert_silent(log, known):
    """The build failed, and its log has nothing of the files."""
    assert "build failed" in log
    assert known not in log
    assert "unmistakable" not in log


def test_a_sandbox_that_cannot_be_is_an_error_for_those_who_insist(tmp_path, monkeypatch):
    """Without bubblewrap `auto` goes on without a sandbox, `bubblewrap` says what is missing."""
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Sandbox.find(tmp_path, Isolation("auto")) is None
    with pytest.raises(UsageError, match="not installed"):
        Sandbox.find(tmp_path, Isolation("bubblewrap"))
