"""Numbers of a run in little memory, however long it was: a timeline in bins, durations as histograms.

Pure: time is passed in, and nothing is known of ledgers or pages.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Any

MOST_BINS = 120
"""Bins of a timeline; when more would be needed, each two become one."""

_FIRST_WIDTH = 0.25
_FINE = 16
"""Steps that durations are told apart by, in each doubling: 4 %."""

EDGES = tuple(round(digit * 10.0**power, 4) for power in range(-3, 4) for digit in (1, 2, 5))
"""Seconds that bound the bars of a histogram: 1 ms, 2 ms, 5 ms and so on up to 5000 s."""


@dataclass
class Bin:
    """A stretch of a run's time.

    Args:
        seconds: of it that the run was at work.
        finished, failed: items that got their final outcome in it, and those of them that failed.
        throttled: 429s, of calls and of the wrapper's own calls.
        sends, sent: calls begun, and items in them.
        open_seconds: calls that were open, each times the seconds that it was.
        limit: the most calls that were allowed.
    """

    seconds: float = 0.0
    finished: int = 0
    failed: int = 0
    throttled: int = 0
    sends: int = 0
    sent: int = 0
    open_seconds: float = 0.0
    limit: int = 0

    def take(self, other: Bin) -> None:
        """Adds the stretch that follows."""
        for name, value in asdict(other).items():
            mine = getattr(self, name)
            setattr(self, name, max(mine, value) if name == "limit" else mine + value)


class Timeline:
    """What happened when, in bins of equal width that grow with the run.

    Attributes:
        width: seconds of a bin.
        limit: calls that are allowed from now on; 0 while that is not known.
    """

    def __init__(self) -> None:
        self.width = _FIRST_WIDTH
        self.limit = 0
        self._bins = [Bin()]
        self._now = 0.0

    def pass_to(self, now: float) -> Bin:
        """Lets time pass; what happens then belongs into the bin that comes back.

        Args:
            now: seconds of work since the run began; never less than the last time.
        """
        while now >= self.width * MOST_BINS:
            self._widen()
        while self._now < now:
            end = min(now, self.width * len(self._bins))
            here = self._bins[-1]
            here.seconds += end - self._now
            here.limit = max(here.limit, self.limit)
            self._now = end
            if end >= self.width * len(self._bins):
                self._bins.append(Bin())
        return self._bins[-1]

    def was_open(self, start: float, end: float) -> None:
        """Notes a call that was open from start to end; no later than the time that has passed."""
        at = int(start / self.width)
        while start < end and at < len(self._bins):
            until = min(end, self.width * (at + 1))
            self._bins[at].open_seconds += max(0.0, until - start)
            start, at = until, at + 1

    def as_json(self, most: int = MOST_BINS) -> dict[str, Any]:
        """Width and bins, at most so many; each with its start in seconds, and rates instead of sums."""
        while len(self._bins) > max(1, most):
            self._widen()
        bins = self._bins
        if len(bins) > 1 and bins[-1].seconds < self.width / 2:
            # A sliver at the end would make a peak of nothing.
            last = Bin(**asdict(bins[-2]))
            last.take(bins[-1])
            bins = [*bins[:-2], last]
        shown = [_shown(at * self.width, one) for at, one in enumerate(bins)]
        return {"width": self.width, "bins": shown}

    def _widen(self) -> None:
        self.width *= 2
        for at in range(0, len(self._bins) - 1, 2):
            self._bins[at].take(self._bins[at + 1])
        self._bins = self._bins[::2]
        if self._now >= self.width * len(self._bins):
            self._bins.append(Bin())


def _shown(start: float, one: Bin) -> dict[str, Any]:
    seconds = one.seconds
    return {
        "start": start,
        "seconds": round(seconds, 3),
        "finished": one.finished,
        "failed": one.failed,
        "rate": round(one.finished / seconds, 2) if seconds else None,
        "open": round(one.open_seconds / seconds, 2) if seconds else None,
        "limit": one.limit or None,
        "throttled": one.throttled,
        "chunk": round(one.sent / one.sends, 1) if one.sends else None,
    }


class Durations:
    """How long things took: count, mean, maximum, quantiles within 4 %, and a histogram."""

    def __init__(self) -> None:
        self._fine: Counter[int] = Counter()
        self._bars = [0] * (len(EDGES) + 1)
        self._count = 0
        self._sum = 0.0
        self._most = 0.0

    def add(self, seconds: float, count: int = 1) -> None:
        """Notes `count` things that took so long each."""
        self._fine[math.floor(math.log2(max(seconds, 1e-6)) * _FINE)] += count
        self._bars[bisect_left(EDGES, seconds)] += count
        self._count += count
        self._sum += seconds * count
        self._most = max(self._most, seconds)

    def as_json(self) -> dict[str, Any]:
        """The numbers in seconds; bars only from the first to the last that is not empty."""
        used = [at for at, count in enumerate(self._bars) if count]
        bars = range(used[0], used[-1] + 1) if used else range(0)
        return {
            "count": self._count,
            "mean": round(self._sum / self._count, 4) if self._count else None,
            **{f"p{percent}": self._quantile(percent / 100) for percent in (50, 90, 99)},
            "max": round(self._most, 4) if self._count else None,
            "histogram": [
                {"up_to": EDGES[at] if at < len(EDGES) else None, "count": self._bars[at]} for at in bars
            ],
        }

    def _quantile(self, share: float) -> float | None:
        wanted, seen = share * self._count, 0
        for step, count in sorted(self._fine.items()):
            seen += count
            if seen >= wanted:
                return round(min(math.pow(2, (step + 0.5) / _FINE), self._most), 4)
        return None
