"""`wrapgen run` on a real platform: what it sums up is what the records and the target say."""

from __future__ import annotations

import json
import subprocess
from collections import Counter

import commands
import pytest


@pytest.fixture
def wrapgen(platform, tmp_path):
    """Runs a command over some items, to its output, to its end: standard output and error."""

    def start(command, items, *words: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "in.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        files = [platform.reference, "in.jsonl", "-o", "out.jsonl"]
        return commands.run(command, *files, *words, cwd=tmp_path, env=platform.environment, timeout=90)

    return start


def test_sums_of_a_run_are_those_of_its_records(wrapgen, platform, tmp_path):
    """Attempts, errors, bytes and records of the summaries add up to what the datastore holds."""
    items = [f"text {n}" for n in range(60)] + ["fail InputError", "fail AlgorithmError", "fail InputError"]
    ran = wrapgen("run", items, "--json", "--run", "sums-1")
    assert ran.returncode == 10, ran.stderr
    told = json.loads(ran.stdout)
    records = platform.records("sums-1").values()
    failed = Counter(record["error"]["type"] for record in records if "error" in record)
    target = told["target"]
    assert (target["recorded"], target["refused"], target["unrecorded"]) == (len(records), 0, 0)
    assert target["attempts"] == sum(record["attempts"] for record in records) == told["target_calls"]
    assert target["errors"] == told["failed_by_type"] == failed == {"InputError": 2, "AlgorithmError": 1}
    assert target["bytes_in"] == sum(map(len, items)) and target["bytes_out"] > 0
    assert 0 < target["p50"] <= target["p99"] < told["seconds"]
    page = (tmp_path / "out.jsonl.report.html").read_text()
    assert f'<data id="target-recorded" value="{len(records)}">' in page


def test_the_end_of_a_run_says_what_its_target_did(wrapgen):
    """Printed too: calls and times of the target, bytes, records written and refused, errors by type."""
    ran = wrapgen("run", ["one", "fail InputError"], "--run", "sums-2", "--budget", "100")
    lines = {line.split()[0]: line.split(maxsplit=1)[-1] for line in ran.stdout.splitlines() if line.strip()}
    assert lines["records"] == "2 written, 0 refused" and lines["errors"] == "InputError 1"
    assert lines["target"].startswith("2 calls, half within ") and "18B to it" in lines["target"]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_an_estimate_is_near_what_the_run_takes(wrapgen, workers):
    """The range of times that a probe predicts, by calls that are open, holds what that run then takes.

    The target takes far longer than everything else does, so that a busy machine changes both alike.
    """
    items = [{"n": n, "seconds": 0.04} for n in range(250)]
    plan = json.loads(wrapgen("plan", items, "--json", "--workers", workers).stdout)
    ran = json.loads(wrapgen("run", items, "--json", "--workers", workers).stdout)
    low, high = plan["seconds_range"][workers]
    seconds = ran["seconds"] * len(items) / (len(items) - ran["already"])
    assert low / 3 < seconds < high * 3 + 10, (plan["probes"], low, high, seconds)
