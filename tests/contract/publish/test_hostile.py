"""Publishing when things go wrong: kills, rejections, silence; and where the key may be seen."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wrapgen.client import Client, Connection
from wrapgen.errors import Conflict, Unreachable
from wrapgen.publish import Project

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")}


@pytest.fixture
def fake_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a git in front of the real one that writes its words down and may run a script before them."""
    folder = tmp_path / "bin"
    folder.mkdir()
    words = folder / "words"

    def install(before: str = "") -> Path:
        real = shutil.which("git")
        script = f'#!/bin/sh\nprintf "%s\\n" "$*" >> {words}\n{before}\nexec {real} "$@"\n'
        (folder / "git").write_text(script)
        (folder / "git").chmod(0o755 | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
        return words

    return install


def numbers(client: Client, folder: Path) -> list[str | None]:
    return [v.version for v in client.versions(str(Project.read(folder).reference))]


@pytest.mark.parametrize(
    "line", ["made acme/", "pushed ", "building ", "case first", "released .*0.0", "released .*0.2"]
)
def test_a_publish_that_is_killed_is_finished_by_the_next(
    line: str, make, home: Path, client: Client, wrapgen
) -> None:
    """SIGKILL after any step: the same command again ends with exactly the versions that were asked for."""
    folder = make("1", name="Killed" + re.sub(r"\W", "", line).title())
    cases = [{"case_name": "first", "input": 0, "expected_output": 1}]
    (folder / "TEST_CASES.json").write_text(json.dumps(cases))
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "publish",
        str(folder),
        "--release",
        "1.0.3",
        "--home",
        str(home),
    ]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if re.match(line, said):
                process.send_signal(signal.SIGKILL)
                break
        else:
            pytest.fail(f"never said {line}")
    done = wrapgen("publish", str(folder), "--release", "1.0.3", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["version"] == "1.0.3"
    assert numbers(client, folder) == ["1.0.3", "1.0.2", "1.0.1", "1.0.0"]
    commits = {version.git_hash for version in client.versions(str(Project.read(folder).reference))}
    assert len(commits) == 1


def test_the_key_is_on_no_command_line(make, publisher, fake_git) -> None:
    """git gets the key through its environment, so that other users can't see it."""
    words = fake_git()
    publisher(make())
    assert "push" in words.read_text()
    assert publisher.client.connection.key not in words.read_text()


def test_the_key_is_in_no_error_of_git(make, publisher, fake_git) -> None:
    """Even a git that prints its environment gives nothing away."""
    fake_git('case "$*" in *clone*) env | grep WRAPGEN >&2; exit 1;; esac')
    with pytest.raises(Unreachable) as caught:
        publisher(make())
    assert "WRAPGEN_GIT_PASSWORD" in caught.value.message
    assert publisher.client.connection.key not in caught.value.message


def test_a_git_that_prints_without_end_takes_no_memory(make, publisher, fake_git) -> None:
    """What a server has git print is kept to a limit, and the rest is read past."""
    fake_git('case "$*" in *clone*) head -c 50000000 /dev/zero >&2; exit 1;; esac')
    tracemalloc.start()
    with pytest.raises(Unreachable):
        publisher(make())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20_000_000


def test_somebody_elses_push_in_between_is_not_overwritten(make, publisher, fake_git, home: Path) -> None:
    """A push that comes between our clone and our push makes ours fail, and theirs stays."""
    theirs, ours = make("'theirs'"), make("'ours'")
    publisher(theirs)
    (theirs / "new.txt").write_text("x")
    marker = home.parent / "once"
    other = f"PATH={os.environ['PATH']} {sys.executable} -m wrapgen publish {theirs} --home {home}"
    fake_git(
        f'case "$*" in *" push "*) [ -e {marker} ] || {{ touch {marker}; {other} >/dev/null 2>&1; }};; esac'
    )
    with pytest.raises(Conflict, match="somebody else"):
        publisher(ours)
    assert numbers(publisher.client, ours) == ["0.2.0", "0.1.0"]
    assert publisher(ours).version == "0.3.0"


def test_a_rejected_push_says_what_the_platform_said(make, publisher, fake_git) -> None:
    """The platform's own words are in the error."""
    publisher(folder := make())
    (folder / "new.txt").write_text("x")
    said = " ! [remote rejected] HEAD -> master (pre-receive hook declined)"
    fake_git(f'case "$*" in *" push "*) echo "{said}" >&2; exit 1;; esac')
    with pytest.raises(Conflict, match="hook declined"):
        publisher(folder)


def test_without_git_the_error_says_so(make, wrapgen, tmp_path: Path) -> None:
    """git is the one thing that publishing needs beside Python."""
    empty = tmp_path / "empty"
    empty.mkdir()
    done = wrapgen("publish", str(make()), env={**ENVIRONMENT, "PATH": str(empty)})
    assert done.returncode == 2
    assert "git" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_platform_that_is_down_is_one_clear_line(make, wrapgen) -> None:
    """A refused connection names the address and where it came from; exit code 5."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        variables = {**ENVIRONMENT, "ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": "sim-x"}
        done = wrapgen("publish", str(make()), at_home=False, env=variables)
    assert done.returncode == 5
    assert address in done.stderr
    assert "ALGORITHMIA_API" in done.stderr
    assert "sim-x" not in done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_json_for_scripts(wrapgen, make) -> None:
    """With --json an error is one object with a code."""
    done = wrapgen("publish", str(make()), "--environment", "cobol", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "usage"


def test_nothing_is_left_in_the_temporary_folder(make, wrapgen, tmp_path: Path) -> None:
    """The clone goes when the publish ends."""
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    done = wrapgen("publish", str(make()), env={**ENVIRONMENT, "TMPDIR": str(temporary)})
    assert done.returncode == 0, done.stderr
    assert list(temporary.iterdir()) == []


def test_a_proxy_in_the_environment_is_not_asked_for_this_machine(make, wrapgen) -> None:
    """Neither our calls nor git's go through a proxy to a loopback address."""
    proxy = {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"}
    done = wrapgen("publish", str(make()), env={**ENVIRONMENT, **proxy})
    assert done.returncode == 0, done.stderr


def test_a_bare_connection_can_publish(make, client: Client, publisher) -> None:
    """Address and key alone are enough where the owner exists."""
    publisher(make(owner="bare"))
    publisher.client = Client(Connection(client.connection.address, client.connection.key, "a test"))
    assert publisher(make(owner="bare", name="Second")).released


@pytest.mark.parametrize("line", ["pushed ", "building ", "released .*0.0"])
def test_a_platform_that_is_killed_meanwhile_is_no_loss(line: str, make, tmp_path: Path) -> None:
    """The platform dies during a publish: one clear line; when it is back, the same command finishes."""
    home, folder = tmp_path / "home", make("1")
    words = ["publish", str(folder), "--release", "1.0.1", "--home", str(home)]
    with serving(home) as server:
        command = [sys.executable, "-m", "wrapgen", *words]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT) as process:
            assert process.stderr is not None
            said = ""
            for each in process.stderr:
                said += each
                if re.match(line, each):
                    server.send_signal(signal.SIGKILL)
        assert process.returncode == 5, said
        assert "Traceback" not in said
        assert f"wrapgen serve --home {home}" in said or "cut off" in said
    with serving(home) as server:
        again = subprocess.run(
            [*command, "--json"], capture_output=True, text=True, env=ENVIRONMENT, timeout=120
        )
        assert again.returncode == 0, again.stderr
        assert json.loads(again.stdout)["version"] == "1.0.1"
        server.terminate()


@contextmanager
def serving(home: Path) -> Iterator[subprocess.Popen[str]]:
    """A platform of its own, ready to answer."""
    command = [
        sys.executable,
        "-m",
        "wrapgen",
        "serve",
        "--home",
        str(home),
        "--port",
        "0",
        "--json",
        "--allow-root-workers",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as server:
        assert server.stdout is not None
        assert server.stdout.readline(), "the platform did not start"
        try:
            yield server
        finally:
            server.terminate()
