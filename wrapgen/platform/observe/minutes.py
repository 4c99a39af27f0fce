"""Calls by the minute: how many, how many failed, how long they took; of each version, for the last hour.

Kept in memory and gone with the server; Prometheus keeps such things for good (`metrics`). Durations are
counted in classes that grow by a fifth, so a percentile is exact to about that. A call counts under its
caller: owners see the sum, everybody else their own.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from wrapgen.platform.domain.model import Caller
from wrapgen.platform.observe.call_record import CallRecord

KEPT_MINUTES = 60
KEPT_SERIES = 1000
"""Versions times callers that are kept: those that called last."""

BOUNDS = [0.0005 * 1.2**step for step in range(87)]
"""Upper bounds, in seconds, of the classes of durations: half a millisecond to more than the longest call."""


@dataclass
class Minute:
    """One minute of a version: its number since 1970, calls, errors, and calls by class of duration."""

    number: int
    calls: int = 0
    errors: int = 0
    classes: dict[int, int] = field(default_factory=dict)

    def add(self, other: Minute) -> None:
        """Counts another's calls too."""
        self.calls += other.calls
        self.errors += other.errors
        for place, count in other.classes.items():
            self.classes[place] = self.classes.get(place, 0) + count

    def percentile(self, share: float) -> float | None:
        """Seconds that this share (0 to 1) of the calls took at most; None without calls."""
        wanted, seen = max(1, math.ceil(share * self.calls)), 0
        for place in sorted(self.classes):
            count = self.classes[place]
            if seen + count >= wanted:
                low, high = (BOUNDS[place - 1] if place else 0.0), BOUNDS[min(place, len(BOUNDS) - 1)]
                return low + (high - low) * (wanted - seen) / count
            seen += count
        return None


class Minutes:
    """The last hour of one server.

    Args:
        clock: gives epoch seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._series: OrderedDict[tuple[str, str, str], deque[Minute]] = OrderedDict()

    def add(self, record: CallRecord) -> None:
        """Counts a call that has ended."""
        number, key = int(record.ended / 60), (record.algorithm, record.version, record.account)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = deque(maxlen=KEPT_MINUTES)
            if len(self._series) > KEPT_SERIES:
                self._series.popitem(last=False)
        if not series or series[-1].number != number:
            series.append(Minute(number))
            self._series.move_to_end(key)
        minute = series[-1]
        minute.calls += 1
        minute.errors += record.state == "failed"
        place = bisect_left(BOUNDS, record.seconds)
        minute.classes[place] = minute.classes.get(place, 0) + 1

    def seen_by(self, caller: Caller) -> dict[str, list[Minute]]:
        """The last hour by `owner/name/version`: of own algorithms all calls, of others' the caller's own.

        Minutes without calls are left out; the rest rise.
        """
        found: dict[str, dict[int, Minute]] = {}
        oldest = int(self._clock() / 60) - KEPT_MINUTES
        for (algorithm, version, account), series in self._series.items():
            if not (account == caller.account or caller.owns(algorithm.partition("/")[0])):
                continue
            merged = found.setdefault(f"{algorithm}/{version}", {})
            for minute in series:
                if minute.number > oldest:
                    merged.setdefault(minute.number, Minute(minute.number)).add(minute)
        return {
            name: [merged[number] for number in sorted(merged)]
            for name, merged in sorted(found.items())
            if merged
        }

    def forget(self, name: str) -> None:
        """Drops the numbers of an account, as caller and as owner, or of an `owner/name`, that is no more."""
        for key in [key for key in self._series if key[2] == name or f"{key[0]}/".startswith(f"{name}/")]:
            del self._series[key]

    @property
    def now(self) -> int:
        """The number of this minute."""
        return int(self._clock() / 60)


def total(series: Iterable[Iterable[Minute]]) -> list[Minute]:
    """Several versions' minutes as one, rising."""
    merged: dict[int, Minute] = {}
    for minutes in series:
        for minute in minutes:
            merged.setdefault(minute.number, Minute(minute.number)).add(minute)
    return [merged[number] for number in sorted(merged)]
