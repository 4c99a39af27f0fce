"""Work on one item: the user's hooks around a call of the target, and the part of its answer that counts."""

from __future__ import annotations

import inspect
import time
from types import ModuleType
from typing import Any, Callable, Iterator

from .calls import Calls
from .deadline import Deadline
from .items import Item, Items, Outcome, Task
from .protocol import Failure, error_type_and_message


class Hooks:
    """The user's hooks for the items of one call. An exception in one fails the item."""

    def __init__(self, module: ModuleType, items: Items) -> None:
        """``module`` defines any of ``before``, ``after`` and ``error``."""
        found = [getattr(module, name, None) for name in ("before", "after", "error")]
        self._before, self._after, self._error = [hook and self._adapt(hook) for hook in found]
        self._items = items

    def _adapt(self, hook: Callable[..., Any]) -> Callable[..., Any]:
        """A hook that takes the item first, and is given a ``context`` only if it wants one."""
        if "context" not in inspect.signature(hook).parameters:
            return lambda item, *arguments: hook(item.value, *arguments)
        return lambda item, *arguments: hook(item.value, *arguments, context=self._context(item))

    def _context(self, item: Item) -> dict[str, Any]:
        return {"run": self._items.run, "id": item.id, "index": item.index, "try": self._items.try_number}

    def before(self, item: Item) -> None:
        """Let the user change what the target gets."""
        if self._before is not None and item.failure is None:
            try:
                item.value = self._before(item)
            except (Exception, SystemExit) as error:
                item.failure = Failure(*error_type_and_message(error))

    def after(self, item: Item, outcome: Outcome) -> Outcome:
        """What the user makes of an outcome; what was not tried is nobody's, so no hook sees it."""
        failure = outcome.failure
        hook = self._after if failure is None else self._error
        if hook is None or (failure is not None and failure.untried):
            return outcome
        try:
            if failure is None:
                result = hook(item, outcome.value)
                return Outcome.of_result(result, outcome.started_at, outcome.seconds, outcome.attempts)
            changed = Failure(*hook(item, failure.error_type, failure.message, failure.retryable))
            changed.attempts = outcome.attempts
            return Outcome.of_failure(changed, outcome.started_at, outcome.seconds)
        except (Exception, SystemExit) as error:
            changed = Failure(*error_type_and_message(error), attempts=outcome.attempts)
            return Outcome.of_failure(changed, outcome.started_at, outcome.seconds)


class OneByOne:
    """One call of the target for each item."""

    def __init__(
        self, calls: Calls, hooks: Hooks, target: dict[str, Any], may_retry: bool, deadline: Deadline
    ) -> None:
        """``target`` says which part of an answer is the result, and how long a list may be."""
        self.calls = calls
        self.hooks = hooks
        self.target = target
        self.may_retry = may_retry
        self.deadline = deadline

    def tasks(self, items: Iterator[Item]) -> Iterator[Task]:
        """One task for each item."""
        return (Task([item], self.may_retry) for item in items)

    def do(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        """The item with its outcome. ``Stopped`` passes through."""
        item = task.items[0]
        if item.known is not None:
            return [(item, item.known)], []
        task.started_at, started = time.time(), self.deadline.clock()
        self.hooks.before(item)
        try:
            if item.failure is not None:
                raise item.failure
            result = self.calls.make(task, item)
            if self.target["result"] == "first":
                result = first(result)
        except Failure as failure:
            failure.attempts = task.attempts
            outcome = Outcome.of_failure(failure, task.started_at, self.deadline.clock() - started)
        else:
            seconds = self.deadline.clock() - started
            outcome = Outcome.of_result(result, task.started_at, seconds, task.attempts)
        return [(item, self.hooks.after(item, outcome))], []


def first(result: Any) -> Any:
    """The element of the list of one with which some targets answer a bare item. Raises ``Failure``."""
    if not isinstance(result, list) or len(result) != 1:
        raise Failure("ParsingError", "the target should answer one item with a list of one")
    return result[0]
