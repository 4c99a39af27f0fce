"""Work on one item: one call of the target for it, and the part of the answer that is its result.

The counterpart of ``batches`` for a target that takes one item at a time.
"""

import time
from typing import Any  # noqa: F401 - for the type comments

from .items import Outcome, Task
from .protocol import Failure


class Work:
    """What is done with a task: one call of the target for one item."""

    def __init__(self, make, target, deadline, wall=time.time):
        # type: (Any, dict, Any, Any) -> None
        """``make(value, task)`` gets the result; ``target`` says which part of it is the item's own."""
        self._make = make
        self._select = SELECT[target["result"]]
        self._deadline = deadline
        self._wall = wall

    @staticmethod
    def tasks(items, send):
        # type: (Any, int) -> Any
        """One task for each item; ``send`` is the call's ``$try``."""
        return (Task([item], send <= 1) for item in items)

    def do(self, task):
        # type: (Task) -> tuple[list, list]
        """The item with its outcome, and no further tasks. ``Stopped`` passes through."""
        item = task.items[0]
        task.started_at, started = self._wall(), self._deadline.clock()
        try:
            if item.fault is not None:
                raise item.fault
            result = self._select(self._make(item.value, task))
        except Failure as failure:
            failure.attempts = task.attempts
            outcome = Outcome.of_failure(failure, task.started_at, self._deadline.clock() - started)
        else:
            seconds = self._deadline.clock() - started
            self._deadline.saw(seconds)
            outcome = Outcome.of_result(result, task.started_at, seconds, task.attempts)
        return [(item, outcome)], []


def whole(result):
    # type: (Any) -> Any
    """The result as it came."""
    return result


def first(result):
    # type: (Any) -> Any
    """The element of the list of one with which some targets answer a bare item."""
    if not isinstance(result, list) or len(result) != 1:
        raise Failure("ParsingError", "the target should answer one item with a list of one")
    return result[0]


SELECT = {"whole": whole, "first": first}
