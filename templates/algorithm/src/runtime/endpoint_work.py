"""What only endpoints do to the items of a call: one refusal, or one lasting 503, stops no other item."""

from __future__ import annotations

from typing import Any, Callable

from .items import Item, Outcome
from .protocol import NOT_CALLED, STOP, THROTTLED, Failure
from .work import Task, Work


class Judging(Work):
    """Weighs a refusal (403, 404) and a lasting 503 against how other items fare."""

    has_succeeded = False  # whether any item of this call got a result
    reserved = 0.0  # what the open requests may cost at most
    refused = 0  # items that stay open, as nothing has succeeded since they were refused

    def call(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """The target's result. Raises ``Failure``."""

        def counted(items: Any, seconds: float) -> Any:
            most = self._start(task.items)
            try:
                return send(items, seconds)
            finally:
                self._end(task.items, most)

        try:
            result = super().call(task, counted, items)
        except Failure as failure:
            sends = failure.final_sends
            if failure.effect == THROTTLED and 0 < sends <= self.settings["try"] and self.has_succeeded:
                failure.retryable = False
            raise
        self.has_succeeded = True
        return result

    def _outcome(self, task: Task, item: Item, value: Any, seconds: float, size: int = 0) -> Any:
        """As ``Lists._outcome``; None for a refused result of a list that is asked for again."""
        tries = self.settings["attempts"] if self.settings["may_retry"] else 1
        if isinstance(value, Failure) and value.error_type == "ResultError" and task.attempts < tries:
            return item, None
        return super()._outcome(task, item, value, seconds, size)

    def _start(self, items: list[Item]) -> float:
        """Let a request start, and reserve what it may cost. Raises ``Failure`` if it may not yet."""
        grant, most = self.settings["rate"], 0.0
        if "cost" in grant:
            most = self.target.most_cost(items)
            with self._lock:
                if self.usage.get("cost", 0.0) + self.reserved + most > grant["cost"]:
                    said = (
                        f"the next request may cost {most:.6g}, and this call may spend {grant['cost']:.6g}"
                    )
                    raise _paused("BudgetExceeded", said, STOP)
        rates = getattr(self.target, "rates", None)
        pause = rates.wait(grant) if rates else 0.0
        if pause > 0:
            raise _paused("TooManyRequests", "the rate that the spec allows is used up", NOT_CALLED, pause)
        with self._lock:
            self.reserved += most
        return most

    def _end(self, items: list[Item], most: float) -> None:
        """Sum up what a request cost, and the versions that answered, the last of which its items keep."""
        tokens, version = 0, ""
        with self._lock:
            self.reserved -= most
            for used in [item.usage for item in items if item.usage is not None]:
                for version, number in used.pop("versions").items():
                    versions = self.usage.setdefault("versions", {})
                    versions[version] = versions.get(version, 0) + number
                for name, number in used.items():
                    self.usage[name] = self.usage.get(name, 0) + number
                tokens += used.get("tokens_in", 0) + used.get("tokens_out", 0)
        for item in items:
            item.usage, item.version = None, version
        rates = getattr(self.target, "rates", None)
        if rates and tokens:
            rates.settle(tokens)

    def do(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        """As ``Work.do``; of a refused item neither an outcome nor a part: the task stays open.

        Raises ``Failure`` for the second one.
        """
        outcomes, parts = super().do(task)
        again = [item for item, outcome in outcomes if outcome is None]
        if again:  # results of a list that are asked for again
            parts = [*parts, self._part(task, again)]
            outcomes = [one for one in outcomes if one[1] is not None]
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


def _paused(error_type: str, message: str, effect: str, seconds: float | None = None) -> Failure:
    failure = Failure(error_type, message, True)
    failure.effect, failure.retry_after = effect, seconds
    return failure


def judging(base: type[Work]) -> type[Work]:
    """A kind of work that does so."""
    return type("Judging", (Judging, base), {})
