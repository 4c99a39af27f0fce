"""The last hour in charts: calls by the minute, how long they took, how many failed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from markupsafe import Markup
from starlette.responses import Response

from wrapgen.charts import Series, lines
from wrapgen.platform.observe.minutes import KEPT_MINUTES, Minute, total
from wrapgen.platform.web.activity import is_fragment
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage

SHARES = ((0.5, "p50"), (0.9, "p90"), (0.99, "p99"))
"""The percentiles that are shown, and what they are called."""


@dataclass(frozen=True)
class _Sum:
    """The last hour of one version in a line of a table; percentiles in seconds."""

    name: str
    calls: int
    errors: int
    percentiles: list[float | None]

    @classmethod
    def of(cls, name: str, minutes: Sequence[Minute]) -> _Sum:
        whole = Minute(0)
        for minute in minutes:
            whole.add(minute)
        return cls(name, whole.calls, whole.errors, [whole.percentile(share) for share, _ in SHARES])


async def charts(visit: Visit) -> Response:
    """GET /web/charts"""
    seen, now = visit.platform.observer.minutes.seen_by(visit.caller), visit.platform.observer.minutes.now
    return visit.html("charts.html", partial(_context, is_fragment(visit), visit.query("version"), seen, now))


def _context(fragment: bool, version: str, seen: dict[str, list[Minute]], now: int) -> dict[str, Any]:
    """What the page shows; made where it is rendered."""
    chosen = seen.get(version, []) if version else total(seen.values())
    return {
        "fragment": fragment,
        "version": version,
        "versions": sorted({*seen, version} - {""}),
        "sums": [_Sum.of(name, minutes) for name, minutes in seen.items()],
        "sum": _Sum.of(version or "all", chosen),
        "shares": [name for _, name in SHARES],
        "minutes": KEPT_MINUTES,
        **{name: Markup(drawn) for name, drawn in _drawn(chosen, now).items()},  # noqa: S704  # our own SVG
    }


def _drawn(minutes: Sequence[Minute], now: int) -> dict[str, str]:
    """The three charts, by what they show."""
    by_number = {minute.number: minute for minute in minutes}
    numbers = range(now - KEPT_MINUTES + 1, now + 1)

    # What is not a number leaves a gap as nothing does, and the axis still reaches there.
    def points(value: Callable[[Minute], float | None]) -> list[tuple[float, float | None]]:
        return [(number * 60.0, value(by_number.get(number, Minute(number)))) for number in numbers]

    def latency(share: float) -> Callable[[Minute], float | None]:
        return lambda minute: math.nan if (found := minute.percentile(share)) is None else found * 1000

    none = not minutes
    calls = [] if none else [Series("calls", points(lambda minute: minute.calls))]
    errors = [] if none else [Series("errors", points(lambda minute: minute.errors))]
    latencies = [Series(name, points(latency(share))) for share, name in SHARES]
    return {
        "calls": lines("calls", "Calls per minute", calls, x="clock", unit="calls", area=True),
        "latency": lines("latency", "Latency percentiles", latencies, x="clock", unit="ms"),
        "errors": lines("errors", "Errors per minute", errors, x="clock", unit="errors", area=True),
    }


PAGES = (WebPage(f"{ROOT}/charts", charts),)
