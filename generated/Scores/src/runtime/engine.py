"""The work of one call: its two stops, and a few threads that take items and hand over what became of each.

At the hard stop whatever is open is closed; later answers are dropped.
"""

from __future__ import annotations

import collections
import itertools
import threading
import time
from typing import Any, Callable

from .answer import Answer
from .items import Item, Outcome
from .protocol import Failure
from .work import Task, Work

TICK = 5.0  # seconds after which the recorder is asked whether it has something to do
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries of what is unavailable


class Deadline:
    """Counts from the start of one call.

    Before the *hard stop* every answer counts; after it there is only time to record and to answer. Until the
    *soft stop* new work may start: an item as slow as the slowest so far would end before the hard stop.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self.start = clock()
        self.slowest = 0.0  # seconds that the slowest item took; pauses do not count
        self.reserve = min(max(seconds / 10, 0.5), 300.0, seconds / 2)
        self._end = self.start + seconds
        self._hard_stop = self._end - self.reserve

    def begin(self) -> None:
        """Work on the items starts now; reading them may have taken time, but one item is always tried."""
        now = self.clock()
        self._hard_stop = max(self._hard_stop, now + max(self._end - now, 1.0) / 2)

    def left(self) -> float:
        """Seconds until the hard stop; like the others not below zero."""
        return max(0.0, self._hard_stop - self.clock())

    def left_to_start(self) -> float:
        """Seconds until the soft stop."""
        return max(0.0, self._hard_stop - self.slowest - self.clock())

    def left_to_answer(self) -> float:
        """Seconds that recording and storing results may take."""
        return max(0.0, self._end - self.reserve / 10 - self.clock())

    def retry(self, do: Callable[[], Any], seconds: float) -> Any:
        """What ``do`` returns; tried again for so long while its ``Failure`` is retryable."""
        until, pause = self.clock() + seconds, FIRST_PAUSE
        while True:
            try:
                return do()
            except Failure as failure:
                if not failure.retryable or self.clock() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)


class Engine:
    """Does all tasks of one call."""

    def __init__(self, work: Work, answer: Answer, parallel: int, recorder: Any = None) -> None:
        self.work = work
        self.stopped: Failure | None = None  # what stopped everyone
        self._answer = answer
        self._recorder = recorder
        self._deadline = work.deadline
        self._parallel = parallel
        self._change = recorder.change if recorder else threading.Condition()  # the lock of the call
        self._tasks = work.tasks()
        self._waiting: collections.deque[Task] = collections.deque()  # parts of tasks, and one task ahead
        self._open: dict[int, Task] = {}  # in flight
        self._dropped: list[Task] = []  # open when what stops everyone was found
        self._threads = 0
        self._has_begun = self._is_ending = self._is_closing = self._is_closed = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Give every item its outcome, before the hard stop. Raises what is no item's failure."""
        with self._change:
            self._fill()
            self._deadline.begin()
        try:
            self._work_until_the_hard_stop()
        finally:
            with self._change:
                self._is_closed = True
                self.stop()
        with self._change:
            self._waiting.extendleft([*self._dropped, *self._open.values()])
            while self._waiting:
                task = self._waiting.popleft()
                for item in task.items:  # they have the attempts that they had
                    outcome = task.unfinished(self.stopped)
                    self._put(item, self._recorder.prepare(item, outcome) if self._recorder else outcome)
                self._fill()
        if self._error is not None:
            raise self._error

    def stop(self, failure: Failure | None = None, error: BaseException | None = None) -> None:
        """Start nothing more; what is in flight may end. ``failure`` stops everyone; an ``error`` is ours."""
        self.stopped = self.stopped or failure
        self._error = self._error or error
        self._is_closing = True
        self.work.ended.set()
        self._change.notify_all()

    def _work_until_the_hard_stop(self) -> None:
        with self._change:
            self._start_thread()
            while not self._is_over() and self._deadline.left() > 0:
                self._change.wait(min(self._deadline.left(), TICK))
                if self._recorder:
                    self._recorder.tick()
            self._is_ending = True  # but for answers that came in time and are being handed over
            self._change.wait_for(self._has_received, self._deadline.reserve / 4)

    def _is_over(self) -> bool:
        return not self._open and (self._is_closing or not self._waiting)

    def _has_received(self) -> bool:
        return self._error is not None or not any(task.is_answered for task in self._open.values())

    def _fill(self) -> None:
        """Have the next task ready, so that no thread is started for nothing."""
        try:
            if not self._waiting:
                self._waiting.extend(itertools.islice(self._tasks, 1))
        except BaseException as error:  # what finds out which items are known already has failed
            self.stop(error=error)

    def _start_thread(self) -> None:
        """One more thread, if there is something to do for it."""
        if self._threads < self._parallel and self._waiting and not self._is_closing:
            try:
                threading.Thread(target=self._run, daemon=True).start()
                self._threads += 1
            except RuntimeError:  # the system starts no more; those that there are can do it
                self._parallel = self._threads
                if not self._threads:
                    raise

    def _run(self) -> None:
        """What each thread does."""
        with self._change:
            task = self._take()
        while task is not None:
            outcomes, parts, raised = [], [], None  # type: ignore[var-annotated]
            try:
                outcomes, parts = self.work.do(task)
                if self._recorder:
                    outcomes = [(item, self._recorder.prepare(item, one)) for item, one in outcomes]
            except BaseException as error:  # not even a fault of ours may leave the caller waiting
                raised = error
            with self._change:
                if not self._is_closed:
                    self._finish(task, outcomes, parts, raised)
                task = self._take()

    def _take(self) -> Task | None:
        """The next task, once there is room for its outcome; None when there is nothing more to do."""
        while not self._is_closing:
            if self._has_begun and self._deadline.left_to_start() <= 0:  # but one task is always tried
                self.stop()
            elif self._recorder and not self._recorder.has_room():
                self._change.wait(self._deadline.left_to_start() + 0.01)
            elif self._waiting:
                task = self._waiting.popleft()
                self._open[id(task)] = task
                self._has_begun = True
                self._fill()
                self._start_thread()
                return task
            elif self._open:  # and may be cut into parts
                self._change.wait()
            else:
                break
        return None

    def _finish(self, task: Task, outcomes: list[Any], parts: list[Task], raised: Any) -> None:
        del self._open[id(task)]
        if raised is not None:
            self._dropped.append(task)
            self.stop(*((raised, None) if isinstance(raised, Failure) else (None, raised)))
            return
        if task.held is not None:  # until it is known whether something stops everyone
            self._dropped.append(task)
        self._deadline.slowest = max(self._deadline.slowest, task.seconds)
        for item, outcome in outcomes:
            self._put(item, outcome)
        self._waiting.extendleft(reversed(parts))
        if parts or self._is_ending or self._is_over():
            self._change.notify_all()

    def _put(self, item: Item, outcome: Outcome) -> None:
        self._answer.put(item, outcome)
        if self._recorder:
            self._recorder.add(outcome.record)
        if self._answer.raises and outcome.failure is not None:
            self.stop()
