"""Calls in progress and recent ones, by the run they carry; one call with all that is kept of it.

Everybody sees the calls that they made, and no others.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.responses import Response

from wrapgen.errors import NotFound
from wrapgen.platform.observe.activity import KEPT_CALLS, RunActivity
from wrapgen.platform.observe.call_record import CallRecord
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage

SHOWN = 50
"""Recent calls on a page."""


@dataclass(frozen=True)
class _Choice:
    """Which calls are asked for: of one algorithm, of one run, the nested ones too; empty means any."""

    algorithm: str
    run: str
    nested: bool

    @classmethod
    def of(cls, visit: Visit) -> _Choice:
        return cls(visit.query("algorithm"), visit.query("run"), visit.query("nested") == "1")

    def takes(self, known: CallRecord) -> bool:
        named = not self.algorithm or known.algorithm == self.algorithm
        return named and (not self.run or known.run == self.run)

    def takes_ended(self, known: CallRecord) -> bool:
        return self.takes(known) and (self.nested or not known.parent)

    def takes_run(self, run: RunActivity) -> bool:
        prefix = self.algorithm + "/"
        named = not self.algorithm or any(name.startswith(prefix) for name in run.algorithms)
        return named and (not self.run or run.id == self.run)


async def activity(visit: Visit) -> Response:
    """GET /web/activity"""
    watched, account = visit.platform.observer.activity, visit.caller.account
    open_calls, recent = _shown(visit, watched.in_progress(account)), _shown(visit, watched.recent(account))
    runs = [run for run in watched.runs(account) if all(_may_call(visit, name) for name in run.algorithms)]
    calls = visit.platform.calls
    choice = _Choice.of(visit)
    ended = [known for known in recent if choice.takes_ended(known)]
    context = {
        "fragment": is_fragment(visit),
        "choice": choice,
        "algorithms": sorted({known.algorithm for known in [*open_calls, *recent]}),
        "open": [known for known in open_calls if choice.takes(known)],
        "in_use": calls.open_of(account),
        "limit": calls.limits.account,
        "runs": [run for run in runs if choice.takes_run(run)],
        "recent": ended[:SHOWN],
        "found": len(ended),
        "failed": sum(known.state == "failed" for known in ended),
        "kept": KEPT_CALLS,
    }
    return visit.html("activity.html", context)


async def call(visit: Visit) -> Response:
    """GET /web/activity/calls/:id"""
    watched, account = visit.platform.observer.activity, visit.caller.account
    there = [*watched.in_progress(account), *watched.recent(account)]
    known = {each.id: each for each in _shown(visit, there)}
    found = known.get(visit.word("id"))
    if found is None:
        hint = "only the newest calls of your own account are kept, until the server stops"
        raise NotFound("there is no such call", hint=hint)
    below = sorted(
        (each for each in known.values() if each.parent == found.id), key=lambda each: each.started
    )
    context = {
        "fragment": is_fragment(visit),
        "call": found,
        "above": known.get(found.parent),
        "below": below[:SHOWN],
        "found": len(below),
    }
    return visit.html("call.html", context)


def _may_call(visit: Visit, reference: str) -> bool:
    owner, name = reference.split("/")[:2]
    return visit.caller.may_call(owner, name)


def _shown(visit: Visit, calls: list[CallRecord]) -> list[CallRecord]:
    """Calls of what the visitor's key may call; outputs and errors are in them."""
    return [each for each in calls if _may_call(visit, each.algorithm)]


def is_fragment(visit: Visit) -> bool:
    """Whether the script of a live page asks, which takes the parts that change and leaves the rest."""
    return visit.request.headers.get("x-fragment") == "1"


PAGES = (
    WebPage(f"{ROOT}/activity", activity),
    WebPage(f"{ROOT}/activity/calls/{{id}}", call),
)
