"""Work on one item: the user's hooks around calls of the target, repeated where that can help.

The limit of attempts holds over all sends of an item: the first send may use it up, every later one (``$try``
above 1) makes one attempt, and the sender adds up the ``attempts`` that came back.
"""

from __future__ import annotations

import collections
import inspect
import random
import threading
import time
from types import ModuleType
from typing import Any, Callable, Iterable, Iterator

from .items import Item, Items, Outcome
from .protocol import ATTEMPT, NOT_CALLED, STOP, THROTTLED, UNREACHABLE, Failure, error_type_and_message

PAUSES = (0.5, 30.0)  # seconds: the first pause, doubled each time, and the longest
THROTTLED_PAUSES = (2.0, 60.0)  # after 429 and 503 that name no time
THROTTLED_TIMES = 5  # that one item is put off, where others are not
LEAST_SECONDS = 1.0  # that a call of the target is granted
MEASURED = 10_000  # calls whose duration is kept
STOPPING = (STOP, UNREACHABLE)  # the latter once it can't be waited for any longer


class Task:
    """Items that go to the target together, and the attempts they share; one under way is among them."""

    is_answered = False
    attempts = 0
    seconds = 0.0  # that calls of the target took, without the pauses in between
    started_at: float | None = None
    held: Outcome | None = None  # what becomes of it if nothing stops everyone

    def __init__(self, items: list[Item]) -> None:
        self.items = items

    def unfinished(self, stopped: Failure | None = None) -> Outcome:
        """What becomes of its items when work ends before they do: ``stopped`` says why, else it was time."""
        if self.held is not None and stopped is None:
            return self.held
        when = "while the item was tried" if self.attempts else "before the item was tried"
        why = stopped or Failure("DeadlineExceeded", f"the time of this call ran out {when}")
        failure = Failure(why.error_type, why.message, True, why.effect)
        failure.about = why.about
        return Outcome(failure, self.started_at, 0.0, self.attempts)


class Hooks:
    """The user's ``before``, ``after`` and ``error`` for the items of one call."""

    def __init__(self, module: ModuleType, items: Items) -> None:
        self._items = items
        found = {name: getattr(module, name, None) for name in ("before", "after", "error")}
        self._hooks = {name: hook for name, hook in found.items() if hook}
        self.see_outcomes = bool({"after", "error"} & self._hooks.keys())
        self._told = {n for n, hook in self._hooks.items() if "context" in inspect.signature(hook).parameters}

    def before(self, item: Item) -> None:
        """Let the user change what the target gets. An exception fails the item."""
        if "before" in self._hooks and item.failure is None:
            try:
                item.value = self._run("before", item)
            except (Exception, SystemExit) as error:
                item.failure = Failure(*error_type_and_message(error))

    def after(self, item: Item, outcome: Outcome) -> Outcome:
        """What the user makes of an outcome; an item that was not tried is passed to no hook."""
        failure = outcome.failure
        if ("error" if failure else "after") not in self._hooks or (failure and failure.untried):
            return outcome
        try:
            if failure is None:
                return outcome.replaced(self._run("after", item, outcome.value))
            facts = failure.error_type, failure.message, failure.retryable
            replaced = Failure(*self._run("error", item, *facts))
            replaced.about = failure.about
            return outcome.replaced(replaced)
        except (Exception, SystemExit) as error:
            return outcome.replaced(Failure(*error_type_and_message(error)))

    def _run(self, name: str, item: Item, *arguments: Any) -> Any:
        if name not in self._told:
            return self._hooks[name](item.value, *arguments)
        context = {"run": self._items.run, "id": item.id, "index": item.index}
        context["try"] = self._items.request.try_number
        return self._hooks[name](item.value, *arguments, context=context)


class Work:
    """Calls the target for each item, again where that can help, until the deadline."""

    size = 0  # of each result, for `Outcome`

    def __init__(
        self, target: Any, settings: dict[str, Any], items: Iterable[Item], hooks: Hooks, deadline: Any
    ):
        """``settings`` are ``TARGET`` and ``LIMITS`` of config.py, and whether items ``may_retry``."""
        self.target = target
        self.settings = settings
        self.items = items
        self.hooks = hooks
        self.deadline = deadline
        self.count = self.throttled = 0  # calls
        self.durations: collections.deque[float] = collections.deque(maxlen=MEASURED)
        self.ended = threading.Event()  # set when nothing more is to be tried
        self.wait = self.ended.wait
        self.usage: dict[str, Any] = {}  # what the summary tells of tokens and the like
        self.chance: Callable[[], float] = random.random  # from 0 to 1, for the jitter
        self._has_answered = False  # whether the target took any call
        self._refusal: Failure | None = None  # by which it takes none for as long as this call lasts
        self._lock = threading.Lock()

    def tasks(self) -> Iterator[Task]:
        """One task for each item."""
        return (Task([item]) for item in self.items)

    def do(self, task: Task) -> tuple[list[tuple[Item, Outcome]], list[Task]]:
        """Items with their outcomes, and tasks for the others. Raises the ``Failure`` that stops everyone."""
        item = task.items[0]
        task.started_at = time.time()
        self.hooks.before(item)
        try:
            result = item.failure or self.call(task, self.target.call, item)
        except Failure as failure:
            if failure.effect in STOPPING:
                raise
            result = failure
        outcome = Outcome(result, task.started_at, task.seconds, task.attempts, self.size)
        return [(item, self.hooks.after(item, outcome))], []

    def call(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """The target's result. ``task.attempts`` counts them. Raises ``Failure``."""
        times: dict[str, int] = {}  # of each effect
        while True:
            if self._refusal is not None:
                raise task.unfinished(self._refusal).value
            began = self.deadline.clock()
            try:
                result = self._call_once(task, send, items)
            except Failure as failure:
                failure.about = failure.about or task.items
                self._count(task, failure.effect, began)
                times[failure.effect] = times.get(failure.effect, 0) + 1
                if not self._may_repeat(task, failure, times) or not self._has_waited(failure, times):
                    raise
            else:
                task.is_answered, self._refusal = True, None
                self._count(task, ATTEMPT, began)
                return result

    def _call_once(self, task: Task, send: Callable[[Any, float], Any], items: Any) -> Any:
        """One call, counted before it is made, so that a closing task counts it too."""
        left, most = self.deadline.left(), self.settings["item_timeout"]
        if left <= 0 and self.ended.is_set():
            raise task.unfinished().value
        task.attempts += 1
        try:
            return send(items, most if left > most else min(most, max(left, LEAST_SECONDS)))
        except Failure as failure:
            task.attempts -= failure.effect != ATTEMPT
            if failure.error_type != "TimeoutError" or left >= most or self.deadline.left() >= 1:
                raise
            cut_short = task.unfinished().value  # this call's time is to blame, not the item
            cut_short.effect, cut_short.may_split = ATTEMPT, False
            raise cut_short from None

    def _count(self, task: Task, effect: str, began: float) -> None:
        seconds = self.deadline.clock() - began
        if effect not in (NOT_CALLED, UNREACHABLE):
            with self._lock:
                self.count += 1
                self.durations.append(seconds)
                self.throttled += effect == THROTTLED
        if effect == ATTEMPT:
            self._has_answered = True
            task.seconds += seconds

    def _may_repeat(self, task: Task, failure: Failure, times: dict[str, int]) -> bool:
        if failure.effect == THROTTLED:
            return times[THROTTLED] < THROTTLED_TIMES or not self._has_answered
        if failure.effect in STOPPING:
            return failure.effect == UNREACHABLE
        tries = self.settings["attempts"] if self.settings["may_retry"] else 1
        return failure.retryable and task.attempts < tries

    def _has_waited(self, failure: Failure, times: dict[str, int]) -> bool:
        """Whether the pause after a failure is over, and there is still time to start another call."""
        left, doubled = self.deadline.left_to_start() - LEAST_SECONDS, 2 ** min(10, max(times.values()))
        pause = self.chance() * min(PAUSES[1], PAUSES[0] * doubled)  # full jitter
        if failure.effect == UNREACHABLE:
            pause = min(pause, left)  # so that the last try is as late as can be
        elif failure.retry_after is not None:  # the second time not less than after any other failure
            pause = max(failure.retry_after, pause if times.get(THROTTLED, 0) > 1 else 0.0)
            if failure.effect == THROTTLED and failure.retry_after > left:
                self._refusal = failure  # what is left is not sent, unless another is answered
        elif failure.effect == THROTTLED:
            first, longest = THROTTLED_PAUSES
            pause = first + self.chance() * (min(longest, first * doubled) - first)
        return left > 0 and pause <= left and not self.wait(pause)
