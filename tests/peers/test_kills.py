"""Kills over endpoints: runner and worker processes end anywhere, and each key is recorded once.

The endpoint executes what it is sent, hangs up or says 503 at times, and honours Idempotency-Key: "at least
once" becomes once, which it counts itself.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import real_servers
from scoring import score
from stand_in_servers import Answer, Asked, FastApi, Handler, forward, stand_in

SPEC = """
version: 1
target:
  endpoint: URL/once
  protocol: json
  headers: {Idempotency-Key: $call.key}
wrapper: {name: acme/Once, mode: both}
datastore: {url: "file://FOLDER"}
dispatch: {parallel: 4}
"""


class Unreliable:
    """The endpoint. `after(requests, do)` has something done once so many more requests have come.

    Attributes:
        model: counts what was executed.
        hung_up: how often a request was executed, and its answer kept back.
        killed: what was killed, in order: runner or worker.
    """

    def __init__(self, seed: int, behind: Handler) -> None:
        self._behind = behind
        self.hung_up = 0
        self.killed: list[str] = []
        self._chance = random.Random(seed)
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._left, self._do = 0, lambda: None

    def after(self, requests: int, do: Any) -> None:
        with self._lock:
            self._left, self._do = requests, do

    def __call__(self, asked: Asked) -> Answer | None:
        found = self._behind(asked)
        with self._lock:
            self._left -= 1
            if self._left == 0:
                self._do()
            key = asked.headers["Idempotency-Key"]
            lot = 1.0 if key in self._seen else self._chance.random()
            self._seen.add(key)
            self.hung_up += lot < 0.1
        if lot < 0.1:
            return None
        return Answer(503, {"detail": "busy"}, (("retry-after", "0"),)) if lot < 0.2 else found


def runner(folder: Path) -> subprocess.Popen[str]:
    """The command as a user gives it, in a process of its own."""
    words = ["run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", "--json", "--chunk", "8", "--budget", "100"]
    return subprocess.Popen(
        [sys.executable, "-m", "wrapgen", *words],
        cwd=folder,
        env={**os.environ, "WRAPGEN_CACHE": str(folder / "cache")},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    found = []
    for entry in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            stat = (entry / "stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.append(int(entry.name))
    return found


def kill(process: subprocess.Popen[str], chance: random.Random, killed: list[str]) -> None:
    """Ends the runner, or one of its worker processes, at once."""
    workers = children(process.pid)
    victim = chance.choice([process.pid, *workers[:1]])
    with suppress(OSError):
        os.kill(victim, signal.SIGKILL)
        killed.append("runner" if victim == process.pid else "worker")


def work(
    folder: Path, seed: int, items: int, kills: int, behind: Handler, executed: Callable[[], dict[str, int]]
) -> Unreliable:
    """A run to its end, killed on the way.

    Args:
        folder: an empty one.
        seed: of chance.
        items: of the run.
        kills: that are tried.
        behind: the server, which honours keys.
        executed: how often each text was executed.
    """
    chance, endpoint = random.Random(seed), Unreliable(seed, behind)
    texts = [f"text {number} {'x' * (number % 9)}" for number in range(items)]
    (folder / "in.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    with stand_in(endpoint) as url:
        spec = SPEC.replace("URL", url).replace("FOLDER", str(folder / "records"))
        (folder / "spec.yaml").write_text(spec)
        for _ in range(kills):
            process = runner(folder)
            endpoint.after(chance.randint(1, items // 4), lambda: kill(process, chance, endpoint.killed))  # noqa: B023
            process.communicate(timeout=300)
        endpoint.after(0, None)
        process = runner(folder)
        said, errors = process.communicate(timeout=300)
    assert process.returncode == 0, said + errors
    results = [json.loads(line)["result"] for line in (folder / "out.jsonl").open()]
    assert results == [score(text) for text in texts]
    assert executed() == dict.fromkeys(texts, 1), "an item was executed twice"
    words = [sys.executable, "-m", "wrapgen", "verify", "out.jsonl", "--json"]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=120)
    checks = {one["name"]: one["state"] for one in json.loads(done.stdout)["checks"]}
    assert checks["records"] == "ok", done.stdout
    assert set(checks.values()) == {"ok"}, done.stdout
    return endpoint


def test_a_killed_run_executes_and_records_each_item_once(tmp_path):
    """SIGKILL of the runner or a worker three times: the output is whole, each item was executed once."""
    model = FastApi()
    endpoint = work(tmp_path, 5, 120, 3, model, lambda: dict(model.executions))
    assert endpoint.hung_up
    assert endpoint.killed


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(12))
def test_kills_anywhere(tmp_path, seed):
    """The same for many seeds, with ten kills each."""
    model = FastApi()
    work(tmp_path, seed, 200, 10, model, lambda: dict(model.executions))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(3))
def test_kills_with_a_real_server(tmp_path, seed):
    """The same with FastAPI, which keeps keys in a database."""
    if reason := real_servers.missing("fastapi"):
        pytest.skip(reason)
    kept = tmp_path / "executions"
    variables = {"EXECUTIONS": str(kept), "KEYS": str(tmp_path / "keys.sqlite")}
    with real_servers.server("fastapi", tmp_path / "fastapi", variables) as server:
        behind = forward(server.address)
        runs = tmp_path / "run"
        runs.mkdir()
        work(runs, seed, 120, 6, behind, lambda: executions(kept))


def executions(kept: Path) -> dict[str, int]:
    """How often the server's model was asked for each text; not those that it was asked until it was up."""
    return dict(Counter(line for line in kept.read_text().splitlines() if line.startswith("text")))
