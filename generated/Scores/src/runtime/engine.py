"""The work of one call: its two stops, and a few threads that take items and hand over what became of each.

At the hard stop whatever is open is closed; later answers are dropped.
"""

from __future__ import annotations

import collections
import threading
import time
from typing import Any, Callable

from .items import Item, Items, Outcome
from .protocol import Failure
from .work import Task, Work

TICK = 5.0  # seconds after which the recorder is asked whether it has something to do
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # seconds between two tries of what is unavailable
FIRST_THREADS = 4  # of the first call
LEAST_LOOK, LONGEST_LOOK = 0.001, 0.1  # seconds after which it is looked whether there should be more
BUSY = 0.8  # the share of that time in which this process uses its processor, if it does


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
    """Gives every item of one call its outcome."""

    def __init__(self, work: Work, items: Items, parallel: int, recorder: Any = None) -> None:
        self.work = work
        self.stopped: BaseException | None = None  # what stopped everyone: a ``Failure``, or a fault of ours
        self._items = items
        self._recorder = recorder
        self._deadline = work.deadline
        self._parallel = parallel
        self._change = recorder.change if recorder else threading.Condition()  # the lock of the call
        self._waiting = collections.deque(work.tasks())
        self._open: dict[int, Task] = {}  # in flight
        self._left: list[Task] = []  # ended without an outcome
        self._threads = 0
        self._has_begun = self._is_closing = self._is_closed = False

    def run(self) -> None:
        """Give every item its outcome, before the hard stop. Raises what is no item's failure."""
        self._deadline.begin()
        try:
            self._work_until_the_hard_stop()
            self._close()
        finally:
            if self._recorder:
                self._recorder.finish()
        if self.stopped is not None and not isinstance(self.stopped, Failure):
            raise self.stopped

    def stop(self, reason: BaseException | None = None) -> None:
        """Start nothing more; what is in flight may end."""
        self.stopped = self.stopped or reason
        self._is_closing = True
        self.work.ended.set()
        self._change.notify_all()

    def _work_until_the_hard_stop(self) -> None:
        with self._change:
            self._start_threads(getattr(self.work.target, "threads", FIRST_THREADS))
            pause = LEAST_LOOK
            while not self._is_over() and self._deadline.left() > 0:
                pause = self._wait_and_grow(pause)
                if self._recorder and not self._recorder.tick():
                    return
            # Answers that came in time are being handed over.
            self._change.wait_for(self._has_received, self._deadline.reserve / 4)

    def _wait_and_grow(self, pause: float) -> float:
        """Wait for what ends; returns for how long to wait next.

        More threads than are needed slow each other down. So there are as many again only while this process
        leaves its processor idle, as it waits for the target.
        """
        is_short = bool(self._waiting) and self._threads < self._parallel
        began, used = time.monotonic(), time.process_time()
        self._change.wait(min(self._deadline.left(), pause if is_short else TICK))
        if is_short and time.process_time() - used > BUSY * (time.monotonic() - began):
            return min(2 * pause, LONGEST_LOOK)
        if is_short:
            self._start_threads(self._threads)
            self.work.target.threads = self._threads  # to begin the next call with
        return pause

    def _start_threads(self, count: int) -> None:
        tasks = len(self._waiting) + len(self._open)
        for _ in range(min(count, self._parallel - self._threads, tasks)):
            try:
                threading.Thread(target=self._run, daemon=True).start()
                self._threads += 1
            except RuntimeError:  # the system starts no more; those that there are can do it
                self._parallel = self._threads
                if not self._threads:
                    raise
                break

    def _is_over(self) -> bool:
        return not self._open and (self._is_closing or not self._waiting)

    def _has_received(self) -> bool:
        return not any(task.is_answered for task in self._open.values())

    def _close(self) -> None:
        """From now on nothing counts; what has no outcome yet gets that of an unfinished task."""
        with self._change:
            self._is_closed = True
            self.stop()
            stopped = self.stopped if isinstance(self.stopped, Failure) else None
            for task in [*self._left, *self._open.values(), *self._waiting]:
                outcomes = [(item, task.unfinished(stopped)) for item in task.items]
                self._put(self._prepared(outcomes))

    def _run(self) -> None:
        """What each thread does."""
        with self._change:
            task = self._take()
        while task is not None:
            outcomes, parts, raised = [], [], None  # type: ignore[var-annotated]
            try:
                outcomes, parts = self.work.do(task)
                outcomes = self._prepared(outcomes)
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
                return task
            elif self._open:  # and may be cut into parts
                self._change.wait()
            else:
                break
        return None

    def _finish(self, task: Task, outcomes: Any, parts: list[Task], raised: BaseException | None) -> None:
        del self._open[id(task)]
        if raised is not None:
            self.stop(raised)
        if raised is not None or task.held is not None:
            self._left.append(task)
        else:
            self._deadline.slowest = max(self._deadline.slowest, task.seconds)
        self._put(outcomes)
        self._waiting.extendleft(reversed(parts))
        if parts or self._is_over() or self._deadline.left() <= 0:
            self._change.notify_all()

    def _prepared(self, outcomes: list[tuple[Item, Outcome]]) -> list[tuple[Item, Outcome]]:
        """Outcomes with their records."""
        if not self._recorder:
            return outcomes
        return [(item, self._recorder.prepare(item, outcome)) for item, outcome in outcomes]

    def _put(self, outcomes: list[tuple[Item, Outcome]]) -> None:
        for item, outcome in outcomes:
            item.outcome = outcome
            if self._recorder:
                self._recorder.add(outcome.record)
            if self._items.raises and outcome.failure is not None:
                self.stop()
