"""The seam between the worker and the queue that it works on: SQS now, brokers later."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from wrapgen.run.integrations.sqs_messages import Message

MAX_BATCH = 10
"""Messages in one request to a queue, at most."""


class MessageQueue(Protocol):
    """A queue that delivers a message again unless it is deleted. Safe to use from several threads.

    Every method raises PlatformError, of the class that fits; Unreachable where it may work later.
    """

    def receive(self, count: int, *, wait: int, visibility: int) -> list[Message]:
        """Up to `count` (at most MAX_BATCH) messages, hidden for `visibility` seconds.

        Waits up to `wait` seconds (at most 20) for the first.
        """

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """Deletes them; those that could not be deleted come back."""

    def hide(self, messages: Sequence[tuple[Message, float]]) -> list[Message]:
        """Hides each for so many seconds from now, 0 shows it at once; those that could not be come back."""

    def remaining(self) -> int:
        """About how many messages it holds, hidden and delayed ones included."""
