"""The published numbers: which seeds were tried, written by what tried them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "numbers" / "simulation.md"
_ROW = re.compile(
    r"\| ([\d,]+) to ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|(?: (.+) \|)?"
)
_HEAD = """<!-- written by `make simulate SEEDS=a-b PUBLISH=1`; do not edit -->

| seeds | runs | sessions | kills | power cuts | events judged | commit |
| --- | --- | --- | --- | --- | --- | --- |
"""


Row = tuple[list[int], str]
"""Counts of a range, and the commit that it was tried at."""


def add_range(seeds: range, found: Any) -> None:
    """Adds a range of seeds of which none failed; one that was published before is replaced."""
    rows: dict[tuple[int, int], Row] = {}
    for match in _ROW.finditer(PAGE.read_text("utf-8") if PAGE.exists() else ""):
        first, last, *counts = (int(text.replace(",", "")) for text in match.groups()[:-1])
        rows[first, last] = counts, match[8] or ""
    sums = found.sums
    counts = [found.seeds, sums["sessions"], sums["kills"], sums["cuts"], sums["events"]]
    rows[seeds[0], seeds[-1]] = counts, commit()
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_HEAD + "".join(_lines(rows)), "utf-8")


def commit() -> str:
    """The commit whose code runs here, and whether the code was changed since."""
    short = _git("rev-parse", "--short=8", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "wrapgen", "templates", "tests")
    return f"{short} and changes" if changed else short


def _git(*words: str) -> str:
    done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _lines(rows: dict[tuple[int, int], Row]) -> list[str]:
    lines = [
        f"| {first:,} to {last:,} | {_cells(counts)} | {where} |\n"
        for (first, last), (counts, where) in sorted(rows.items())
    ]
    total = [sum(column) for column in zip(*(counts for counts, _ in rows.values()), strict=True)]
    return [*lines, f"| total | {_cells(total)} | |\n"]


def _cells(counts: list[int]) -> str:
    return " | ".join(f"{count:,}" for count in counts)
