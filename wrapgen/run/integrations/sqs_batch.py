"""What becomes of messages of one call: the same for the worker and for a Lambda function.

Deletes and returns nothing: the receiver of the messages does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wrapgen.errors import BadRequest, NotAuthorized, NotFound, PlatformError, UsageError
from wrapgen.run.engine_delivery import Delivered, EngineDelivery
from wrapgen.run.input.values import failing_item
from wrapgen.run.integrations.sqs_messages import Message, entry, pointer
from wrapgen.run.scheduling.chunks import ChunkCutter, Entry
from wrapgen.run.scheduling.replies import Fate, Outcome, error_text


@dataclass(frozen=True)
class SettledMessage:
    """What became of one message: its outcome, and whether the datastore knows."""

    message: Message
    outcome: Outcome
    recorded: bool

    @property
    def succeeded(self) -> bool:
        """Whether it has a result, which is recorded."""
        return self.outcome.fate is Fate.OK

    @property
    def final(self) -> bool:
        """Whether it failed for good."""
        return self.outcome.fate is Fate.FAILED


@dataclass(frozen=True)
class Batches:
    """Sends messages through a wrapper.

    Args:
        sender: see there; what was tried and may succeed later is left to the queue.
        read: the file at a URL that a message points to.
        id_path: where in a body the id is; None: the MessageId is the id.
        aim: bytes of a call.
        attempts_of: calls of the target that are known to have been made for a message.
    """

    sender: EngineDelivery
    read: Callable[[str], bytes]
    id_path: str | None
    aim: int
    attempts_of: Callable[[Message], int] = lambda _: 0

    def settle(self, batch: list[Message]) -> Iterator[tuple[Delivered, list[SettledMessage]]]:
        """Each call that the messages take, and what became of its messages; none comes up twice."""
        away: list[SettledMessage] = []
        cutter = ChunkCutter(iter(list(self._entries(batch, away))), aim=self.aim)
        if away:
            yield Delivered(), away
        while chunk := cutter.take(len(batch)):
            delivered = self.sender.deliver(chunk.entries(), size=len(chunk), aim=self.aim)
            noted = self._noted(delivered)
            settled = (
                SettledMessage(batch[index], outcome, index not in delivered.given_up or index in noted)
                for index, outcome in delivered.outcomes.items()
            )
            yield delivered, list(settled)

    def _entries(self, batch: list[Message], away: list[SettledMessage]) -> Iterator[Entry]:
        """The messages as items, pointers followed; `away` takes those that can't be fetched at present."""
        for index, message in enumerate(batch):
            attempts = self.attempts_of(message)
            url = pointer(message.body)
            try:
                body = message.body if url is None else self.read(url).decode("utf-8")
                yield entry(index, message, body, self.id_path, attempts)
            except (BadRequest, NotAuthorized, NotFound, UsageError, UnicodeDecodeError) as error:
                item = failing_item(
                    "InputError", f"the message points to {url}, which can't be read: {error}"
                )
                yield Entry(index, item, message.id, attempts, message.receives - 1)
            except PlatformError as error:
                text = error_text("ConnectionError", error.message, retryable=True)
                away.append(SettledMessage(message, Outcome(Fate.AGAIN, text, attempts), recorded=False))

    def _noted(self, delivered: Delivered) -> set[int]:
        """Has the reasons recorded of what was given up without an answer of the wrapper; those recorded."""
        if not delivered.given_up or delivered.stop:
            return set()
        failures = [(item, delivered.outcomes[index].body) for index, item in delivered.given_up.items()]
        return self.sender.record_given_up(failures, size=len(failures))[0]
