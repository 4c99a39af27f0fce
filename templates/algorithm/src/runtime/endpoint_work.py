"""What only endpoints do to the items of a call: one refusal, or one lasting 503, stops no other item."""

from __future__ import annotations

from typing import Any, Callable

from .items import Item, Outcome
from .protocol import STOP, THROTTLED, Failure
from .work import Task, Work


class Judging(Work):
    """Weighs a refusal (403, 404) and a lasting 503 against how other items fare."""

    has_succeeded = False  # whether any item of this call got a result
    refused = 0  # items that stay open, as nothing has succeeded since they were refused

    def call(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """The target's result. Raises ``Failure``."""
        try:
            result = super().call(task, send, items)
        except Failure as failure:
            sends = failure.final_sends
            if failure.effect == THROTTLED and 0 < sends <= self.settings["try"] and self.has_succeeded:
                failure.retryable = False
            raise
        finally:
            self._count_usage(task.items)
        self.has_succeeded = True
        return result

    def _count_usage(self, items: list[Item]) -> None:
        """Sum up what attempts cost, and the versions that answered."""
        for used in [item.usage for item in items if item.usage is not None]:
            with self._lock:
                for name, number in used.pop("versions").items():
                    versions = self.usage.setdefault("versions", {})
                    versions[name] = versions.get(name, 0) + number
                for name, number in used.items():
                    self.usage[name] = self.usage.get(name, 0) + number
        for item in items:
            item.usage = None

    def do(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        """As ``Work.do``; of a refused item neither an outcome nor a part: the task stays open.

        Raises ``Failure`` for the second one.
        """
        outcomes, parts = super().do(task)
        if len(outcomes) != 1 or parts or self.has_succeeded:
            return outcomes, parts
        failure = outcomes[0][1].failure
        if failure is None or not failure.refuses:
            return outcomes, parts
        with self._lock:
            self.refused += 1
        if self.refused > 1:
            stop = Failure(failure.error_type, failure.message, True)
            stop.effect = STOP
            raise stop
        task.held = outcomes[0][1]
        return [], []


def judging(base: type[Work]) -> type[Work]:
    """A kind of work that does so."""
    return type("Judging", (Judging, base), {})
