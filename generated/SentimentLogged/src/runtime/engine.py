"""The work of one call: a few threads that take items, call the target, and hand over what became of each.

Nothing is held but what is in flight. At the hard stop whatever is open is closed; later answers are dropped.
"""

from __future__ import annotations

import collections
import threading
from typing import Any, Iterator

from .answer import Answer
from .calls import Stopped
from .items import Item, Outcome, Task
from .protocol import Failure
from .work import OneByOne

LATER = 0.01  # seconds, so that what was waited for has come
TICK = 5.0  # seconds after which the answer is asked whether it has something to do


class Engine:
    """Does all tasks of one call."""

    def __init__(
        self,
        work: OneByOne,
        items: Iterator[Item],
        answer: Answer,
        parallel: int,
        change: threading.Condition,
    ) -> None:
        """``change`` is the lock of the call."""
        self.stopped: Failure | None = None
        self._work = work
        self._tasks = work.tasks(items)
        self._answer = answer
        self._deadline = answer.deadline
        self._parallel = parallel
        self._change = change
        self._next: Task | None = None
        self._parts: collections.deque[Task] = collections.deque()
        self._open: dict[int, Task] = {}
        self._dropped: list[Task] = []
        self._threads = 0
        self._has_begun = self._is_closing = self._is_closed = False
        self._error: BaseException | None = None

    def run(self) -> None:
        """Give every item its outcome, before the hard stop. Raises what is no item's failure."""
        with self._change:
            self._fetch()
            self._deadline.begin()
        try:
            self._do_all()
        finally:
            with self._change:
                self._is_closed = True
                self.stop()
        with self._change:
            self._close()
        if self._error is not None:
            raise self._error

    def _do_all(self) -> None:
        """Return when all tasks are done, or time is up."""
        with self._change:
            self._start_thread()
            while not self._is_over() and self._deadline.left() > 0:
                self._change.wait(min(self._deadline.left(), TICK))
                self._answer.tick()

    def stop(self, failure: Failure | None = None) -> None:
        """Start nothing more; what is in flight may end. ``failure`` is what stops everyone, if anything."""
        self.stopped = self.stopped or failure
        self._is_closing = True
        self._work.calls.ended.set()
        self._change.notify_all()

    def _is_over(self) -> bool:
        return not self._open and (self._is_closing or not (self._next or self._parts))

    def _fetch(self) -> None:
        """Have the next task ready, so that no thread is started for nothing."""
        try:
            self._next = next(self._tasks, None)
        except BaseException as error:  # reading the items failed
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self._next = None
        self._error = self._error or error
        self.stop()

    def _start_thread(self) -> None:
        """One more thread, if there is something to do for it."""
        if self._threads == self._parallel or self._is_closing or not (self._next or self._parts):
            return
        self._threads += 1
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:  # the system starts no more; those that there are can do it
            self._threads -= 1
            self._parallel = self._threads
            if not self._threads:
                raise

    def _run(self) -> None:
        """What each thread does."""
        finished: list[tuple[Item, Outcome, Any]] = []
        task, parts = None, []  # type: ignore[var-annotated]
        while True:
            with self._change:
                if task is not None:
                    self._finish(task, finished, parts)
                task = self._take()
            if task is None:
                return
            finished, parts = [], []
            try:
                outcomes, parts = self._work.do(task)
                finished = [(item, one, self._answer.prepare(item, one)) for item, one in outcomes]
            except Stopped as stop:
                self._drop(task, stop.failure)
                task = None
            except BaseException as error:  # a fault of ours must not leave the caller waiting
                self._drop(task, None, error)
                task = None

    def _take(self) -> Task | None:
        """The next task, once there is room for its outcome; None when there is nothing more to do."""
        while not self._is_closing:
            if self._has_begun and self._deadline.left_to_start() <= 0:  # but one task is always tried
                self.stop()
            elif not self._answer.has_room():
                self._change.wait(self._deadline.left_to_start() + LATER)
            elif self._parts or self._next:
                task = self._parts.popleft() if self._parts else self._next
                assert task is not None
                self._open[id(task)] = task
                if task is self._next:
                    self._fetch()
                self._has_begun = True
                self._start_thread()
                return task
            elif self._open:
                self._change.wait()
            else:
                break
        return None

    def _finish(self, task: Task, finished: list[tuple[Item, Outcome, Any]], parts: list[Task]) -> None:
        if self._is_closed:
            return
        del self._open[id(task)]
        self._deadline.observe_duration(task.seconds)
        for item, outcome, prepared in finished:
            self._answer.put(item, outcome, prepared)
        if self._answer.raises and self._answer.failures:
            self.stop()
        self._parts.extendleft(reversed(parts))
        if parts or self._is_over():
            self._change.notify_all()

    def _drop(self, task: Task, failure: Failure | None, error: BaseException | None = None) -> None:
        with self._change:
            if self._is_closed:
                return
            self._dropped.append(self._open.pop(id(task)))
            if error is not None:
                self._fail(error)
            self.stop(failure)

    def _close(self) -> None:
        """Give what is open when work ends an outcome, with the attempts that it had."""
        for task in (*self._open.values(), *self._dropped, *self._parts):
            self._close_task(task)
        while self._next is not None:
            self._close_task(self._next)
            self._fetch()

    def _close_task(self, task: Task) -> None:
        outcome = task.unfinished(self.stopped)
        for item in task.items:
            self._answer.put(item, outcome, self._answer.prepare(item, outcome))
