"""The messages that a worker holds: hidden from others while it works, then deleted or given back.

A message that is given back is never hidden again by a late heartbeat, and one that could not be deleted or
extended simply comes again: its record has the same key.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from wrapgen.errors import PlatformError
from wrapgen.run.integrations.message_queue import MessageQueue
from wrapgen.run.integrations.sqs_messages import Message

REMEMBERED = 100_000
"""Messages whose attempts are remembered between their deliveries."""

BEATS = 3
"""Heartbeats while a message stays hidden."""


class MessagesInFlight:
    """Messages in work. Safe to share between threads.

    Args:
        queue: where they came from.
        visibility: seconds for which they are hidden at a time.
        tell: told what goes wrong.
    """

    def __init__(self, queue: MessageQueue, visibility: int, tell: Callable[[str], None]) -> None:
        self._queue = queue
        self._visibility = visibility
        self._tell = tell
        self._held: dict[str, Message] = {}
        self._lock = threading.Lock()
        self._ended = threading.Event()

    def __len__(self) -> int:
        return len(self._held)

    def take(self, messages: Iterable[Message]) -> None:
        """Holds what was just received."""
        with self._lock:
            self._held.update((message.handle, message) for message in messages)

    def delete(self, messages: Sequence[Message]) -> int:
        """Deletes what was recorded; how many that were."""
        if not messages:
            return 0
        left: Sequence[Message] = messages
        try:
            left = self._queue.delete(messages)
            if left:
                left = self._queue.delete(left)
        except PlatformError as error:
            self._tell(f"recorded but not deleted, so it will come again: {error.message}")
        with self._lock:
            for message in messages:
                self._held.pop(message.handle, None)
        return len(messages) - len(left)

    def give_back(self, messages: Sequence[tuple[Message, float]]) -> None:
        """Shows messages again, each after so many seconds."""
        if not messages:
            return
        with self._lock:
            for message, _ in messages:
                self._held.pop(message.handle, None)
            try:
                self._queue.hide(messages)
            except PlatformError as error:
                self._tell(f"not given back, so it comes again when its time is up: {error.message}")

    def beat(self) -> None:
        """Hides everything held for its whole time again."""
        with self._lock:
            held = list(self._held.values())
        for start in range(0, len(held), 10):
            with self._lock:
                still = [message for message in held[start : start + 10] if message.handle in self._held]
                try:
                    if still:
                        self._queue.hide([(message, self._visibility) for message in still])
                except PlatformError as error:
                    self._tell(f"could not keep messages hidden: {error.message}")

    def keep_beating(self) -> None:
        """Beats until `end`; what the heartbeat's thread runs."""
        while not self._ended.wait(self._visibility / BEATS):
            self.beat()

    def end(self) -> None:
        """Ends `keep_beating`."""
        self._ended.set()


@dataclass(frozen=True)
class PastDelivery:
    """What a worker knows of a message that it gave back: calls of the target, and if it failed for good."""

    attempts: int
    final: bool


class DeliveryHistory:
    """What is known of messages between their deliveries to this worker; the oldest are forgotten."""

    def __init__(self) -> None:
        self._seen: OrderedDict[str, PastDelivery] = OrderedDict()
        self._lock = threading.Lock()

    def note(self, message: Message, attempts: int, *, final: bool) -> None:
        """A message goes back."""
        with self._lock:
            self._seen[message.id] = PastDelivery(attempts, final)
            self._seen.move_to_end(message.id)
            if len(self._seen) > REMEMBERED:
                self._seen.popitem(last=False)

    def of(self, message: Message) -> PastDelivery:
        """What is known of it."""
        return self._seen.get(message.id, PastDelivery(0, final=False))
