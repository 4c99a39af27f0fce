"""One task after the other in the calling thread, for code that is not declared safe in several threads.

The counterpart of ``dispatch``. What has begun can't be interrupted, so the soft stop only holds in between.
"""

import collections
from typing import Any  # noqa: F401 - for the type comments

from .items import unfinished


class Attempts:
    """Calls the target once for each task: in process nothing is throttled, or worth trying again."""

    throttled = 0

    def __init__(self, call, limits, deadline):
        # type: (Any, dict, Any) -> None
        """``call(value, seconds)`` is the target's."""
        del deadline
        self._call = call
        self._seconds = limits["item_timeout"]
        self._ended = False
        self.calls = 0

    def end(self):
        # type: () -> None
        """Nothing more will be tried."""
        self._ended = True

    def has_ended(self):
        # type: () -> bool
        """Whether nothing more will be tried."""
        return self._ended

    def make(self, value, task):
        # type: (Any, Any) -> Any
        """The target's result for one input; ``task.attempts`` counts it. Raises ``Failure``."""
        task.attempts += 1
        self.calls += 1
        return self._call(value, self._seconds)


class Dispatch:
    """Does the tasks in order and yields what became of each item."""

    def __init__(self, work, tasks, parallel, deadline, end):
        # type: (Any, Any, int, Any, Any) -> None
        """``work(task)`` gives finished items with their outcomes and further tasks; ``parallel`` is 1."""
        del parallel
        self.stopped = None  # nothing in process stops everyone, as a refused key does elsewhere
        self._work = work
        self._tasks = iter(tasks)
        self._halves = collections.deque()  # type: collections.deque
        self._deadline = deadline
        self._end = end
        self._handing_out = True
        self._fault = None  # type: BaseException | None

    def stop_handing_out(self):
        # type: () -> None
        """Start nothing more."""
        self._handing_out = False

    def outcomes(self, idle):
        # type: (Any) -> Any
        """Yields (item, outcome) as the items end, and calls ``idle()`` in between.

        One task is always tried. After the soft stop what is open comes back with the attempts it had.
        """
        task = self._pull()
        self._deadline.begin()
        while task is not None:
            try:
                finished, halves = self._work(task)
            except BaseException as fault:  # a fault of ours must not cost what is done already
                self._fault = fault
                break
            if halves:
                self._halves.extendleft(reversed(halves))
            yield from finished
            idle()
            if not self._handing_out or self._deadline.left() <= 0:
                break
            task = self._pull()
        self._end()
        yield from self._leftovers()

    def _pull(self):
        if self._halves or self._fault is not None:
            return self._halves.popleft() if self._halves else None
        try:
            return next(self._tasks, None)
        except BaseException as fault:  # reading the items failed: tell the caller once the rest is recorded
            self._fault = fault
            return None

    def _leftovers(self):
        task = self._pull()
        while task is not None:
            outcome = unfinished(task, None)
            for item in task.items:
                yield item, outcome
            task = self._pull()

    def raise_fault(self):
        # type: () -> None
        """Raise what went wrong with reading the items, if anything did."""
        if self._fault is not None:
            raise self._fault
