"""The bench runs: everything tiny, nothing installed, no figure judged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"batch", "serving", "distance", "generation", "growth"}


def test_every_part_of_the_bench_runs_and_writes_its_table(tmp_path):
    """One command measures all five parts side by side and writes a page with a table for each."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--smoke", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    data = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert set(data["parts"]) == PARTS
    page = (tmp_path / "RESULTS.md").read_text("utf-8")
    sections = page.split("\n## ")
    assert len(sections) >= 1 + len(PARTS)
    assert all("| --- |" in section for section in sections)
    batch = data["parts"]["batch"]
    assert not [note for note in batch.values() if "failed" in note], batch
