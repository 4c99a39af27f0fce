"""The page of numbers that the tests here write, and `docs/trust.md` includes."""

from __future__ import annotations

from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "numbers" / "power.md"
HEAD = ["| what | tried |", "| --- | ---: |"]


def publish(what: str, count: int) -> None:
    """Notes how many of something were tried, all without a fault."""
    rows = PAGE.read_text("utf-8").splitlines()[len(HEAD) :] if PAGE.exists() else []
    kept = [row for row in rows if not row.startswith(f"| {what} |")]
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text("\n".join([*HEAD, *sorted([*kept, f"| {what} | {count:,} |"])]) + "\n", "utf-8")
