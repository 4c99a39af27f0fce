"""How often the target is called for an item, and how long to wait in between.

The limit holds over all sends of an item: the first send may use it up, every later one (``$try`` above 1)
makes one attempt, and whoever resends adds up the ``attempts`` that came back. 429 is not an attempt.
"""

import random
import threading
from typing import Any  # noqa: F401 - for the type comments

from .items import out_of_time
from .protocol import Failure

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
FIRST_THROTTLED_PAUSE, LONGEST_THROTTLED_PAUSE = 2.0, 60.0
THROTTLED_TIMES = 5
LEAST_SECONDS = 1.0  # that a call of the target is granted


class Stopped(Exception):
    """An authentication or payment error: no other call can fare better, so everyone stops."""

    def __init__(self, failure):
        # type: (Failure) -> None
        super().__init__(failure.message)
        self.failure = failure


class Attempts:
    """Calls the target for one input, again where that can help, until the deadline."""

    def __init__(self, call, limits, deadline, chance=random.random, wait=None):
        # type: (Any, dict, Any, Any, Any) -> None
        """``call(value, seconds)`` is the target's; ``chance`` gives numbers from 0 to 1 for the jitter.

        ``wait(seconds)`` pauses, and is true if there is no use in going on.
        """
        self.call = call
        self.calls = 0
        self.throttled = 0
        self._limit = limits["attempts"]
        self._item_timeout = limits["item_timeout"]
        self._deadline = deadline
        self._chance = chance
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._wait = wait or self._ended.wait

    def end(self):
        # type: () -> None
        """Wake whoever pauses: nothing more will be tried."""
        self._ended.set()

    def has_ended(self):
        # type: () -> bool
        """Whether nothing more will be tried."""
        return self._ended.is_set()

    def make(self, value, task):
        # type: (Any, Any) -> Any
        """The target's result for one input.

        ``task.attempts`` counts them. Raises ``Failure``, or ``Stopped``.
        """
        throttled = 0
        while True:
            try:
                result = self._call(value, task)
            except Failure as failure:
                throttled += failure.throttled
                self._count(failure.called, failure.throttled)
                task.attempts -= not failure.called or failure.stops or failure.throttled
                if failure.stops:
                    raise Stopped(failure) from None
                if not self._again(failure, task, throttled):
                    raise
            else:
                self._count(1, 0)
                return result

    def _call(self, value, task):
        """One call, counted before it is made, so that whoever seals the item meanwhile counts it too."""
        task.attempts += 1
        left = self._deadline.left()
        if left <= 0 and self.has_ended():
            raise out_of_time(0)
        try:
            return self.call(value, min(self._item_timeout, max(left, LEAST_SECONDS)))
        except Failure as failure:
            clipped = left < self._item_timeout and self._deadline.left() < LEAST_SECONDS
            if not clipped or failure.error_type != "TimeoutError":
                raise
            cut_short = out_of_time(task.attempts)  # not the item's fault, as when it is sealed meanwhile
            cut_short.called = True
            raise cut_short from None

    def _count(self, calls, throttled):
        with self._lock:
            self.calls += calls
            self.throttled += throttled

    def _again(self, failure, task, throttled):
        """Whether to try again; pauses first."""
        limit = self._limit if task.first_send else 1
        if task.is_over(failure) or task.attempts >= limit:
            return False
        if not failure.retryable or throttled >= THROTTLED_TIMES:
            return False
        pause = self._pause(failure, task.attempts, throttled)
        return pause + LEAST_SECONDS <= self._deadline.left() and not self._wait(pause)

    def _pause(self, failure, attempts, throttled):
        if not failure.throttled:
            return self._chance() * min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempts)
        if failure.retry_after is not None:
            return failure.retry_after
        longest = min(LONGEST_THROTTLED_PAUSE, FIRST_THROTTLED_PAUSE * 2**throttled)
        return FIRST_THROTTLED_PAUSE + self._chance() * (longest - FIRST_THROTTLED_PAUSE)
