"""Starts of a platform, pushes and builds whose n-th system call of a kind fails: told, and then it works."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import requests
from asked_platform import PIPES, WORTH, Asked, counts, failing, injected
from faulty_calls import Commands, Failed
from numbers_page import publish
from system_calls import can_trace

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be failed: {can_trace()}"),
]

EACH = 12
"""Calls of each kind and error that are tried, chosen by chance."""


class Starts:
    """A platform that is started in an empty home, and stopped when it is ready.

    Args:
        folder: for the home and what is said.
    """

    def __init__(self, folder: Path) -> None:
        self._said = folder / "said"
        self._said.mkdir()
        self.home = folder / "home"
        self.words = ["serve", "--home", str(self.home), "--port", "0", "--json", "--isolation", "none"]
        self.words.append("--allow-root-workers")

    def commands(self) -> Commands:
        """Starts servers, most modules imported."""
        return Commands(self._said, ["serve", "--help"], dict(os.environ))

    def start(self, commands: Commands, *inject: str) -> Failed:
        """One start, stopped by SIGTERM once it is ready."""
        done, tick = threading.Event(), threading.Event()

        def stop() -> None:
            while not done.is_set():
                said = (self._said / "out").read_bytes() if (self._said / "out").exists() else b""
                if b'"address"' in said and commands.child:
                    os.kill(commands.child, signal.SIGTERM)
                    return
                tick.wait(0.02)

        (self._said / "out").unlink(missing_ok=True)
        watch = threading.Thread(target=stop)
        watch.start()
        try:
            return commands.run(self.words, *inject)
        finally:
            done.set()
            watch.join()


def test_a_start_survives_failing_calls(quick):
    """A start whose call fails ends with a clear message or is ready; the next one is ready."""
    starts, random, tried, found = Starts(quick), Random(1), 0, []
    with starts.commands() as commands:
        assert starts.start(commands).code == 0
        shutil.rmtree(starts.home)
        known = commands.counts(starts.words, starts.start)
        for call in WORTH:
            most = known.get(call, 0)
            chosen = random.sample(range(1, most + 1), min(EACH // 4, most))
            for inject in (f"{call}:error={error}:when={at}" for error in WORTH[call] for at in chosen):
                shutil.rmtree(starts.home)
                failed = starts.start(commands, inject)
                if not failed.calls or any(word in line for line in failed.calls for word in PIPES):
                    starts.home.mkdir(exist_ok=True)
                    continue
                tried += 1
                said = failed.out + failed.err
                if failed.code < 0 or failed.code in (1, 70) or (failed.code and "error" not in said):
                    found.append(f"{failed.calls[:1]}: {failed.code}: {said[-600:]}")
                starts.home.mkdir(exist_ok=True)
                again = starts.start(commands)
                if again.code:
                    found.append(f"{failed.calls[:1]}: then {again.code}: {again.err}")
    assert not found, "\n".join(found)
    assert tried > 50
    publish("system calls of a platform's start failed, one at a time", tried)


@pytest.fixture
def asked(quick: Path) -> Iterator[Asked]:
    """A platform with an algorithm."""
    found = Asked(quick)
    yield found
    found.life.process.terminate()
    assert found.life.process.wait(60) == 0


def push(asked: Asked, number: int) -> str:
    """Pushes a commit and builds it; what went wrong."""
    life, clone = asked.life, asked.folder / "clone"
    (clone / "src" / "Power.py").write_text(f"def apply(input):\n    return {{'seen': input}}\n# {number}\n")
    remote = life.facts["address"].replace("//", f"//local:{life.key}@") + "/git/local/Power.git"
    try:
        life.git(clone, "commit", "-qam", f"Change {number}", "--allow-empty")
        life.git(clone, "push", "-q", remote, "HEAD:master")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        return str(error)
    headers = {"Authorization": life.key}
    place = life.facts["address"] + "/v1/algorithms/local/Power/compile"
    try:
        answer = requests.post(place, headers=headers, json={}, timeout=120)
    except requests.ConnectionError as error:
        return str(error)
    built = answer.ok and answer.json().get("compilation", {}).get("successful")
    return "" if built else json.dumps(answer.json())


def test_a_push_survives_failing_calls(asked):
    """A push or build whose call fails, of the server's or of git's, says so; the next one succeeds."""
    random, tried, found = Random(1), 0, []
    assert not push(asked, 0)
    known = counts(asked.pid, asked.folder, lambda: push(asked, 1))
    for call, numbers in known.items():
        chosen = random.sample(numbers, min(EACH // 3, len(numbers)))
        for inject in (f"{call}:error={error}:when={at}" for error in WORTH[call] for at in chosen):
            with failing(asked.pid, asked.folder, inject) as log:
                why = push(asked, tried)
            lines = injected(log)
            if ended := asked.life.process.poll() is not None:
                asked.restart()
            if any(word in line for line in lines for word in PIPES):
                if not ended:  # it may wait for a process of which it could not tell itself that it ended
                    asked.life.process.kill()
                    asked.life.process.wait(60)
                    asked.restart()
                continue
            found += [f"{lines[:2]}: ended"] if ended else []
            tried += bool(lines)
            if any(word in why for word in ("internal error", "Traceback", "timed out")):
                found.append(f"{lines[:2]}: {why}")
            if after := push(asked, tried):
                found.append(f"{lines[:2]}: then {after}")
    assert not found, "\n".join(found)
    assert tried > 50
    publish("system calls of pushes and builds failed, one at a time", tried)
