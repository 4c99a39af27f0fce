"""Sub-batches: one call of a target that takes lists serves many items; bisection finds a poison item.

The counterpart of ``work`` for a target with a batch size. A list that is bisected is not sent again, and its
call was no attempt of all its items.
"""

import time
from typing import Any  # noqa: F401 - for the type comments

from .items import Outcome, Task
from .protocol import Failure, InputError, dumps

SPLITTING = ("SystemExit", "TimeoutError")  # retryable, but one item of the list may have caused it


class WrongLength(Failure):
    """The target answered a list with something else than one result for each of its items."""

    called = True

    def __init__(self, items, result):
        # type: (int, Any) -> None
        answered = "{} results".format(len(result)) if isinstance(result, list) else type(result).__name__
        super().__init__("ParsingError", "the target answered {} items with {}".format(items, answered))


class List(Task):
    """Items that are sent as one list; ``halved`` once it was cut from a longer one."""

    __slots__ = ("halved",)

    def __init__(self, items, first_send):
        # type: (list, bool) -> None
        super().__init__(items, first_send)
        self.halved = False

    @property
    def splits(self):
        # type: () -> bool
        """Whether there is anything to bisect."""
        return len(self.items) > 1

    def is_over(self, failure):
        # type: (Failure) -> bool
        """Whether one of its items is being looked for, or was found."""
        return (self.splits or self.halved) and may_be_of_one(failure)

    def halves(self):
        # type: () -> list
        """Both halves, each to be tried once."""
        half = len(self.items) // 2
        halves = [List(part, self.first_send) for part in (self.items[:half], self.items[half:])]
        for each in halves:
            each.halved = True
            each.attempts = self.attempts
            each.started_at = self.started_at  # for records of halves that the soft stop finds untried
        return halves


def may_be_of_one(failure):
    # type: (Failure) -> bool
    """Whether one poison item may have failed its list; a target that is not there fails any."""
    return failure.status != 404 and (failure.error_type in SPLITTING or not failure.retryable)


class Work:
    """What is done with a task: one call of the target for its items, or two halves as new tasks."""

    def __init__(self, make, target, deadline, wall=time.time):
        # type: (Any, dict, Any, Any) -> None
        """``make(items, task)`` gets the results; ``target`` limits a list by count and by bytes."""
        self._make = make
        self._size = target["batch_size"]
        self._bytes = target["request_bytes"]
        self._deadline = deadline
        self._wall = wall

    def tasks(self, items, send):
        # type: (Any, int) -> Any
        """Tasks of as many items as fit; an item that can't be sent stands alone. ``send`` is ``$try``."""
        together, weight = [], 2  # type: list, int
        for item in items:
            bytes_of_item = self._weigh(item)
            if together and (len(together) == self._size or weight + bytes_of_item > self._bytes):
                yield List(together, send <= 1)
                together, weight = [], 2
            if item.fault is None:
                together.append(item)
                weight += bytes_of_item
            else:
                yield List([item], send <= 1)
        if together:
            yield List(together, send <= 1)

    def _weigh(self, item):
        """Bytes of an item in a list with its comma; what can't be in a list gets its fault here."""
        if item.fault is None:
            try:
                item.encoded = dumps(item.value)
                return len(item.encoded) + 2
            except ValueError:
                item.fault = InputError("the target takes lists, and a list in JSON can't hold this item")
        return 0

    def do(self, task):
        # type: (List) -> tuple[list, list]
        """The items with their outcomes and no further tasks, or no outcomes and two halves."""
        task.started_at, started = self._wall(), self._deadline.clock()
        try:
            results = self._results(task)
        except Failure as failure:
            if task.splits and may_be_of_one(failure):
                task.attempts -= failure.called
                return [], task.halves()
            failure.attempts = task.attempts
            seconds = self._deadline.clock() - started
            failed = Outcome.of_failure(failure, task.started_at, seconds)
            return [(item, failed) for item in task.items], []
        seconds = self._deadline.clock() - started
        self._deadline.saw(seconds)
        outcomes = (Outcome.of_result(result, task.started_at, seconds, task.attempts) for result in results)
        return list(zip(task.items, outcomes)), []

    def _results(self, task):
        if task.items[0].fault is not None:
            raise task.items[0].fault
        results = self._make(task.items, task)
        if not isinstance(results, list) or len(results) != len(task.items):
            raise WrongLength(len(task.items), results)
        return results
