"""Counts what the entries of a ledger tell, one by one, for a report. Pure, and bounded in memory.

What grows with the run is counted in bins, and of lists only the worst or the last are kept.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from itertools import repeat
from typing import Any

from wrapgen.run.hosts.answers import TARGET_COUNTS, TARGET_SUMS
from wrapgen.run.ledger.replay import indexes_of
from wrapgen.run.report.measures import MOST_BINS, Durations, Timeline
from wrapgen.run.report.origin import cleaned

MOST_ROWS = 10
"""Rows of the slowest calls and items."""

MOST_SESSIONS = 20
"""Sessions that are told one by one: the last ones."""

MOST_TYPES = 30
"""Types of errors that are told one by one: the most frequent ones."""


class Tally:
    """Takes the entries of a ledger in their order.

    Time is that of work: what lies between two sessions is left out.
    """

    def __init__(self) -> None:
        self.sessions: list[dict[str, Any]] = []
        self.count = 0
        self.origin: dict[str, Any] = {}
        self.seconds = 0.0
        self.ended_at: str | None = None
        self._timeline = Timeline()
        self._calls, self._items = Durations(), Durations()
        self._open: dict[int, tuple[Sequence[int], int, float, float]] = {}
        self._now = 0.0  # seconds since 1970 of the entry before
        self._counts: Counter[str] = Counter()
        self._lost: dict[str, dict[str, Any]] = {}
        self._tries: Counter[int] = Counter()
        self._attempts: Counter[int] = Counter()
        self._had: dict[int, int] = {}  # attempts of items that go again
        self._failed: dict[int, tuple[int, int]] = {}  # tries and attempts of items that failed
        self._sizes = Counter[int]()
        self._target = TargetTally()
        self._slow_calls: list[_Slow] = []
        self._slow_items: list[_Slow] = []
        self._takers = {
            "send": self._sent,
            "unsent": self._unsent,
            "done": self._done,
            "lost": self._lost_call,
            "equal": self._equal,
        }

    def note(self, entry: dict[str, Any]) -> None:
        """Takes the next entry."""
        kind = str(entry["e"])
        if kind in self._takers:
            self._tick(entry["w"])
            self._takers[kind](entry)
        elif kind == "open":
            self._opened(entry)
        elif kind == "reopened":
            for tries, attempts in filter(None, map(self._failed.pop, entry["i"], repeat(None))):
                self._tries[tries] -= 1
                self._attempts[attempts] -= 1
        elif kind == "void":
            self._tries[entry["t"]] -= entry["ok"] + entry["failed"]
            self._attempts[1] -= entry["ok"] + entry["failed"]
        elif kind == "end":
            self._tick(_seconds(entry["at"]))
            self.ended_at = entry["at"]
            if self.sessions:
                self.sessions[-1].update(
                    state=entry["state"], reason=cleaned(entry["why"]), ended_at=entry["at"]
                )

    def as_json(self) -> dict[str, Any]:
        """What was counted, under the names that the report uses."""
        counts = self._counts
        sizes = self._sizes
        return {
            "calls": {
                "sent": counts["sent"],
                "answered": counts["answered"],
                "lost": counts["lost"],
                "unanswered": counts["unanswered"],
                "open": len(self._open),
                "items_resent": counts["resent"],
                "throttled": counts["throttled"],
                "of_target": counts["of_target"],
                "equal": counts["equal"],
            },
            "latency": {"call": self._calls.as_json(), "item": self._items.as_json()},
            "attempts": [{"attempts": n, "items": count} for n, count in sorted(self._attempts.items())],
            "target": self._target.as_json(counts["of_target"]),
            "attempts_inside": max(0, counts["of_target"] - counts["known_attempts"]),
            "sends": [{"sends": n, "items": count} for n, count in sorted(self._tries.items())],
            "chunks": {
                "smallest": min(sizes, default=None),
                "largest": max(sizes, default=None),
                "mean": round(sum(n * c for n, c in sizes.items()) / sizes.total(), 1) if sizes else None,
            },
            "timeline": self._timeline_json(),
            "slowest_calls": _worst(self._slow_calls),
            "slowest_items": _worst(self._slow_items),
            "lost": sorted(self._lost.values(), key=lambda one: -one["count"])[:MOST_TYPES],
            "session_count": self.count,
            "sessions": self.sessions,
        }

    def _timeline_json(self) -> dict[str, Any]:
        """In as many bins as there are calls for: few calls in narrow bins look like a saw."""
        timeline = deepcopy(self._timeline)
        for _, _, _, since in self._open.values():
            timeline.was_open(since, self.seconds)
        return timeline.as_json(max(12, min(MOST_BINS, self._counts["back"] // 3)))

    def _tick(self, now: float) -> None:
        # A clock that was set back stands still until it has caught up.
        passed = max(0.0, now - self._now)
        self._now = max(now, self._now)
        self.seconds += passed
        self._bin = self._timeline.pass_to(self.seconds)
        if self.sessions:
            self.sessions[-1]["seconds"] = round(self.sessions[-1]["seconds"] + passed, 3)

    def _opened(self, entry: dict[str, Any]) -> None:
        self._now = _seconds(entry["at"])
        self.ended_at = None
        for _, _, _, since in self._open.values():
            self._timeline.was_open(since, self.seconds)
        self._counts["unanswered"] += len(self._open)
        self._open.clear()
        self.count += 1
        told = {name: value for name, value in entry.items() if name not in ("e", "at", "pid", "damaged")}
        self.origin = {**self.origin, **told}
        session = {"started_at": entry["at"], "ended_at": None, "state": None, "reason": "", "seconds": 0.0}
        self.sessions = [*self.sessions, {**session, "wrapgen": told.get("wrapgen")}][-MOST_SESSIONS:]

    def _sent(self, entry: dict[str, Any]) -> None:
        indexes, tries = indexes_of(entry), entry["t"]
        self._open[entry["s"]] = (indexes, tries, entry["w"], self.seconds)
        self._counts["sent"] += 1
        if tries > 1:
            self._counts["resent"] += len(indexes)
        self._sizes[len(indexes)] += 1
        self._bin.sends += 1
        self._bin.sent += len(indexes)

    def _unsent(self, entry: dict[str, Any]) -> None:
        """A send that did not leave after all; the bin that it was noted in may be a past one."""
        indexes, tries, _, _ = self._open.pop(entry["s"])
        self._counts["sent"] -= 1
        if tries > 1:
            self._counts["resent"] -= len(indexes)
        self._sizes = self._sizes - Counter([len(indexes)])

    def _done(self, entry: dict[str, Any]) -> None:
        gave_up = entry.get("gave_up", "")
        indexes, tries = self._back(entry, gave_up)
        if gave_up:
            self._count_lost(gave_up, "no answer came, however often it was sent: the item was given up")
        again, failed = dict(entry["again"]), entry["failed"]
        final = len(indexes) - len(again)
        self._tries[tries] += final
        self._counts["answered"] += not gave_up
        self._counts["of_target"] += entry.get("calls", 0)
        self._target.note(entry.get("target", {}), entry.get("calls", 0))
        self._bin.finished += final
        self._bin.failed += len(failed)
        told = dict(zip(failed, entry.get("attempts", ()), strict=False))
        self._count_attempts(indexes, again, told, dict(entry.get("retried", ())))
        self._failed.update((indexes[at], (tries, told.get(at, 1))) for at in failed)

    def _equal(self, entry: dict[str, Any]) -> None:
        """Items that were answered with the outcome of an equal one."""
        items, failed = len(entry["i"]), entry["failed"]
        self._tries[entry["t"]] += items
        self._attempts[0] += items
        self._counts["equal"] += items
        self._bin.finished += items
        self._bin.failed += len(failed)
        self._failed.update((entry["i"][at], (entry["t"], 0)) for at in failed)

    def _count_attempts(
        self, indexes: Sequence[int], again: dict[int, int], failed: dict[int, int], retried: dict[int, int]
    ) -> None:
        """Attempts of the items that are finished now, as far as answers tell them."""
        had = [at for at, index in enumerate(indexes) if index in self._had] if self._had else ()
        special = {*again, *failed, *retried, *had}
        plain = len(indexes) - len(special)
        self._attempts[1] += plain
        self._counts["known_attempts"] += plain
        for at in special:
            index = indexes[at]
            before = self._had.pop(index, 0)
            so_far = again.get(at, failed.get(at, before + retried.get(at, 1)))
            self._counts["known_attempts"] += so_far - before
            if at not in again:
                self._attempts[so_far] += 1
            elif so_far:
                self._had[index] = so_far

    def _lost_call(self, entry: dict[str, Any]) -> None:
        self._back(entry, entry["type"])
        self._count_lost(entry["type"], entry["message"])
        throttled = entry["fault"] == "throttled"
        self._counts["throttled"] += throttled
        self._bin.throttled += throttled

    def _count_lost(self, kind: str, message: str) -> None:
        self._counts["lost"] += 1
        told = {"type": cleaned(kind, 100), "count": 0, "message": cleaned(message)}
        self._lost.setdefault(kind, told)["count"] += 1

    def _back(self, entry: dict[str, Any], lost: str) -> tuple[Sequence[int], int]:
        """A call that came back: how long it took, and what it says of the moment."""
        indexes, tries, sent, since = self._open.pop(entry["s"])
        took = entry.get("took") or max(0.0, entry["w"] - sent)
        # A chunk is noted as sent when it is ready, and leaves when its turn comes.
        self._timeline.was_open(max(since, self.seconds - took), self.seconds)
        self._timeline.limit = entry.get("limit", 0)
        each = took / len(indexes)
        self._calls.add(took)
        if not lost:
            self._items.add(each, len(indexes))
        self._counts["back"] += 1
        row = (-self._counts["back"], indexes, tries, took, lost)
        _push(self._slow_calls, (took, *row))
        slowest = [(ms / 1000, [indexes[at]]) for at, ms in entry.get("slowest", ())]
        for seconds, index in slowest:
            _push(self._slow_items, (seconds, row[0], index, tries, seconds, ""))
        if not lost and not slowest:
            _push(self._slow_items, (each, *row))
        inside = entry.get("throttled", 0)
        self._counts["throttled"] += inside
        self._bin.throttled += inside
        return indexes, tries


class TargetTally:
    """What wrappers said of their calls of the target, summed over a run."""

    def __init__(self) -> None:
        self._sums: Counter[str] = Counter()
        self._counts: dict[str, Counter[str]] = {name: Counter() for name in TARGET_COUNTS}
        self._copies: dict[str, Counter[str]] = {}
        self._half, self._nearly_all = Durations(), Durations()

    def note(self, told: dict[str, Any], calls: int) -> None:
        """Takes what the `$summary` of one answer said, and of how many calls of the target."""
        self._sums.update({name: told[name] for name in TARGET_SUMS if name in told})
        for name, counts in self._counts.items():
            counts.update(told.get(name, {}))
        for url, (recorded, failed) in told.get("copies", {}).items():
            self._copies.setdefault(url, Counter()).update(recorded=recorded, failed=failed)
        if calls and "p50_ms" in told and "p99_ms" in told:
            self._half.add(told["p50_ms"] / 1000, calls)
            self._nearly_all.add(told["p99_ms"] / 1000, calls)

    def as_json(self, calls: int) -> dict[str, Any]:
        """Sums, null where no wrapper said so; quantiles in seconds; counts, of repeated tries too.

        The quantiles are estimates: those of the single answers, weighted by their calls.
        """
        return {
            "calls": calls,
            **{name: self._sums.get(name) for name in TARGET_SUMS},
            "p50": self._half.as_json()["p50"],
            "p99": self._nearly_all.as_json()["p99"],
            **{
                name: {cleaned(kind, 100): count for kind, count in counts.most_common(MOST_TYPES)}
                for name, counts in self._counts.items()
            },
            "copies": {cleaned(url): dict(counts) for url, counts in self._copies.items()},
        }


_Slow = tuple[float, int, Sequence[int], int, float, str]
"""What is slow by, minus the number of the call, its indexes, try and seconds, and why it was lost."""


def _push(heap: list[_Slow], row: _Slow) -> None:
    if len(heap) < MOST_ROWS:
        heapq.heappush(heap, row)
    elif row > heap[0]:
        heapq.heapreplace(heap, row)


def _worst(heap: list[_Slow]) -> list[dict[str, Any]]:
    return [
        {
            "first": indexes[0],
            "last": indexes[-1],
            "items": len(indexes),
            "try": tries,
            "seconds": took,
            "each": round(took / len(indexes), 4),
            "lost": cleaned(lost, 100),
        }
        for _, _, indexes, tries, took, lost in sorted(heap, reverse=True)
    ]


def _seconds(at: str) -> float:
    return datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp()
