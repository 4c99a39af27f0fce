"""The bench runs: everything tiny, nothing installed, no figure judged; and its rules judge figures."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench import compare, trees
from bench.__main__ import go
from bench.measure import Failed
from bench.options import Bench
from bench.parts import engines
from bench.render import render
from bench.store import Store

ROOT = Path(__file__).resolve().parents[2]
ROWS = {"recording", "hosted", "shards", "served", "states"}
"""Parts that measure the working tree alone; `ray_serve` has nothing for a smoke, which installs no Ray."""
PARTS = {"batch", "serving", "distance", "generation", "growth", "engines"} | ROWS


def bench(*words: str) -> subprocess.CompletedProcess[str]:
    """One run of the command."""
    command = [sys.executable, "-m", "bench", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)


def has_commits() -> bool:
    """Whether this is a checkout with a history, not an unpacked archive."""
    return subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True).returncode == 0


def smoke(folder: Path, *words: str) -> tuple[dict, str]:
    """The results and the page of a bench in which everything is tiny."""
    done = bench("--smoke", "--out", str(folder), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / "results.json").read_text("utf-8")), (folder / "RESULTS.md").read_text(
        "utf-8"
    )


def test_every_part_of_the_bench_runs_and_writes_its_table(tmp_path):
    """One command measures all parts and writes their tables."""
    data, page = smoke(tmp_path)
    assert set(data["parts"]) == PARTS
    sections = page.split("\n## ")
    assert len(sections) >= 1 + len(PARTS)
    assert all("| --- |" in section for section in sections)
    for part, count in (
        ("batch", 2),
        ("engines", 4),
        ("recording", 1),
        ("hosted", 2),
        ("shards", 1),
        ("served", 1),
        ("states", 1),
    ):
        found = data["parts"][part]
        assert len(found) == count and not [note for note in found.values() if "failed" in note], found


ALL = "1,2,3,4,5,6"


@pytest.mark.parametrize("parts", ["4", pytest.param(ALL, marks=pytest.mark.soak)])
def test_a_commit_is_measured_beside_the_working_tree(tmp_path, parts):
    """Both are measured by the same command, each part of theirs, and compared row by row."""
    if not has_commits():
        pytest.skip("no checkout with a history")
    data, page = smoke(tmp_path, "--against", "HEAD", "--only", parts)
    compared = {row.part for row in compare.rows(data)}
    beside = set(data["parts"]) - ROWS
    assert set(data["against"]) == beside >= compared
    assert compared >= (PARTS - ROWS - {"serving"} if parts == ALL else {"generation"})  # serving needs wrk
    assert "\n## Beside HEAD\n" in page


@pytest.mark.soak
def test_every_engine_is_measured_whole():
    """Runner, SQS and Spark as a user starts them, beside the connectors alone."""
    pytest.importorskip("pyspark", reason="Spark is not installed: pip install -e '.[spark]'")
    command = [sys.executable, str(ROOT / "bench" / "engines.py"), "40", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    names = [json.loads(line)["name"] for line in done.stdout.splitlines() if line.startswith("{")]
    assert tuple(names) == engines.ALONE + engines.WHOLE


def test_a_commit_that_is_not_there_is_one_line(tmp_path):
    """An unknown commit ends the bench with what to do about it, before anything is measured."""
    done = bench("--smoke", "--out", str(tmp_path), "--against", "no-such-commit")
    assert done.returncode == 1
    said = "no commit no-such-commit here; a shallow clone lacks it: git fetch --unshallow"
    assert done.stderr == f"bench: {said}\n"


def test_options_are_given_to_the_commits_that_know_them(tmp_path):
    """The working tree's platform gets no sandbox; a command that knows no such option is not given it."""
    command = trees.WORKING.command("serve", "--port", "0")
    assert command[1:4] == ["serve", "--port", "0"] and "--isolation" in command
    program = tmp_path / "wrapgen"
    program.write_text("#!/bin/sh\necho 'Usage: wrapgen serve [--home HOME] [--port PORT]'\n")
    program.chmod(0o755)
    older = trees.Tree("older", tmp_path, tmp_path / "python")
    assert older.command("serve", "--port", "0") == [str(program), "serve", "--port", "0"]
    with pytest.raises(Failed, match="older does not measure engines"):
        older.script("engines")


def measured(ours: list[float], theirs: list[float]) -> dict:
    """Data of a bench in which the runner took so many seconds in each round."""
    about = {"items": 100, "tree": "working tree", "against": "0abe4b7", "rounds": len(ours)}
    return {"about": about, "parts": {}, "against": {}, **noted("runner alone", ours, theirs)}


def noted(name: str, ours: list[float], theirs: list[float]) -> dict:
    """One connector's rounds, for both."""
    return {
        below: {"engines": {name: {"rounds": [{"items": 100, "seconds": each} for each in seconds]}}}
        for below, seconds in (("parts", ours), ("against", theirs))
    }


@pytest.mark.parametrize(
    ("ours", "theirs", "verdict"),
    [
        ([1.0, 1.01, 0.99], [1.0, 0.99, 1.0], ""),
        ([1.2, 1.21, 1.19], [1.0, 0.99, 1.0], "slower"),
        ([1.0, 0.99, 1.0], [1.2, 1.21, 1.19], "faster"),
        ([1.04, 1.04, 1.04], [1.0, 1.0, 1.0], ""),  # not by more than 5 %
        ([1.2, 0.9, 1.1], [1.0, 1.0, 1.0], ""),  # within what the rounds differ by
        ([1.2], [1.0], ""),  # one round tells nothing of the spread
    ],
)
def test_slower_is_what_lost_five_per_cent_beyond_the_spread(ours, theirs, verdict):
    """A loss is marked if it is more than 5 % and more than the rounds differ by anyway."""
    data = measured(ours, theirs)
    [row] = compare.rows(data)
    assert row.verdict == verdict
    assert row.ratio == pytest.approx(theirs[0] / ours[0], rel=0.15)
    page = render(data)
    assert ("| **slower** |" in page) == (verdict == "slower")
    assert ("Slower: runner alone" in page) == (verdict == "slower")


def test_what_an_older_commit_can_not_is_said():
    """A part that only one of the two can run is no comparison, but is not passed over either."""
    data = measured([1.0, 1.0], [])
    data["against"]["engines"]["runner alone"]["failed"] = "0abe4b7 does not measure engines"
    assert compare.rows(data) == []
    said = "Not measured of 0abe4b7:\n\n- engines, runner alone: 0abe4b7 does not measure engines"
    assert said in render(data)


@dataclass
class FakePart:
    """A part that does so much."""

    PART: str
    work: Callable[[], object]

    def minutes(self, _: object) -> float:
        """Little enough that a deadline of seconds comes of it."""
        return -0.98

    def measure_all(self, _: object) -> None:
        """Does it."""
        self.work()


def test_a_part_that_fails_or_hangs_ends_no_other(tmp_path):
    """What became of it is noted and on the page; the next part begins, and a resumed bench tries again."""
    (tmp_path / "work").mkdir()
    store = Store(tmp_path / "progress.json")
    done: list[str] = []
    parts = [
        FakePart("generation", lambda: 1 / 0),
        FakePart("engines", threading.Event().wait),
        FakePart("serving", lambda: done.append("serving")),
    ]
    go([Bench(store=store, work=tmp_path / "work", smoke=True)], parts, lambda: done.append("page"))
    assert done == ["page", "page", "serving", "page"]
    failed = Store(tmp_path / "progress.json").data["about"]["failed"]
    assert failed == {"generation": "ZeroDivisionError: division by zero", "engines": "not done after 0 min"}
    assert "## Engines\n\nfailed: not done after 0 min" in render(store.data)
    store.put("engines", "Spark", {"failed": "why"})
    store.put("engines", "runner", {"rounds": [1]})
    store.retry("engines")
    assert store.get("engines", "Spark") is None and store.has("engines", "runner")
    assert not store.failed("engines") and store.failed("generation")


def test_a_lucky_row_is_judged_by_what_is_usual_in_its_part():
    """Rounds that happen to agree don't make a small loss significant where all others vary."""
    data = measured([1.08, 1.08, 1.08], [1.0, 1.0, 1.0])
    for name in ("SQS worker alone", "Lambda handler alone"):
        for below, part in noted(name, [1.0, 1.1, 0.9], [1.0, 1.0, 1.0]).items():
            data[below]["engines"].update(part["engines"])
    assert [row.verdict for row in compare.rows(data)] == ["", "", ""]
