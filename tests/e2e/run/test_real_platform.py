"""A run on the real platform through the real wrapper, while platform and workers are killed under it."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
ITEMS = 1000
REF = "acme/SentimentBatch"


class Hosted:
    """`wrapgen serve` with one home, to be killed and started again on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ALGORITHMIA")}
        self.server: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Starts it and waits until it is ready."""
        words = ["serve", "--home", "home", "--port", str(self.port), "--json"]
        self.server = self.spawn(words, stderr=subprocess.DEVNULL)
        ready = json.loads(self.server.stdout.readline())
        self.port = int(ready["address"].rpartition(":")[2])

    def spawn(self, words: list[str], stderr: Any = subprocess.PIPE) -> subprocess.Popen[str]:
        """Starts a wrapgen command."""
        return subprocess.Popen(
            [sys.executable, "-m", "wrapgen", *words],
            cwd=self.folder,
            env=self.environment,
            text=True,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )

    def __call__(self, *words: str) -> dict[str, Any]:
        """Runs a command with --json to its end."""
        home = [] if words[0] == "build" else ["--home", "home"]
        process = self.spawn([*words, *home, "--json"])
        out, err = process.communicate(timeout=200)
        assert process.returncode == 0, f"{words}: {process.returncode}\n{out}\n{err}"
        return json.loads(out)

    def kill(self) -> None:
        """SIGKILL."""
        self.server.kill()
        self.server.communicate()

    def workers(self) -> list[int]:
        """The processes that run algorithms of this home."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    words = (entry / "cmdline").read_bytes()
                except OSError:
                    continue
                if b"workers/start.py" in words and str(self.folder).encode() in words.split(b"\0")[0]:
                    found.append(int(entry.name))
        return found


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    """A platform with the sample target and its wrapper."""
    if not Path("/proc/self/cmdline").exists():
        pytest.skip("workers are found in /proc, which this system does not have")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    hosted = Hosted(tmp_path)
    hosted.start()
    hosted("publish", "examples/sentiment/target", "--release", "1.0.5")
    hosted("build", "examples/sentiment/spec.yaml")
    hosted("publish", "generated/SentimentBatch")
    yield hosted
    hosted.server.send_signal(signal.SIGTERM)
    hosted.server.communicate(timeout=120)


def finished(folder: Path) -> int:
    """Chunks that the ledger of a run holds outcomes of."""
    ledger = folder / "ledger.jsonl"
    return ledger.read_bytes().count(b'{"e":"done"') if ledger.exists() else 0


def wait_for_chunks(folder: Path, more: int, process: subprocess.Popen[str]) -> None:
    """Returns when so many more chunks are done, or the run has ended."""
    wanted, nobody, deadline = finished(folder) + more, threading.Event(), time.monotonic() + 180
    while finished(folder) < wanted and process.poll() is None and time.monotonic() < deadline:
        nobody.wait(0.01)


def test_a_run_outlives_its_platform_and_workers(hosted):
    """Platform and workers killed in the middle: the run goes on by itself, and everything reconciles."""
    chance = random.Random(5)
    (hosted.folder / "in.jsonl").write_text(
        "".join(json.dumps({"document": f"I like number {n}."}) + "\n" for n in range(ITEMS))
    )
    calm = hosted("run", REF, "in.jsonl", "-o", "calm.jsonl")
    assert calm["state"] == "ok"
    words = ["run", REF, "in.jsonl", "-o", "killed.jsonl", "--chunk", "16", "--home", "home", "--json"]
    process = hosted.spawn(words)
    folder = hosted.folder / "killed.jsonl.run"
    for what in ("worker", "worker", "platform", "worker", "platform"):
        wait_for_chunks(folder, chance.randint(2, 8), process)
        if what == "platform":
            hosted.kill()
            hosted.start()
        elif workers := hosted.workers():
            os.kill(chance.choice(workers), signal.SIGKILL)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, f"{out}\n{err}"
    assert (hosted.folder / "killed.jsonl").read_bytes() == (hosted.folder / "calm.jsonl").read_bytes()
    checked = hosted("verify", "killed.jsonl")
    assert {check["name"]: check["state"] for check in checked["checks"]} == dict.fromkeys(
        ["input", "items", "output", "errors", "records"], "ok"
    )
