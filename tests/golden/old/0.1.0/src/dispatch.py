"""Parallel work on the items of one call: a few threads, a soft stop, and nothing held but what is in flight.

Here live handing out, collecting and sealing; what is done with an item is passed in.
"""

import collections
import threading
from typing import Any  # noqa: F401 - for the type comments

from .attempts import Stopped
from .items import unfinished
from .protocol import Failure  # noqa: F401 - for the type comments

TOGETHER, LINGER = 16, 0.02  # finished tasks that are collected at once; seconds that one waits for others
WAITING = 4  # finished tasks per thread that may wait to be collected before no more are handed out


class Dispatch:
    """Hands tasks to threads and yields what became of each item, in the order in which they end."""

    def __init__(self, work, tasks, parallel, deadline, end):
        # type: (Any, Any, int, Any, Any) -> None
        """``work(task)`` gives finished items with their outcomes and further tasks, or raises ``Stopped``.

        ``end()`` is called when no more is to be tried.
        """
        self.stopped = None  # type: Failure | None
        self._work = work
        self._tasks = iter(tasks)
        self._parallel = parallel
        self._together = min(TOGETHER, WAITING * parallel)  # no more than that will ever wait
        self._threads = 0
        self._deadline = deadline
        self._end = end
        self._halves = collections.deque()  # type: collections.deque
        self._finished = collections.deque()  # type: collections.deque
        self._open = {}  # type: dict
        self._dropped = []  # type: list
        self._more = self._handing_out = True
        self._begun = self._sealed = False
        self._fault = None  # type: BaseException | None
        self._change = threading.Condition()

    def stop_handing_out(self):
        # type: () -> None
        """Start nothing more; what is in flight may end."""
        with self._change:
            self._handing_out = False
            self._change.notify_all()
        self._end()

    def outcomes(self, idle, tick=5.0):
        # type: (Any, float) -> Any
        """Yields (item, outcome) as the items end; calls ``idle()`` at least every ``tick`` seconds.

        At the soft stop whatever is open is sealed: it comes back as DeadlineExceeded, and an answer that is
        still on its way is dropped. After authentication and payment errors open items come back as they are.
        """
        self._start_thread()
        try:
            while self._collect(tick):
                yield from self._take()
                idle()
            yield from self._take()
            self._seal()
            yield from self._leftovers()
        finally:
            self._seal()

    def raise_fault(self):
        # type: () -> None
        """Raise what went wrong with reading the items or with the work itself, if anything did."""
        if self._fault is not None:
            raise self._fault

    def _collect(self, tick):
        """Wait for something to take; False when everything has ended or been sealed."""
        with self._change:
            if not (self._finished or self._is_over()):
                left = self._deadline.left()
                if left <= 0:
                    return False
                self._change.wait(min(left, tick))
            if 0 < len(self._finished) < self._together and not self._is_over():
                self._change.wait(LINGER)
            return bool(self._finished) or not self._is_over()

    def _is_over(self):
        return not self._open and not (self._handing_out and (self._more or self._halves))

    def _take(self):
        with self._change:
            taken = [pair for finished in self._finished for pair in finished]
            self._finished.clear()
            self._change.notify_all()
            return taken

    def _seal(self):
        with self._change:
            self._sealed = True
            self._change.notify_all()
        self._end()

    def _leftovers(self):
        """What is open when work ends, as `outcomes` yields it."""
        for task in list(self._open.values()) + self._dropped + list(self._halves):
            outcome = unfinished(task, self.stopped)
            for item in task.items:
                yield item, outcome
        try:
            for task in self._tasks if self._fault is None else ():
                outcome = unfinished(task, self.stopped)
                for item in task.items:
                    yield item, outcome
        except Exception as fault:  # reading the items failed: tell the caller once the rest is recorded
            self._fault = fault

    def _start_thread(self):
        """One more thread, unless there are enough or nothing is left for it to do."""
        with self._change:
            if self._threads == self._parallel or not (self._more or self._halves):
                return
            self._threads += 1
        try:
            threading.Thread(target=self._run, daemon=True).start()
        except RuntimeError:  # there are no more to be had; those that there are can do it
            with self._change:
                self._threads -= 1
                self._parallel = self._threads
            if not self._threads:
                raise

    def _run(self):
        """What each thread does."""
        while True:
            task = self._next()
            if task is None:
                return
            if self._threads < self._parallel:
                self._start_thread()
            try:
                finished, halves = self._work(task)
            except Stopped as stop:
                self._stop(task, stop.failure)
            except BaseException as fault:  # a fault of ours must not leave the caller waiting
                self._fail(task, fault)
            else:
                self._finish(task, finished, halves)

    def _next(self):
        with self._change:
            while True:
                if self._sealed or not self._handing_out:
                    return None
                if len(self._finished) < WAITING * self._parallel:
                    task = self._pull()
                    if task is not None:
                        self._open[id(task)] = task
                        return task
                    if not self._open:
                        self._change.notify_all()
                        return None
                self._change.wait()

    def _pull(self):
        if self._begun and self._deadline.left() <= 0:  # but one is always tried
            return None
        if self._halves:
            return self._halves.popleft()
        try:
            task = next(self._tasks) if self._more else None
            if not self._begun:
                self._deadline.begin()
            self._begun = True
            return task
        except StopIteration:
            self._more = False
        except BaseException as fault:  # reading the items failed: tell the caller
            self._more = self._handing_out = False
            self._fault = fault
        return None

    def _finish(self, task, finished, halves):
        with self._change:
            if self._sealed:
                return
            del self._open[id(task)]
            self._halves.extendleft(reversed(halves))
            self._finished.append(finished)
            if len(self._finished) in (1, self._together) or self._is_over():
                self._change.notify_all()

    def _stop(self, task, failure):
        with self._change:
            if self._sealed:
                return
            self.stopped = self.stopped or failure
            self._handing_out = False
            self._dropped.append(self._open.pop(id(task)))
            self._change.notify_all()
        self._end()

    def _fail(self, task, fault):
        with self._change:
            self._fault = self._fault or fault
            self._handing_out = False
            self._open.pop(id(task), None)
            self._change.notify_all()
