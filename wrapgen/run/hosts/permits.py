"""Who may call now: a thread prepares its chunk first and then waits here, so that no call waits for a chunk.

Knows nothing of chunks. Safe to use from any thread, but for signal handlers.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from wrapgen.run.scheduling.replies import LossKind, Lost

_UNSENT = Lost(LossKind.UNSENT, "Unsent", "it did not leave")


class Permits:
    """Lets so many calls be open at once, and the next one leave as soon as one ends.

    A call that failed recalls those that wait and keeps its place until `CallPermit.release`: what it met the
    others would meet too, and whether they go all the same is not decided here.
    """

    def __init__(self) -> None:
        self._most = 1
        self._taken = 0
        self._round = 0
        self._change = threading.Condition()

    def allow(self, most: int) -> None:
        """So many calls may be open from now on, those that are stay; 0 recalls all that wait."""
        with self._change:
            self._round += not most
            self._most = most or self._most
            self._change.notify_all()

    def make(self) -> CallPermit:
        """A permit for one call."""
        return CallPermit(self, self._round)

    def acquire(self, made_in: int) -> bool:
        """Waits for a place; False if whatever waits was recalled since."""
        with self._change:
            self._change.wait_for(lambda: self._taken < self._most or self._round != made_in)
            if self._round != made_in:
                return False
            self._taken += 1
            return True

    def release(self) -> None:
        """Frees a place."""
        with self._change:
            self._taken -= 1
            self._change.notify_all()


class CallPermit:
    """Makes one call when there is a place for it."""

    def __init__(self, permits: Permits, made_in: int) -> None:
        self._permits = permits
        self._made_in = made_in
        self._kept = False

    def __call__(self, call: Callable[[], bytes | Lost]) -> bytes | Lost:
        """The call's answer; `UNSENT` where it was recalled."""
        if not self._permits.acquire(self._made_in):
            return _UNSENT
        self._kept = True
        answer = call()
        if isinstance(answer, Lost):
            self._permits.allow(0)
        else:
            self.release()
        return answer

    def release(self) -> None:
        """Frees the place of a call that failed; nothing for any other."""
        if self._kept:
            self._kept = False
            self._permits.release()
