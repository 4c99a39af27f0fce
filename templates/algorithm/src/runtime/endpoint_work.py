"""What only endpoints do to the items of a call: one refusal, or one lasting 503, stops no other item."""

from __future__ import annotations

import time
from typing import Any, Callable

from .http_answer import EndpointFailure
from .item_notes import notes_of
from .items import Item, Outcome
from .protocol import ATTEMPT, NOT_CALLED, STOP, THROTTLED, Failure
from .work import LEAST_SECONDS, Task, Work

BUSY_TIMES = 5  # 503 in a row that an item waits out in one send, if others succeed meanwhile
RESERVED_PAUSE = 0.05  # seconds, while open requests have all of a call's money reserved
RECENT = 30.0  # seconds for which an answer of the endpoint says that it works


class Judging(Work):
    """Weighs a refusal (403, 404) and a lasting 503 against how other items fare."""

    has_succeeded = False  # whether any item of this call got a result
    succeeded_at = -1e9  # when the last one did, by the deadline's clock
    reserved = 0.0  # what the open requests may cost at most
    refused = 0  # items that stay open, as nothing has succeeded since they were refused

    def call(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """The target's result. Raises ``Failure``."""

        busy: list[float] = []  # when these items got 503

        def counted(items: Any, seconds: float) -> Any:
            most = self._start(task.items)
            unknown = most  # what it cost as far as no answer reports it
            try:
                return send(items, seconds)
            except Failure as failure:
                if failure.effect != ATTEMPT or failure.error_type not in ("ConnectionError", "TimeoutError"):
                    unknown = 0.0  # an answer came, and it was no result
                if _is_lasting(failure) and failure.effect == THROTTLED:
                    busy.append(self.deadline.clock())
                    self._weigh_busy(task, failure, busy)
                raise
            finally:
                self._end(task.items, most, unknown)

        try:
            result = super().call(task, counted, items)
        except Failure as failure:
            if failure.error_type == "TooManyRequests" and failure.effect in (THROTTLED, NOT_CALLED):
                self._put_off(failure)
            raise
        self.has_succeeded = True
        self.succeeded_at = self.target.succeeded_at = self.deadline.clock()
        return result

    def _put_off(self, failure: Failure) -> None:
        """Tell the caller how long the endpoint asks to wait, where that is longer than this call."""
        with self._lock:
            self.throttled += failure.effect == NOT_CALLED
            asked = max(self.usage.get("retry_after", 0.0), failure.retry_after or 0.0)
            self.usage["retry_after"] = round(asked, 3)

    def _call_once(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """As ``Work._call_once``, once there are credentials: fetching them is no attempt."""
        if hasattr(self.target, "authorize"):
            self.target.authorize(max(LEAST_SECONDS, self.deadline.left()))
        return super()._call_once(task, send, items)

    def _weigh_busy(self, task: Task, failure: Any, busy: list[float]) -> None:
        """A 503 that these items get again and again, while others succeed, is an attempt of theirs."""
        is_part, sends = type(task) is not Task, self.settings["try"]  # a part's list was weighed before
        others = self.succeeded_at > busy[0] or is_part
        # Sent again it may be alone: then what this process knows of others counts.
        is_fine = sends > 1 and busy[-1] - getattr(self.target, "succeeded_at", -1e9) < RECENT
        most = 2 if len(task.items) > 1 and is_part else BUSY_TIMES
        if len(busy) < most or not (others or is_fine):
            return
        failure.effect, failure.splits_last = ATTEMPT, True
        failure.retryable = not others or sends < failure.final_sends
        with self._lock:  # the endpoint is not congested
            self.throttled -= len(busy) - 1

    def _may_repeat(self, task: Task, failure: Failure, times: dict[str, int]) -> bool:
        if _is_lasting(failure) and failure.effect == ATTEMPT:
            return False
        return super()._may_repeat(task, failure, times)

    def _outcome(self, task: Task, item: Item, value: Any, seconds: float, size: int = 0) -> Any:
        """As ``Lists._outcome``; None for a refused result of a list that is asked for again."""
        tries = self.settings["attempts"] if self.settings["may_retry"] else 1
        if isinstance(value, Failure) and value.error_type == "ResultError" and task.attempts < tries:
            return item, None
        lists: Any = super()  # of a wrapper that has sub-batches; no other asks
        return lists._outcome(task, item, value, seconds, size)

    def _start(self, items: list[Item]) -> float:
        """Let a request start, and reserve what it may cost. Raises ``Failure`` if it may not yet."""
        grant, most = self.settings["rate"], 0.0
        pause = getattr(self.target, "open_at", 0.0) - time.monotonic()
        if pause > 0:
            raise _paused(
                "TooManyRequests", f"the endpoint takes no requests for {pause:.0f} s", NOT_CALLED, pause
            )
        if "cost" in grant:
            most = self.target.most_cost(items)
            with self._lock:
                spent = self.usage.get("cost", 0.0)
                if spent + self.reserved + most > grant["cost"]:
                    said = (
                        f"the next request may cost {most:.6g}, and this call may spend {grant['cost']:.6g}"
                    )
                    if spent + most > grant["cost"]:
                        raise _paused("BudgetExceeded", said, STOP)
                    raise _paused(
                        "BudgetExceeded", said, NOT_CALLED, RESERVED_PAUSE
                    )  # open ones may cost less
        rates = getattr(self.target, "rates", None)
        pause = rates.wait(grant) if rates else 0.0
        if pause > 0:
            raise _paused("TooManyRequests", "the rate that the spec allows is used up", NOT_CALLED, pause)
        with self._lock:
            self.reserved += most
        return most

    def _end(self, items: list[Item], most: float, unknown: float) -> None:
        """Sum up what a request cost, and the versions that answered, the last of which its items keep."""
        tokens, version, told = 0, "", [notes_of(item) for item in items]
        with self._lock:
            self.reserved -= most
            if unknown and not any("cost" in (notes.usage or {}) for notes in told):
                self.usage["cost"] = self.usage.get("cost", 0.0) + unknown
            for used in [notes.usage for notes in told if notes.usage is not None]:
                for version, number in used.pop("versions").items():
                    versions = self.usage.setdefault("versions", {})
                    versions[version] = versions.get(version, 0) + number
                for name, number in used.items():
                    self.usage[name] = self.usage.get(name, 0) + number
                tokens += used.get("tokens_in", 0) + used.get("tokens_out", 0)
        for item, notes in zip(items, told):
            notes.usage, item.version = None, version
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
            lists: Any = self
            parts = [*parts, lists._part(task, again)]
            outcomes = [one for one in outcomes if one[1] is not None]
        if len(outcomes) != 1 or parts or self.has_succeeded:
            return outcomes, parts
        failure = outcomes[0][1].failure
        if not isinstance(failure, EndpointFailure) or not failure.refuses:
            return outcomes, parts
        with self._lock:
            self.refused += 1
        if self.refused > 1:
            stop = Failure(failure.error_type, failure.message, True)
            stop.effect, stop.about = STOP, failure.about
            raise stop
        task.held = outcomes[0][1]
        return [], []


def _is_lasting(failure: Failure) -> bool:
    """Whether it may become the item's own error."""
    return isinstance(failure, EndpointFailure) and failure.final_sends > 0


def _paused(error_type: str, message: str, effect: str, seconds: float | None = None) -> Failure:
    failure = Failure(error_type, message, True)
    failure.effect, failure.retry_after = effect, seconds
    return failure


def judging(base: type[Work]) -> type[Work]:
    """A kind of work that does so."""
    return type("Judging", (Judging, base), {})
