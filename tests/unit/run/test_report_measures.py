"""The measures of a report: bounded whatever the length, and nothing lost on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wrapgen.run.report.measures import MOST_BINS, Durations, Timeline

STEPS = st.lists(st.tuples(st.floats(0, 50_000), st.floats(0, 1), st.integers(0, 1000)), max_size=60)


@given(STEPS)
def test_a_timeline_loses_nothing(steps: list[tuple[float, float, int]]) -> None:
    """However long the run, there are at most 120 bins, and they add up to what happened."""
    timeline, now, opened = Timeline(), 0.0, 0.0
    for passed, since, finished in steps:
        now += passed
        timeline.pass_to(now).finished += finished
        timeline.was_open(now * since, now)
        opened += now - now * since
    bins = timeline.as_json()["bins"]
    assert 1 <= len(bins) <= MOST_BINS
    assert sum(one["finished"] for one in bins) == sum(finished for _, _, finished in steps)
    assert abs(sum(one["seconds"] for one in bins) - now) <= 0.001 * len(bins) + 1e-6 * now
    total = sum((one["open"] or 0) * one["seconds"] for one in bins)
    assert abs(total - opened) <= 0.01 * max(1.0, now) + 1e-3 * opened


@given(st.lists(st.tuples(st.floats(0, 20_000), st.integers(1, 1000)), min_size=1, max_size=50))
def test_durations_are_counted(pairs: list[tuple[float, int]]) -> None:
    """The bars add up to the count, quantiles rise, and none is beyond the maximum."""
    durations = Durations()
    for seconds, count in pairs:
        durations.add(seconds, count)
    found = durations.as_json()
    assert sum(bar["count"] for bar in found["histogram"]) == found["count"] == sum(n for _, n in pairs)
    assert found["p50"] <= found["p90"] <= found["p99"] <= found["max"] == round(max(s for s, _ in pairs), 4)


def test_quantiles_are_close() -> None:
    """Quantiles are within 5 % of the true ones."""
    durations = Durations()
    for n in range(1, 1001):
        durations.add(n / 100)
    found = durations.as_json()
    assert abs(found["p50"] - 5) < 0.25 and abs(found["p90"] - 9) < 0.45 and found["max"] == 10
    assert found["histogram"][-1] == {"up_to": 10.0, "count": 500}


def test_nothing_measured_is_none() -> None:
    """Without measurements there are no numbers, and no bars."""
    found = Durations().as_json()
    assert found["count"] == 0 and found["p99"] is None and found["histogram"] == []
