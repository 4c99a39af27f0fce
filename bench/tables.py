"""Tables of Markdown, and figures as they stand in them: the median, and from where to where."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

Lines = Iterable[Sequence[Any]]


def table(head: Sequence[str], rows: Lines) -> str:
    """A table of Markdown; all columns but the first are right-aligned."""
    marks = ["---", *["---:"] * (len(head) - 1)]
    lines = [head, marks, *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )


def spread(values: Sequence[float], pattern: str = ",.0f") -> str:
    """The median, and from where to where."""
    if not values:
        return "–"
    middle = format(statistics.median(values), pattern)
    if len(values) == 1:
        return middle
    return f"{middle} ({format(min(values), pattern)}–{format(max(values), pattern)})"
