"""The bench runs: everything tiny, nothing installed, no figure judged."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"batch", "serving", "distance", "generation", "growth", "engines"}


def test_every_part_of_the_bench_runs_and_writes_its_table(tmp_path):
    """One command measures all parts side by side and writes a page with a table for each."""
    done = subprocess.run(
        [sys.executable, "-m", "bench", "--smoke", "--out", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
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
    engines = data["parts"]["engines"]
    spark = importlib.util.find_spec("pyspark") is not None
    failed = {name: note for name, note in engines.items() if "failed" in note}
    assert len(engines) == 8 and not (failed if spark else failed.keys() - {"Spark, local[2]"}), failed
