"""The numbers that bound a run and adapt to it: chunk size, open calls, errors. Pure counting."""

from __future__ import annotations

import json
from collections.abc import Sequence

from wrapgen.protocol import ACCOUNT_CALLS
from wrapgen.run.scheduling.replies import Fate, Outcome

ACCOUNT_SHARE = 0.9
"""The part of them that a run takes."""


FIRST_SIZE = 16
"""Items in the first chunks of a run."""

MAX_SIZE = 1000
"""Items in a chunk, at most, where the user names no other number."""

CALM = 8
"""Whole chunks in a row after which a size that had to shrink may grow again."""

BUDGET_AFTER = 200
"""Items that must be finished before a share of failures says anything."""

BUDGET = 0.05
"""The part of them that may have failed."""

BUDGET_ALIKE = 20
"""Equal failures in a row that stop a run."""


def ceiling(parallel: int, workers: int | None = None, concurrency: int | None = None) -> int:
    """The most calls that a run keeps open.

    Args:
        parallel: calls that the wrapper makes at once inside one call of it.
        workers: the user's own cap, or None.
        concurrency: calls that the host can take at once; None: what a platform grants an account.
    """
    most = concurrency or max(1, int(ACCOUNT_SHARE * ACCOUNT_CALLS / (1 + max(1, parallel))))
    return most if workers is None else max(1, min(most, workers))


class Concurrency:
    """Additive increase, multiplicative decrease.

    Args:
        most: the ceiling.
        first: where it starts; half of the most unless it is given.

    Attributes:
        now: calls that may be open at present.
        halvings: times it was halved.
    """

    def __init__(self, most: int, *, first: int | None = None) -> None:
        self.most = most
        self.now = max(1, most // 2) if first is None else min(first, most)
        self.halvings = 0
        self._good = 0
        self._settled = 0

    def good(self) -> None:
        """A call came back unthrottled: adds one, after the first throttling only once a round."""
        self._good += 1
        if self._good >= (self.now if self.halvings else 1):
            self.now = min(self.most, self.now + 1)
            self._good = 0

    def throttled(self, sent: int, latest: int) -> None:
        """A call came back throttled; those that were open with it are the same congestion, halved once.

        Args:
            sent: the sequence number of that call.
            latest: the sequence number of the latest call sent.
        """
        self._good = 0
        if sent <= self._settled:
            return
        self._settled = latest
        self.now = max(1, self.now // 2)
        self.halvings += 1


class ChunkSize:
    """How many items a chunk takes: doubles while whole chunks finish, halves when items come back untried.

    Args:
        largest: the most that it grows to.
        first: where it starts.
    """

    def __init__(self, *, largest: int = MAX_SIZE, first: int = FIRST_SIZE) -> None:
        self.largest = max(1, largest)
        self.now = min(first, self.largest)
        self._calm_needed = 1
        self._calm = 0

    def whole(self, count: int) -> None:
        """A chunk of `count` items finished; smaller ones than the present size say nothing about it."""
        if count < self.now:
            return
        self._calm += 1
        if self._calm >= self._calm_needed:
            self.now = min(self.largest, self.now * 2)
            self._calm = 0

    def too_much(self, count: int) -> None:
        """A chunk of `count` items was more than a call could do."""
        self.now = max(1, min(self.now, count // 2))
        # Doubling straight back would overshoot, and resend, every other time.
        self._calm_needed, self._calm = CALM, 0


class ErrorBudget:
    """Counts final outcomes as they come, over all sessions of a run; a row of equal ones begins with each.

    Args:
        share: the part of the items that may fail; 1 or more turns every stop off.
        after: items before the share counts.
        alike: equal failures in a row that stop the run.
        finished, failed: items that earlier sessions finished, and those of them that failed.
    """

    def __init__(
        self,
        *,
        share: float = BUDGET,
        after: int = BUDGET_AFTER,
        alike: int = BUDGET_ALIKE,
        finished: int = 0,
        failed: int = 0,
    ) -> None:
        self._share = share
        self._after = after
        self._alike = alike
        self._finished = finished
        self._failed = failed
        self._row = 0
        self._last: tuple[str, str] | None = None

    def note(self, outcomes: Sequence[Outcome], *, clean: bool = False) -> str | None:
        """Counts one chunk's outcomes, in the order of its items.

        Args:
            outcomes: one per item.
            clean: all of them are results, which saves looking.

        Returns:
            Why the run has to stop, or None.
        """
        if self._share >= 1:
            return None
        alike = None
        if clean:
            self._finished += len(outcomes)
            self._row = 0
        else:
            for outcome in outcomes:
                alike = self._count(outcome) or alike
        return self.spent() or alike

    def spent(self) -> str | None:
        """Why the share that may fail is used up, or None."""
        if self._share < 1 and self._finished >= self._after and self._failed > self._share * self._finished:
            return f"{self._failed:,} of {self._finished:,} items failed, more than {self._share:.0%}"
        return None

    def _count(self, outcome: Outcome) -> str | None:
        if outcome.fate is Fate.AGAIN:
            return None
        self._finished += 1
        if outcome.fate is Fate.OK:
            self._row = 0
            return None
        self._failed += 1
        error = json.loads(outcome.body)
        kind = (str(error["type"]), str(error["message"]))
        self._row = self._row + 1 if kind == self._last else 1
        self._last = kind
        if self._row < self._alike:
            return None
        return f"{self._row} items in a row failed alike: {kind[0]}: {kind[1]}"
