"""A wrapper whose n-th system call of a kind fails: results or clear errors, and a record of each result."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from asked_platform import PIPES, WORTH, Asked, counts, failing, injected
from numbers_page import publish
from system_calls import can_trace

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be failed: {can_trace()}"),
]

SPEC = """version: 1
target: {algorithm: local/Power/0.1.0}
wrapper: {name: local/PowerBatch, mode: both}
datastore: {url: data://local/power}
dispatch: {parallel: 2}
"""


class Wrapped(Asked):
    """A platform with a wrapper."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        (folder / "spec.yaml").write_text(SPEC)
        self.life.ask("POST", "/v1/data/.my", json={"name": "power"})
        self.life.ask("POST", "/v1/algo/local/Power", json=1)
        for words in (["build", "spec.yaml"], ["publish", "generated/PowerBatch", "--skip-cases"]):
            variables = {**os.environ, "ALGORITHMIA_API": self.life.facts["address"]}
            done = subprocess.run(
                [sys.executable, "-m", "wrapgen", *words],
                cwd=folder,
                env={**variables, "ALGORITHMIA_API_KEY": self.life.key},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr

    @property
    def worker(self) -> int:
        """The process that runs the wrapper."""
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                cwd = (entry / "cwd").readlink()
                if b"/bootstrap.py" in words and cwd.is_relative_to(self.folder) and _is_wrapper(cwd):
                    return int(entry.name)
        raise AssertionError("no worker runs the wrapper")

    def call(self, number: int, again: int = 1) -> tuple[int, Any]:
        """A batch of three items; status and answer."""
        asked = {"$batch": [number, 1, 2], "$run": f"r{number}", "$index": 0, "$try": again, "$timeout": 20}
        try:
            answer = self.life.session.post(
                f"{self.life.facts['address']}/v1/algo/local/PowerBatch/0.1.0",
                json=asked,
                headers={"Authorization": self.life.key},
                timeout=40,
            )
        except requests.Timeout:
            return 599, {"error": {"message": ""}}  # no answer at all is wrong
        return answer.status_code, answer.json()

    def wrong(self, number: int, status: int, answer: Any, *, calm: bool) -> list[str]:
        """What is wrong with an answer, or missing of what it says."""
        if "error" in answer:
            message = answer["error"]["message"]
            return [f"{status} {answer}"] if calm or not message or message == "internal error" else []
        results = answer["result"]["$results"]
        well = {str(at) for at, result in enumerate(results) if "seen" in result}
        failed = [result for result in results if "seen" not in result]
        found = [f"{failed}"] if calm and failed else []
        found += [f"{one}" for one in failed if not one["$error"]["message"]]
        kept = self._records(number)
        return found + ([f"no records of {sorted(well - kept)}"] if well - kept else [])

    def _records(self, number: int) -> set[str]:
        found = set()
        for entry in self.life.ask("GET", "/v1/data/local/power")["files"]:
            if entry["filename"].startswith(f"r{number}-"):
                body = self.life.session.get(
                    f"{self.life.facts['address']}/v1/data/local/power/{entry['filename']}",
                    headers={"Authorization": self.life.key},
                    timeout=60,
                )
                found |= {one["id"] for one in map(json.loads, body.text.splitlines()) if "result" in one}
                self.life.ask("DELETE", f"/v1/data/local/power/{entry['filename']}")
        return found


def _is_wrapper(folder: Path) -> bool:
    return any(folder.rglob("PowerBatch.py"))


@pytest.fixture
def wrapped(quick: Path) -> Iterator[Wrapped]:
    """A platform with a wrapper."""
    found = Wrapped(quick)
    yield found
    found.life.process.terminate()
    assert found.life.process.wait(60) == 0


def test_a_wrapper_survives_every_failing_call(wrapped):
    """Each call of every kind fails in turn: an item has a result and its record, or a clear error."""
    tried, number, found = 0, 10, []
    wrapped.call(1)
    for call, numbers in counts(wrapped.worker, wrapped.folder, lambda: wrapped.call(2)).items():
        for inject in (f"{call}:error={error}:when={at}" for error in WORTH[call] for at in numbers):
            number += 1
            with failing(wrapped.worker, wrapped.folder, inject) as log:
                status, answer = wrapped.call(number)
            lines = injected(log)
            if any(word in line for line in lines for word in PIPES):
                wrapped.call(number)
                continue
            tried += len(lines)
            wrong = wrapped.wrong(number, status, answer, calm=False)
            wrong += wrapped.wrong(number, *wrapped.call(number, 2), calm=True)
            found += [f"{inject}: {lines[:2]}: {wrong}"] if wrong else []
    assert not found, "\n".join(found)
    assert tried > 20
    publish("system calls of a wrapper failed, one at a time", tried)
