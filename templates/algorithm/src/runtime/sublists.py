"""Sub-batches: one call of a target that takes lists serves many items; bisection finds a poison item.

A list that is bisected is not sent again, and its call was no attempt of all its items.
"""

from __future__ import annotations

import math
import time
from itertools import islice
from typing import Any, Iterator

from .items import Item, Outcome
from .protocol import ATTEMPT, NOT_CALLED, Failure, InputError, encode_value
from .work import STOPPING, Task, Work

SPLITTING = ("SystemExit", "TimeoutError")  # retryable, but one item of a list may have caused it
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
            for item in task.items:
                self._make_ready(item)
        groups = self._groups([item for item in task.items if item.failure is None])
        failed = [self._outcome(task, item, item.failure, 0.0) for item in task.items if item.failure]
        if len(groups) > 1 or failed:
            return failed, [self._part(task, group) for group in groups]
        return self._send(task)

    def _make_ready(self, item: Item) -> None:
        self.hooks.before(item)
        if item.failure is None and hasattr(self.target, "prepare"):
            try:
                self.target.prepare(item)
            except Failure as failure:
                item.failure = failure

    def _groups(self, items: list[Item]) -> list[list[Item]]:
        """The items that can be sent, in lists that fit a request; one that can't be in a list fails."""
        most = self.settings["request_bytes"]
        text = "" if self.settings["recorded"] or not items else _text([item.value for item in items])
        if text and len(text) <= most:
            items[0].listed = len(items), text
            return [items]  # without a text of each item, which only records need
        groups: list[list[Item]] = []
        room = 0
        for item in items:
            try:
                item.encoded = item.encoded or encode_value(item.value)
            except ValueError:
                item.failure = InputError("the target takes lists, and a list in JSON can't hold this item")
                continue
            size = len(item.encoded) + 2
            if size > room or not groups:
                groups.append([])
                room = most - 2
            groups[-1].append(item)
            room -= size
        return groups

    def _may_repeat(self, task: Task, failure: Failure, times: dict[str, int]) -> bool:
        if splits(failure) and (len(task.items) > 1 or isinstance(task, Half)):
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
            if len(task.items) > 1 and (splits(failure) or failure.splits_last):
                task.attempts -= failure.effect == ATTEMPT
                half = len(task.items) // 2
                return [], [self._part(task, items, True) for items in (task.items[:half], task.items[half:])]
            results = [failure] * len(task.items)
        finally:
            task.items[0].listed = None
        size = math.inf if self.settings["recorded"] else _size(results)  # a record needs each encoded
        size = 0 if size == math.inf else int(size) // len(results) + MARGIN
        pairs = zip(task.items, results)
        return [self._outcome(task, item, one, task.seconds, size) for item, one in pairs], []

    def _outcome(
        self, task: Task, item: Item, value: Any, seconds: float, size: int = 0
    ) -> tuple[Item, Outcome]:
        return item, self.hooks.after(item, Outcome(value, task.started_at, seconds, task.attempts, size))


def splits(failure: Failure) -> bool:
    """Whether one item of a list may have caused it."""
    is_items = failure.may_split and failure.effect in (NOT_CALLED, ATTEMPT)
    return is_items and (not failure.retryable or failure.error_type in SPLITTING)


def _size(values: list[Any]) -> float:
    """Bytes of a list in JSON; infinity if it has none."""
    return len(_text(values)) or math.inf


def _text(values: list[Any]) -> str:
    """A list in JSON; empty if it has none."""
    try:
        return encode_value(values)
    except ValueError:
        return ""
