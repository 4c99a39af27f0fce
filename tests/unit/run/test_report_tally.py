"""What a report counts from the entries of a ledger."""

from __future__ import annotations

from typing import Any

import pytest

from wrapgen.run.hosts.answers import summary_facts
from wrapgen.run.report.tally import Tally


def told(**done: Any) -> dict[str, Any]:
    """What is counted of one call with three items."""
    tally = Tally()
    tally.note({"e": "open", "at": "2026-11-22T12:00:00.000Z", "pid": 1})
    tally.note({"e": "send", "s": 0, "w": 1795348800.0, "first": 7, "n": 3, "t": 1})
    tally.note({"e": "done", "s": 0, "w": 1795348803.0, "failed": [], "again": [], "took": 3.0, **done})
    return tally.as_json()


def test_attempts_and_slowest_items_are_the_wrappers_own() -> None:
    """Where the answer tells items apart the report does too."""
    facts = told(calls=4, retried=[[1, 2]], slowest=[[1, 2500], [0, 300]])
    assert facts["attempts"] == [{"attempts": 1, "items": 2}, {"attempts": 2, "items": 1}]
    assert facts["attempts_inside"] == 0
    assert [(row["first"], row["items"], row["each"]) for row in facts["slowest_items"]] == [
        (8, 1, 2.5),
        (7, 1, 0.3),
    ]


def test_without_them_the_calls_numbers_are_shared() -> None:
    """A wrapper that tells nothing by item gets the call's time divided, and attempts in all."""
    facts = told(calls=4)
    assert facts["attempts"] == [{"attempts": 1, "items": 3}] and facts["attempts_inside"] == 1
    assert [(row["items"], row["each"]) for row in facts["slowest_items"]] == [(3, 1.0)]


@pytest.mark.parametrize(
    "told", [None, 3, "x", [], [[0]], [[0, "x"]], [[3, 1]], [[-1, 1]], [[0, True]], [[0, 1.5]], {"0": 1}]
)
def test_nonsense_about_items_is_left_out(told: Any) -> None:
    """Only pairs of a place in the call and a number get into the ledger."""
    assert summary_facts({"retried": told, "slowest": [[2, 9]]}, 3) == {"slowest": [[2, 9]]}


def test_nonsense_about_the_target_is_left_out() -> None:
    """Of a summary's numbers only whole ones from 0 on get into the ledger; older wrappers have none."""
    summary = {"attempts": 4, "bytes_in": -1, "recorded": True, "p50_ms": "9", "errors": {"A": 2, "B": None}}
    assert summary_facts(summary, 3) == {"target": {"attempts": 4, "errors": {"A": 2}}}
    assert summary_facts({"errors": [], "calls": 3}, 3) == {}
