"""Sub-batches: one call of a target that takes lists serves many items; bisection finds a poison item.

A list that is bisected is not sent again, and its call was no attempt of all its items.
"""

from __future__ import annotations

import time
from itertools import islice
from typing import Any, Iterator

from .items import Item, Outcome
from .protocol import ATTEMPT, Failure, InputError, encode_value
from .work import STOPPING, Task, Work

MARGIN = 16  # bytes that a result may take more as it travels


class Half(Task):
    """A part of a list that failed: one of its items is being looked for."""


class Lists(Work):
    """One call of the target for a list of items, or further tasks for the parts of the list."""

    def tasks(self) -> Iterator[Task]:
        """Tasks of as many items as the target takes."""
        items = iter(self.items)
        return (Task(each) for each in iter(lambda: list(islice(items, self.settings["batch_size"])), []))

    def do(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        """The items with their outcomes, or parts of the list. What stops everyone passes through."""
        if task.started_at is None:
            task.started_at = time.time()
        sizes = [self._encode(item) for item in task.items]
        failed = [self._outcome(task, item, item.failure, 0.0) for item in task.items if item.failure]
        groups = self._groups(task.items, sizes)
        if len(groups) > 1 or failed:
            return failed, [self._part(task, group) for group in groups]
        return self._send(task)

    def _encode(self, item: Item) -> int:
        """Bytes of an item in a list with its comma; one that can't be in a list fails."""
        if item.failure is None and not item.encoded:
            self.hooks.before(item)
            try:
                self.prepare(item)
                item.encoded = encode_value(item.value)
            except Failure as failure:
                item.failure = item.failure or failure
            except ValueError:
                message = "the target takes lists, and a list in JSON can't hold this item"
                item.failure = item.failure or InputError(message)
        return len(item.encoded) + 2

    def _groups(self, items: list[Item], sizes: list[int]) -> list[list[Item]]:
        """The items that can be sent, in lists that fit a request."""
        groups: list[list[Item]] = []
        room = 0
        for item, size in zip(items, sizes):
            if item.failure is None:
                if size > room or not groups:
                    groups.append([])
                    room = self.settings["request_bytes"] - 2
                groups[-1].append(item)
                room -= size
        return groups

    def _may_repeat(self, task: Task, failure: Failure, times: dict[str, int]) -> bool:
        if failure.splits and (len(task.items) > 1 or isinstance(task, Half)):
            return False  # one of its items is being looked for
        return super()._may_repeat(task, failure, times)

    def _part(self, task: Task, items: list[Item], is_half: bool = False) -> Task:
        part = Half(items) if is_half or isinstance(task, Half) else Task(items)
        part.attempts = task.attempts
        part.started_at = task.started_at  # for records of parts that are left when time runs out
        return part

    def _send(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        try:
            results = self.call(task, self.target.call_list, task.items)
            if not isinstance(results, list) or len(results) != len(task.items):
                got = f"{len(results)} results" if isinstance(results, list) else type(results).__name__
                message = f"the target answered {len(task.items)} items with {got}"
                raise Failure("ParsingError", message, effect=ATTEMPT)
        except Failure as failure:
            if failure.effect in STOPPING:
                raise
            if len(task.items) > 1 and (failure.splits or failure.splits_last):
                task.attempts -= failure.effect == ATTEMPT
                half = len(task.items) // 2
                return [], [self._part(task, items, True) for items in (task.items[:half], task.items[half:])]
            results = [failure] * len(task.items)
        size = 0 if self.settings["recorded"] else _size_of_each(results)  # a record needs each encoded
        pairs = zip(task.items, results)
        return [self._outcome(task, item, one, task.seconds, size) for item, one in pairs], []

    def _outcome(
        self, task: Task, item: Item, value: Any, seconds: float, size: int = 0
    ) -> tuple[Item, Outcome]:
        return item, self.hooks.after(item, Outcome(value, task.started_at, seconds, task.attempts, size))


def _size_of_each(results: list[Any]) -> int:
    """What each result takes in JSON on average, found by encoding them once; 0 if one has no JSON."""
    try:
        return len(encode_value(results)) // len(results) + MARGIN
    except ValueError:
        return 0
