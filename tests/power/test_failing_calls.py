"""Runs whose n-th system call of a kind fails: a clear message, and the same command still succeeds."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from faulty_calls import ERRORS, Commands, Failed
from numbers_page import publish
from run_platform import hosted
from short_run import VALUES, ShortWrapper
from system_calls import can_trace

pytestmark = pytest.mark.skipif(bool(can_trace()), reason=f"system calls can't be failed: {can_trace()}")


class Runs:
    """A short run, again and again, each in an empty folder.

    Args:
        folder: for all of them.
        address: of the platform.
    """

    def __init__(self, folder: Path, address: str) -> None:
        self._folder = folder / "run"
        self._said = folder / "said"
        self._said.mkdir()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("ALGORITHMIA")}
        self.environment |= {"ALGORITHMIA_API": address, "ALGORITHMIA_API_KEY": "simkey"}
        self.words = ["run", "acme/Batch/1.0.0", str(self._folder / "in.jsonl"), "-o", str(self.output)]
        self.words += ["--patience", "2", "--chunk", "4", "--workers", "2"]

    @property
    def output(self) -> Path:
        """Where the results go."""
        return self._folder / "out.jsonl"

    def empty(self) -> list[str]:
        """The words of a run in an empty folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._folder.mkdir()
        (self._folder / "in.jsonl").write_text("".join(json.dumps(value) + "\n" for value in VALUES))
        return self.words

    def commands(self) -> Commands:
        """Runs commands, all their modules imported."""
        return Commands(self._said, self.empty(), self.environment)


@pytest.fixture
def runs(quick: Path) -> Iterator[Runs]:
    """A platform with a wrapper, and runs of it."""
    with hosted(ShortWrapper(lambda _: None, set())) as address:
        yield Runs(quick, address)


def wrong(runs: Runs, commands: Commands, failed: Failed, expected: bytes) -> str:
    """What is wrong with how a run ended whose call failed; empty for nothing."""
    if failed.code < 0 or failed.code in (1, 70) or "Traceback" in failed.out + failed.err:
        return f"exit code {failed.code}: {failed.err}"
    if failed.code == 0:
        return "" if runs.output.read_bytes() == expected else "success, and another output"
    if not failed.err.strip():
        return f"exit code {failed.code}, and no message"
    again = commands.run(runs.words)
    if again.code or runs.output.read_bytes() != expected:
        return f"{failed.err}, and the same command ends with {again.code}: {again.err}"
    return ""


def fail_each(runs: Runs, chosen: dict[str, list[int]] | None) -> tuple[int, list[str]]:
    """Fails system calls of runs one after the other; how many, and what went wrong.

    Args:
        runs: the runs.
        chosen: which of each kind, by their number in a thread; None for all.
    """
    tried, found = 0, []
    with runs.commands() as commands:
        assert commands.run(runs.empty()).code == 0
        expected = runs.output.read_bytes()
        counts = commands.counts(runs.empty()) if chosen is None else {}
        for call, errors in ERRORS.items():
            numbers = range(1, counts.get(call, 0) + 1) if chosen is None else chosen.get(call, ())
            for error, number in ((error, number) for error in errors for number in numbers):
                failed = commands.run(runs.empty(), f"{call}:error={error}:when={number}")
                tried += len(failed.calls)
                if failed.calls and (why := wrong(runs, commands, failed, expected)):
                    found.append(f"{failed.calls[0]}: {why}")
    return tried, found


def test_a_run_survives_failing_calls(runs):
    """Some calls of each of the most important kinds fail in turn: no traceback, and the run can go on."""
    random = Random(1)
    chosen = {"openat": 40, "write": 30, "fsync": 12, "rename": 3, "recvfrom": 5}
    numbers = {call: [random.randint(1, most)] for call, most in chosen.items()}
    tried, found = fail_each(runs, numbers)
    assert not found and tried > 10


@pytest.mark.soak
def test_a_run_survives_every_failing_call(runs):
    """Each call of every kind fails in turn."""
    tried, found = fail_each(runs, None)
    assert not found, "\n".join(found)
    publish("system calls of a run failed, one at a time", tried)
