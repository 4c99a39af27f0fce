"""How long a call of the wrapper may work: soft stop, hard stop, and the time to record and answer."""

from __future__ import annotations

import time
from typing import Callable


class TimeUp(Exception):
    """What was given some time took longer."""


class Deadline:
    """Counts from the start of one call.

    Before the *hard stop* every answer counts; after it there is only time to record and to answer. Until the
    *soft stop* new work may start: an item as slow as the slowest so far would end before the hard stop.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start = clock()
        self._end = self.start + seconds
        self._reserve = min(max(seconds / 10, 0.5), 300.0, seconds / 2)
        self._hard_stop = self._end - self._reserve
        self._slowest = 0.0

    def begin(self) -> None:
        """Work on the items starts now; reading them may have taken time, but one item is always tried."""
        now = self.clock()
        self._hard_stop = max(self._hard_stop, now + max(self._end - now, 1.0) / 2)

    def observe_duration(self, seconds: float) -> None:
        """Update the duration of the slowest item so far; pauses do not count."""
        self._slowest = max(self._slowest, seconds)

    def left(self) -> float:
        """Seconds until the hard stop; not below zero."""
        return max(0.0, self._hard_stop - self.clock())

    def left_to_start(self) -> float:
        """Seconds until the soft stop; not below zero."""
        return max(0.0, self._hard_stop - self._slowest - self.clock())

    def left_to_record(self) -> float:
        """Seconds to wait for what is unavailable: until the hard stop, and after it most of the rest."""
        return max(self.left(), min(0.9 * self._reserve, self.left_to_answer()))

    def left_to_answer(self) -> float:
        """Seconds that recording and storing results may take; not below zero."""
        return max(0.0, self._end - self._reserve / 10 - self.clock())

    def elapsed(self) -> float:
        """Seconds since the call began."""
        return self.clock() - self.start
