"""Targets that answer a bare item with a list of one: its element is the result."""

from __future__ import annotations

from typing import Any, Callable

from .protocol import Failure
from .work import Task, Work


class First(Work):
    """Work like any other, but of a result that is a list of one its element counts."""

    def call(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """The element. Raises ``Failure``, also for any other result."""
        result = super().call(task, send, items)
        if not isinstance(result, list) or len(result) != 1:
            raise Failure("ParsingError", "the target should answer one item with a list of one")
        return result[0]
