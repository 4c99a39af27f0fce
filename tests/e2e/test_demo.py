"""The demo, whole: the first thing that anybody runs."""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def processes() -> set[str]:
    """Command lines of the running processes that belong to the demo's platform."""
    lines = set()
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:
            continue
        if ".demo/home" in words:
            lines.add(words)
    return lines


def test_the_demo_scores_every_tweet_and_leaves_no_process_behind() -> None:
    """4,200 items, no errors, 4,200 records, the known correlation, and nothing left running."""
    environment = {**os.environ, "NO_COLOR": "1", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "examples/sentiment/demo.py"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = "\n".join(line.rstrip() for line in (done.stdout + done.stderr).splitlines())
    assert done.returncode == 0, said
    assert re.search(r"^items +4,200$", said, re.MULTILINE), said
    assert re.search(r"^errors +0$", said, re.MULTILINE), said
    assert re.search(r"^correlation with the human ratings +0\.8722$", said, re.MULTILINE), said
    assert re.search(r"^records in data://acme/sentiment +4,200 ", said, re.MULTILINE), said
    assert not processes()


def test_a_failed_item_leaves_the_others_with_their_own_ratings(tmp_path, monkeypatch) -> None:
    """The correlation is over the texts that have a result, each beside its own rating."""
    monkeypatch.syspath_prepend(str(ROOT / "examples" / "sentiment"))
    demo = importlib.import_module("demo")
    ratings = importlib.import_module("ratings")
    rated = [ratings.Rated(str(number), float(number), "text") for number in range(3)]
    scores = tmp_path / "scores.jsonl"
    lines = [{"index": 0, "result": {"sentiment": 0.5}}, {"index": 1, "error": {}}]
    lines.append({"index": 2, "result": {"sentiment": 0.75}})
    scores.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    assert demo.paired(rated, scores) == ([rated[0], rated[2]], [0.5, 0.75])


def test_the_demo_of_an_endpoint_survives_everything(tmp_path) -> None:
    """Nothing but wrapgen is there: the run is killed, finished and verified; other files are refused."""
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("ALGORITHMIA")},
        "HOME": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }
    command = [sys.executable, "-m", "wrapgen", "demo", "shown"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    for words in (
        "killed with SIGKILL",
        "2,000 keys of run",
        "2,000 items, each once and in order; 20 refused",
    ):
        assert words in done.stdout, done.stdout
    assert "FAULTY" not in done.stdout
    (tmp_path / "shown" / "notes.txt").write_text("mine")
    refused = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert refused.returncode == 2 and "notes.txt" in refused.stderr
