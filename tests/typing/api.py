"""The types that the library promises; checked by mypy, never run."""

from __future__ import annotations

from pathlib import Path

from typing_extensions import assert_type

import wrapgen
from wrapgen import ItemOutcome, Options, Outcomes, run
from wrapgen.protocol import ItemError


def sync() -> None:
    """Iterating gives outcomes."""
    assert_type(run("acme/A", ["text", {"a": 1}, b"bytes"]), Outcomes)
    assert_type(wrapgen.run("acme/A", "in.jsonl", state="runs/a"), Outcomes)
    for outcome in run("acme/A", Path("in.jsonl"), options=Options(workers=2)):
        assert_type(outcome, ItemOutcome)
        assert_type(outcome.error, ItemError | None)


async def awaited() -> None:
    """So does awaiting."""
    async for outcome in run("acme/A", [1, 2]):
        assert_type(outcome, ItemOutcome)
    async with run("acme/A", [1, 2]) as outcomes:
        assert_type(outcomes, Outcomes)
