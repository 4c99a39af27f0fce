"""How a run stands at one moment. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """What a session of a run did; items count in the run as a whole.

    Args:
        items: all of the run.
        succeeded, failed: items that are finished, earlier sessions included.
        calls: sends of chunks in this session.
        resent: items sent once more in this session.
        lost: sends that brought no outcomes.
        throttled: 429s, of the calls and of the wrapper's own.
        target_calls: calls of the target as the wrapper counts them.
        equal: items of the run that were not sent, because they equal one that was.
    """

    items: int = 0
    succeeded: int = 0
    failed: int = 0
    calls: int = 0
    resent: int = 0
    lost: int = 0
    throttled: int = 0
    target_calls: int = 0
    equal: int = 0

    @property
    def finished(self) -> int:
        """Items that have a final outcome."""
        return self.succeeded + self.failed


@dataclass(frozen=True)
class Waiting:
    """What is waited for, in the host's words, and the seconds after which waiting ends at the latest."""

    reason: str
    left: float

    def __str__(self) -> str:
        return f"waiting, {self.left:,.0f} s at most: {self.reason}"


@dataclass(frozen=True)
class Progress:
    """One moment of a run.

    Args:
        counts: of the run so far.
        open, concurrency: calls that are open, and that may be.
        chunk: items that the next chunk takes.
        wait: what is waited for; None while calls are made.
        answered, busy: calls of this session that were answered, and the seconds of these added up.
    """

    counts: Counts
    open: int
    concurrency: int
    chunk: int
    wait: Waiting | None = None
    answered: int = 0
    busy: float = 0.0
