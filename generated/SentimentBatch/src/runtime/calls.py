"""Calls of the target for one call of the wrapper: repeated where that can help, and counted.

The limit of attempts holds over all sends of an item: the first send may use it up, every later one (``$try``
above 1) makes one attempt, and whoever sends again adds up the ``attempts`` that came back.
"""

from __future__ import annotations

import collections
import random
import threading
from typing import Any, Callable

from .deadline import Deadline
from .items import Task
from .protocol import ATTEMPT, NOT_CALLED, STOP, THROTTLED, UNREACHABLE, Failure

RETRY_PAUSES = (0.5, 30.0)  # seconds: the first pause and the longest, after a failure
THROTTLED_PAUSES = (2.0, 60.0)  # after 429 and 503 that name no time
STEPS = 10  # after which pauses are no longer doubled
THROTTLED_TIMES = 5  # that one item is put off, where others are not
LEAST_SECONDS = 1.0  # that a call of the target is granted
MEASURED = 10_000  # calls whose duration is kept


class Stopped(Exception):
    """No other call can succeed either: everyone stops."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Calls:
    """Calls the target for a task, again where that can help, until the deadline."""

    def __init__(
        self,
        call: Callable[[Any, float], Any],
        attempts: int,
        item_timeout: float,
        deadline: Deadline,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """``call(items, seconds)`` is the target's; ``chance`` gives numbers from 0 to 1 for the jitter."""
        self.count = self.throttled = 0
        self.seconds: collections.deque[float] = collections.deque(maxlen=MEASURED)
        self.ended = threading.Event()  # set when nothing more is to be tried
        self.wait = self.ended.wait
        self._call = call
        self._attempts = attempts
        self._item_timeout = item_timeout
        self._deadline = deadline
        self._chance = chance
        self._has_answered = False  # whether the target took any call
        self._lock = threading.Lock()

    def make(self, task: Task, items: Any) -> Any:
        """The target's result. ``task.attempts`` counts them. Raises ``Failure``, or ``Stopped``."""
        put_off = unreachable = 0
        while True:
            failure = None
            began = self._deadline.clock()
            try:
                result = self._once(task, items)
            except Failure as error:
                failure = error
            self._count(task, failure, self._deadline.clock() - began)
            if failure is None:
                return result
            put_off += failure.effect == THROTTLED
            unreachable += failure.effect == UNREACHABLE
            if failure.effect == STOP:
                raise Stopped(failure)
            pause = self._pause(failure, task.attempts, put_off, unreachable)
            if not self._may_repeat(failure, task, put_off) or not self._has_waited(failure, pause):
                if failure.effect == UNREACHABLE:
                    raise Stopped(failure)
                raise failure

    def _once(self, task: Task, items: Any) -> Any:
        """One call, counted before it is made, so that whoever closes the task meanwhile counts it too."""
        left = self._deadline.left()
        if left <= 0 and self.ended.is_set():
            raise task.out_of_time()
        task.attempts += 1
        try:
            return self._call(items, min(self._item_timeout, max(left, LEAST_SECONDS)))
        except Failure as failure:
            task.attempts -= failure.effect != ATTEMPT
            if (
                failure.error_type == "TimeoutError"
                and left < self._item_timeout
                and self._deadline.left() < 1
            ):
                cut_short = task.out_of_time()  # this call's time is to blame, not the item
                cut_short.effect, cut_short.splits = ATTEMPT, False
                raise cut_short from None
            raise

    def _count(self, task: Task, failure: Failure | None, seconds: float) -> None:
        effect = ATTEMPT if failure is None else failure.effect
        with self._lock:
            if effect not in (NOT_CALLED, UNREACHABLE):
                self.count += 1
                self.seconds.append(seconds)
                self._has_answered = self._has_answered or effect == ATTEMPT
            if effect == ATTEMPT:
                task.seconds += seconds
            self.throttled += effect == THROTTLED

    def _may_repeat(self, failure: Failure, task: Task, put_off: int) -> bool:
        if failure.effect == THROTTLED:
            return put_off < THROTTLED_TIMES or not self._has_answered
        if failure.effect == UNREACHABLE:
            return True
        if (len(task.items) > 1 or task.part) and failure.splits:
            return False  # one of its items is being looked for
        return failure.retryable and task.may_retry and task.attempts < self._attempts

    def _pause(self, failure: Failure, attempts: int, put_off: int, unreachable: int) -> float:
        first, longest = RETRY_PAUSES
        pause = self._chance() * min(longest, first * 2 ** min(max(attempts, put_off, unreachable), STEPS))
        if failure.effect != THROTTLED:
            return pause
        if failure.retry_after is not None:  # the second time not less than after any other failure
            return failure.retry_after if put_off == 1 else max(failure.retry_after, pause)
        first, longest = THROTTLED_PAUSES
        return first + self._chance() * (min(longest, first * 2 ** min(put_off, STEPS)) - first)

    def _has_waited(self, failure: Failure, pause: float) -> bool:
        """Whether the pause is over and there is still time to start another call."""
        left = self._deadline.left_to_start() - LEAST_SECONDS
        if failure.effect == UNREACHABLE:
            pause = min(pause, left)  # so that the last try is as late as can be
        return left > 0 and pause <= left and not self.wait(pause)
