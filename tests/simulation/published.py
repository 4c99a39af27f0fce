"""The published numbers: which seeds were tried, written by what tried them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "numbers" / "simulation.md"
_ROW = re.compile(r"\| ([\d,]+) to ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|")
_HEAD = """<!-- written by `make simulate SEEDS=a-b PUBLISH=1`; do not edit -->

| seeds | runs | sessions | kills | power cuts | events judged |
| --- | --- | --- | --- | --- | --- |
"""


def add_range(seeds: range, found: Any) -> None:
    """Adds a range of seeds of which none failed; one that was published before is replaced."""
    rows = {}
    for match in _ROW.finditer(PAGE.read_text("utf-8") if PAGE.exists() else ""):
        first, last, *counts = (int(text.replace(",", "")) for text in match.groups())
        rows[first, last] = counts
    sums = found.sums
    rows[seeds[0], seeds[-1]] = [found.seeds, sums["sessions"], sums["kills"], sums["cuts"], sums["events"]]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(_HEAD + "".join(_lines(rows)), "utf-8")


def _lines(rows: dict[tuple[int, int], list[int]]) -> list[str]:
    lines = [
        f"| {first:,} to {last:,} | {_cells(counts)} |\n" for (first, last), counts in sorted(rows.items())
    ]
    total = [sum(column) for column in zip(*rows.values(), strict=True)]
    return [*lines, f"| total | {_cells(total)} |\n"]


def _cells(counts: list[int]) -> str:
    return " | ".join(f"{count:,}" for count in counts)
