"""Waiting for a platform before a run begins, by the same rules as later in the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from wrapgen.errors import PlatformError, WrapgenError
from wrapgen.run.hosts.failures import may_pass
from wrapgen.run.scheduling.policy import PATIENCE, SharedBackoff
from wrapgen.run.scheduling.progress import Waiting

T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Asks again while a platform is away, overloaded or still loading.

    Args:
        seconds: how long nothing may work; 0 asks once.
        tell: told what is waited for, and for how long at most.
        clock: seconds that only go forward.
        wait: waits so many seconds.
        random: the source of chance.
    """

    seconds: float = PATIENCE
    tell: Callable[[Waiting], None] = lambda _: None
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], object] = time.sleep
    random: Random = field(default_factory=Random)

    def ask(self, question: Callable[[], T]) -> T:
        """The answer to a question, once there is one.

        Raises:
            WrapgenError: waiting would not help, or the patience is used up.
        """
        backoff = SharedBackoff(self.random, self.seconds)
        while True:
            try:
                return question()
            except WrapgenError as error:  # noqa: PERF203 - seconds pass between two questions
                fault = may_pass(error)
                now = self.clock()
                asked = error.retry_after if isinstance(error, PlatformError) else None
                if fault is None or not backoff.hold(now, fault, asked) or backoff.deadline is None:
                    raise
                self.tell(Waiting(error.message, backoff.deadline - now))
                self.wait(backoff.until - now)
