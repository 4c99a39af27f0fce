"""One task after the other in the calling thread, for code that is not declared safe in several threads.

What has begun can't be interrupted, so the hard stop only holds in between.
"""

from __future__ import annotations

from . import engine
from .work import Task


class Engine(engine.Engine):
    """Does all tasks of one call without a thread of its own."""

    def _work_until_the_hard_stop(self) -> None:
        self._run()

    def _start_thread(self) -> None:
        """The calling thread is the only one."""

    def _take(self) -> Task | None:
        if self._recorder:
            self._recorder.tick()
        return super()._take()
