"""Numbers about the calls and workers of this server since its start, for Prometheus to collect.

Counting is a few dictionary updates per call; the Prometheus library is loaded when somebody first asks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from wrapgen.platform.calls.service import CallService
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.observe.call_record import CallRecord

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

OTHER = "other"
"""The error type of calls whose own would be one too many."""

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0, 300.0, 3000.0)
"""Upper bounds, in seconds, of the classes of call durations."""


@dataclass
class _Numbers:
    """What is counted of one version: calls by error type (none: ""), seconds, calls by class of duration."""

    kinds: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    classes: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))


class Metrics:
    """The numbers of one server.

    Args:
        calls: what is counted.
        bounds: how many versions and error types.
    """

    def __init__(self, calls: CallService, bounds: Bounds) -> None:
        self._calls = calls
        self._bounds = bounds
        self._ended: dict[str, _Numbers] = {}
        self._refused: Counter[str] = Counter()

    def add(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        name, kind = record.reference, record.error_type
        numbers = self._ended.get(name)
        if numbers is None:
            numbers = self._begin(name)
        if kind not in numbers.kinds and len(numbers.kinds) >= self._bounds.metric_errors:
            kind = OTHER
        numbers.kinds[kind] = numbers.kinds.get(kind, 0) + 1
        numbers.seconds += record.worked
        numbers.classes[bisect_left(BUCKETS, record.worked)] += 1

    def _begin(self, name: str) -> _Numbers:
        """Starts to count a version, in the place of the one that was first where there are too many."""
        if len(self._ended) >= self._bounds.metric_versions:
            del self._ended[next(iter(self._ended))]
        self._ended[name] = _Numbers()
        return self._ended[name]

    def forget(self, name: str) -> None:
        """Drops the numbers of an account, or of an `owner/name` in all its versions, that is no more."""
        kept = self._ended.items()
        self._ended = {key: numbers for key, numbers in kept if not key.startswith(f"{name}/")}

    def note_refused(self, code: str) -> None:
        """Counts a call that was refused before anything ran, by the error's code."""
        self._refused[code] += 1

    def text(self, sees: Callable[[str], bool]) -> bytes:
        """Prometheus's text format.

        Args:
            sees: whether to show the numbers of an owner's algorithms, whose names are in them.
        """
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector, generate_latest

        registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        registry.register(_Seen(self, sees))
        return generate_latest(registry)

    def collect(self, sees: Callable[[str], bool]) -> Iterator[Metric]:
        """The current numbers; `sees` as for `text`."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        # Calls are counted on another thread meanwhile, so each loop has a copy.
        seen = {name: numbers for name, numbers in list(self._ended.items()) if sees(_owner(name))}
        ended = CounterMetricFamily("wrapgen_calls", "Calls that ended.", labels=["algorithm", "error_type"])
        for name, numbers in seen.items():
            for kind, count in list(numbers.kinds.items()):
                ended.add_metric([name, kind], count)
        yield ended
        refused = CounterMetricFamily("wrapgen_calls_refused", "Calls that never ran.", labels=["code"])
        for code, count in list(self._refused.items()):
            refused.add_metric([code], count)
        yield refused
        duration = HistogramMetricFamily(
            "wrapgen_call_seconds", "Time that algorithms worked on calls.", labels=["algorithm"]
        )
        for name, numbers in seen.items():
            duration.add_metric([name], _cumulative(numbers.classes), numbers.seconds)
        yield duration
        yield GaugeMetricFamily("wrapgen_calls_open", "Calls that are open.", self._calls.open)
        workers = GaugeMetricFamily("wrapgen_workers", "Workers by state.", labels=["algorithm", "state"])
        waiting = GaugeMetricFamily("wrapgen_calls_waiting", "Calls without a worker.", labels=["algorithm"])
        counts: dict[str, list[int]] = {}
        for pool in list(self._calls.pools.by_key.values()):
            if sees(pool.runnable.owner):
                name = f"{pool.runnable.owner}/{pool.runnable.name}/{pool.runnable.version}"
                own = (pool.idle, len(pool.workers) - pool.idle, pool.waiting)
                counts[name] = [sum(pair) for pair in zip(counts.get(name, (0, 0, 0)), own, strict=True)]
        for name, (idle, busy, queued) in counts.items():
            workers.add_metric([name, "idle"], idle)
            workers.add_metric([name, "busy"], busy)
            waiting.add_metric([name], queued)
        yield workers
        yield waiting


@dataclass(frozen=True)
class _Seen:
    """The numbers for somebody who may not see all of them, in the shape that the library asks for."""

    metrics: Metrics
    sees: Callable[[str], bool]

    def collect(self) -> Iterator[Metric]:
        return self.metrics.collect(self.sees)


def _owner(name: str) -> str:
    return name.partition("/")[0]


def _cumulative(classes: list[int]) -> list[tuple[str, float]]:
    found, total = [], 0
    for bound, count in zip([*map(str, BUCKETS), "+Inf"], classes, strict=True):
        total += count
        found.append((bound, float(total)))
    return found
