"""When a run has failed too much to go on: a share of failures, or many alike in a row. Pure counting."""

from __future__ import annotations

import json
from collections.abc import Sequence

from wrapgen.run.process import Outcome
from wrapgen.run.states import Fate

AFTER = 200
"""Items that must be finished before a share of failures says anything."""

SHARE = 0.05
"""The part of them that may have failed."""

ALIKE = 20
"""Equal failures in a row that stop a run."""


class Budget:
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
        share: float = SHARE,
        after: int = AFTER,
        alike: int = ALIKE,
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
        alike = None
        if clean:
            self._finished += len(outcomes)
            self._row = 0
        else:
            for outcome in outcomes:
                alike = self._count(outcome) or alike
        return None if self._share >= 1 else self.spent() or alike

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
