"""What `run` and `plan` say of the time, once the first items are finished."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from wrapgen.cli.plan import span
from wrapgen.cli.progress import Reporter
from wrapgen.run.scheduling.progress import Counts, Progress


def test_the_rest_is_foretold_by_warm_workers() -> None:
    """The calls that started workers do not count; the pace is told once, with the calls that are open."""
    now, told = iter(0.5 * n for n in range(99)), []
    reporter = Reporter(
        as_json=False, already=10, foretell=lambda probe: told.append(probe) or [], clock=lambda: next(now)
    )
    reporter._terminal, reporter._bar = True, SimpleNamespace(update=lambda *_, **__: None)
    for answered in range(1, 30):
        counts = Counts(items=1000, succeeded=10 + 16 * answered)
        reporter(Progress(counts, 4, 4, 16, answered=answered, busy=2.0 * answered))
    (probe,) = told
    assert probe.calls == 4 and probe.items / probe.seconds == pytest.approx(16 * 4 / 2, rel=0.6)


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0.31, 1.42, "0.3 to 1.5 s"),
        (31.2, 44.0, "31 to 44 s"),
        (200.0, 290.0, "3.3 to 4.9 min"),
        (1300.0, 1700.0, "21 to 29 min"),
        (7000.0, 9000.0, "1.9 to 2.5 h"),
        (36_000.0, 90_000.0, "10 to 25 h"),
    ],
)
def test_a_range_has_one_unit_and_is_rounded_to_the_outside(low: float, high: float, text: str) -> None:
    """A range of seconds is told in the unit that a person would use."""
    assert span(low, high) == text
