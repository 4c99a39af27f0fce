"""One task after the other in the calling thread, for code that is not declared safe in several threads.

What has begun can't be interrupted, so the hard stop only holds in between.
"""

from __future__ import annotations

from . import engine
from .protocol import encode_value
from .work import Task

ENCODED_AT_ONCE = 50  # results
LATER = -1  # the size of a result until then


class Engine(engine.Engine):
    """Does all tasks of one call without a thread of its own."""

    def _work_until_the_hard_stop(self) -> None:
        if self._recorder:  # its threads share the lock
            self._run()
            return
        with self._change:
            if not (self.work.hooks.see_outcomes or self._items.raises):
                self.work.size = LATER
            while self._waiting and not self._is_closing:  # one task is always tried
                self._do_next()
                if self._deadline.left_to_start() <= 0:
                    self.stop()
            self._encode()

    def _encode(self) -> None:
        """Encode results together, a third of the work; among those that can't be, each on its own."""
        found = [(item, item.outcome) for item in self._items.once() if item.outcome is not None]
        later = [(item, outcome) for item, outcome in found if outcome.size == LATER]
        for at in range(0, len(later), ENCODED_AT_ONCE):
            some = later[at : at + ENCODED_AT_ONCE]
            try:
                size = len(encode_value([outcome.wire for _, outcome in some])) // len(some) + 1
            except ValueError:
                for item, outcome in some:
                    item.outcome = outcome.replaced(outcome.value)
            else:
                for _, outcome in some:
                    outcome.size = size

    def _do_next(self) -> None:
        """One task, without the bookkeeping that several threads need."""
        task = self._waiting.popleft()
        try:
            outcomes, parts = self.work.do(task)
        except BaseException as error:
            self._left.append(task)
            self.stop(error)
            return
        if task.seconds > self._deadline.slowest:
            self._deadline.slowest = task.seconds
        self._put(outcomes)
        self._waiting.extendleft(reversed(parts))

    def _take(self) -> Task | None:
        if self._recorder and not self._recorder.tick():
            self.stop()
        return super()._take()
