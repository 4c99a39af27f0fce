"""Who may call now: a lane prepares its chunk first and then waits here, so that no call waits for a chunk.

Knows nothing of chunks and calls. Safe to use from any thread, but for signal handlers.
"""

from __future__ import annotations

import threading
from types import TracebackType


class Recalled(Exception):
    """The turn does not come: whatever waited for it is not sent."""


class Turns:
    """Lets so many be at work at once, and the next one in as soon as one leaves.

    A turn that ends with an exception recalls those that wait and keeps its place until `Turn.heard`: what it
    met the others would meet too, and whether they go all the same is not decided here.
    """

    def __init__(self) -> None:
        self._most = 1
        self._taken = 0
        self._round = 0
        self._change = threading.Condition()

    def allow(self, most: int) -> None:
        """So many may be at work from now on; those that already are stay."""
        with self._change:
            self._most = most
            self._change.notify_all()

    def recall(self) -> None:
        """Turns away everyone whose turn was made before and has not come."""
        with self._change:
            self._round += 1
            self._change.notify_all()

    def make(self) -> Turn:
        """A turn to enter once, when it is needed."""
        return Turn(self, self._round)

    def _enter(self, made_in: int) -> None:
        with self._change:
            self._change.wait_for(lambda: self._taken < self._most or self._round != made_in)
            if self._round != made_in:
                raise Recalled
            self._taken += 1

    def _leave(self) -> None:
        with self._change:
            self._taken -= 1
            self._change.notify_all()


class Turn:
    """A context manager: waits when it is entered, raising `Recalled` if the turn does not come."""

    def __init__(self, turns: Turns, made_in: int) -> None:
        self._turns = turns
        self._made_in = made_in
        self._failed = False

    def heard(self) -> None:
        """Frees the place of a turn that ended with an exception; nothing for any other."""
        if self._failed:
            self._failed = False
            self._turns._leave()

    def __enter__(self) -> None:
        self._turns._enter(self._made_in)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._failed = kind is not None
        if self._failed:
            self._turns.recall()
        else:
            self._turns._leave()
