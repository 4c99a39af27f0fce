"""What becomes of messages that go to a wrapper together: the same for the worker and for a Lambda function.

Deletes and returns nothing: whoever took the messages does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from wrapgen.errors import BadRequest, NotAuthorized, NotFound, PlatformError, UsageError
from wrapgen.run.chunks import Chunk, Entry
from wrapgen.run.input.values import failing_item
from wrapgen.run.integrations.sqs_messages import Message, chunks, entry, pointer
from wrapgen.run.process import Outcome, error_text
from wrapgen.run.push import Pace, Process, Pushed, push, record_given_up
from wrapgen.run.retry import SharedBackoff
from wrapgen.run.states import Fate


@dataclass(frozen=True)
class Settled:
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
        process: sends a chunk once.
        read: the file at a URL that a message points to.
        pace: see there; what was tried and may succeed later is left to the queue.
        backoff: shared by everything that goes to the same platform.
        id_path: where in a body the id is; None: the MessageId is the id.
        aim: bytes of a call.
        attempts_of: calls of the target that are known to have been made for a message.
    """

    process: Process
    read: Callable[[str], bytes]
    pace: Pace
    backoff: SharedBackoff
    id_path: str | None
    aim: int
    attempts_of: Callable[[Message], int] = lambda _: 0

    def settle(self, batch: list[Message]) -> Iterator[tuple[Pushed, list[Settled]]]:
        """Each call that the messages take, and what became of its messages; none comes up twice."""
        away: list[Settled] = []
        entries = list(self._entries(batch, away))
        if away:
            yield Pushed(), away
        for chunk in chunks(entries, self.aim):
            pushed = push(chunk, self.process, self.pace, self.backoff)
            noted = self._noted(chunk, pushed)
            yield (
                pushed,
                [
                    Settled(batch[index], outcome, at not in pushed.given_up or at in noted)
                    for at, (index, outcome) in enumerate(zip(chunk.indexes, pushed.outcomes, strict=True))
                ],
            )

    def _entries(self, batch: list[Message], away: list[Settled]) -> Iterator[Entry]:
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
                away.append(Settled(message, Outcome(Fate.AGAIN, text, attempts), recorded=False))

    def _noted(self, chunk: Chunk, pushed: Pushed) -> set[int]:
        """Has the reasons recorded of what was given up without an answer of the wrapper; those recorded."""
        given_up = sorted(pushed.given_up)
        if not given_up or pushed.stopped:
            return set()
        reasons = [pushed.outcomes[at].body for at in given_up]
        noted, _ = record_given_up(chunk.part(given_up), reasons, self.process, self.pace, self.backoff)
        return {given_up[position] for position in noted}
