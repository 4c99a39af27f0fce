"""How many calls a run keeps open: one more while all goes well, half on throttling. No time, no threads."""

from __future__ import annotations

ACCOUNT_CALLS = 80
"""Concurrent calls of one account, nested ones included (platform contract, section 9)."""

SHARE = 0.9
"""The part of them that a run takes."""


def ceiling(parallel: int, workers: int | None = None) -> int:
    """The most calls that a run keeps open.

    Args:
        parallel: calls that the wrapper makes at once inside one call of it.
        workers: the user's own cap, or None.
    """
    most = max(1, int(SHARE * ACCOUNT_CALLS / (1 + max(1, parallel))))
    return most if workers is None else max(1, min(most, workers))


class Concurrency:
    """Additive increase, multiplicative decrease.

    Args:
        most: the ceiling.
        first: where it starts; half of the most unless it is given.

    Attributes:
        now: calls that may be open at present.
        halvings: times it was halved.
    """

    def __init__(self, most: int, *, first: int | None = None) -> None:
        self.most = most
        self.now = max(1, most // 2) if first is None else min(first, most)
        self.halvings = 0
        self._good = 0
        self._settled = 0

    def good(self) -> None:
        """A call came back unthrottled: adds one, after the first throttling only once a round."""
        self._good += 1
        if self._good >= (self.now if self.halvings else 1):
            self.now = min(self.most, self.now + 1)
            self._good = 0

    def throttled(self, sent: int, latest: int) -> None:
        """A call came back throttled; those that were open with it are the same congestion, halved once.

        Args:
            sent: the sequence number of that call.
            latest: the sequence number of the latest call sent.
        """
        self._good = 0
        if sent <= self._settled:
            return
        self._settled = latest
        self.now = max(1, self.now // 2)
        self.halvings += 1
