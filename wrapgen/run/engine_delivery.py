"""Items sent until each is settled, without a ledger: Spark, SQS and Lambda have a memory of their own.

What is sent when is the scheduler's decision. Clock, waiting and chance are passed in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from random import Random

from wrapgen.protocol import CHUNK_AIM
from wrapgen.run.delivery import CallsInTurn, Delivery
from wrapgen.run.hosts.call_threads import CallThreads
from wrapgen.run.hosts.chunk_call import ChunkCall
from wrapgen.run.scheduling.actions import Cause, Lose, Send, Settle, Stop, Unsend
from wrapgen.run.scheduling.chunks import ChunkCutter, Entry
from wrapgen.run.scheduling.grants import SpendingLimits
from wrapgen.run.scheduling.limits import ChunkSize, Concurrency, ErrorBudget
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.progress import Counts
from wrapgen.run.scheduling.replies import Fate, Outcome, error_text
from wrapgen.run.scheduling.scheduler import Adaptive, DeliveryLimits, Scheduler

_INTERRUPTED = Stop(Cause.TOLD, "interrupted before the item was sent again", "DeadlineExceeded")


@dataclass
class Delivered:
    """What became of items; a journal in memory.

    Args:
        outcomes: by run index; AGAIN for those that are not settled.
        given_up: items that failed without an answer of the wrapper, as they were sent: no record says why.
        stop: why sending ended before everything was settled, or None.
        counts: sends, those of them without an answer, and 429s, inner ones included.
    """

    outcomes: dict[int, Outcome] = field(default_factory=dict)
    given_up: dict[int, Entry] = field(default_factory=dict)
    stop: Stop | None = None
    counts: Counts = field(default_factory=Counts)

    def sending(self, sends: list[Send]) -> None:
        """Nothing: what sends again after a crash is the engine."""

    def note(self, event: Settle | Lose | Unsend) -> None:
        """Notes outcomes."""
        if isinstance(event, Settle):
            self.outcomes.update(zip(event.chunk.indexes, event.reply.outcomes, strict=True))
            if event.gave_up:
                self.given_up.update((entry.index, entry) for entry in event.chunk.entries())

    def write(self) -> None:
        """Nothing: it is in memory."""


@dataclass(frozen=True)
class EngineDelivery:
    """Sends items through a wrapper until every one is settled or nothing more can be done.

    Args:
        call: sends a chunk once.
        attempts: calls of the target that an item may take, and sends that a chunk may lose at one size.
        backoff: shared by everything that goes to the same host.
        clock: seconds that only go forward.
        wait: waits so many seconds; True when there is no more time, and sending has to end.
        random: the source of chance; shared between threads.
        resend: an item that failed and may succeed later goes again here, else it comes back as AGAIN.
        spending: what all calls together may spend.
    """

    call: ChunkCall
    attempts: int
    backoff: SharedBackoff
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    random: Random
    resend: bool = True
    spending: SpendingLimits = field(default_factory=SpendingLimits)

    def deliver(
        self, entries: Iterable[Entry], *, size: int, aim: int = CHUNK_AIM, threads: int = 0
    ) -> Delivered:
        """What becomes of items.

        Args:
            entries: the items; their indexes tell them apart.
            size: items in a call, at most.
            aim: bytes of a call.
            threads: calls to keep open; 0 makes one after the other, in this thread.
        """
        items = list(entries)
        delivered = Delivered(counts=Counts(items=len(items)))
        calls = CallThreads(self.call) if threads else CallsInTurn(self.call, self.wait, lambda: interrupt())
        most = max(1, threads)
        prefetch = 0 if self.spending.limited else calls.prefetch
        limits = DeliveryLimits(
            self.attempts, aim, size, prefetch, resend=self.resend, spending=self.spending
        )
        adaptive = Adaptive(
            ChunkSize(largest=size, first=size), Concurrency(most, first=most), ErrorBudget(share=1)
        )
        scheduler = Scheduler(limits, adaptive, self.backoff, self.random, delivered.counts)
        delivery = Delivery(scheduler, ChunkCutter(iter(items), aim=aim), calls, delivered, self.clock)

        def interrupt() -> None:
            delivery.stop(_INTERRUPTED)

        delivered.stop = delivery.run()
        left = delivered.stop or _INTERRUPTED
        text = error_text(left.type or "DeadlineExceeded", left.message, retryable=True)
        for item in items:
            delivered.outcomes.setdefault(item.index, Outcome(Fate.AGAIN, text, item.attempts))
        return delivered

    def record_given_up(self, failures: list[tuple[Entry, str]], *, size: int) -> tuple[set[int], str]:
        """Has the wrapper record why items failed without an answer of its own.

        Args:
            failures: items as they were sent last, and the error object of each, as JSON.
            size: items in a call, at most.

        Returns:
            The indexes of those that are recorded now, and why not all of them are.
        """
        entries = [
            entry._replace(item=b'{"$error":' + reason.encode("ascii") + b"}", tries=entry.tries + 1)
            for entry, reason in failures
        ]
        noted = replace(self, resend=True).deliver(entries, size=size)
        found = {
            index
            for index, outcome in noted.outcomes.items()
            if outcome.fate is Fate.FAILED and index not in noted.given_up
        }
        missing = (outcome.body for index, outcome in noted.outcomes.items() if index not in found)
        error = json.loads(next(missing, "{}"))
        kind, message = error.get("type"), error.get("message")
        if noted.stop:
            kind, message = noted.stop.type, noted.stop.message
        return found, ": ".join(filter(None, (kind, message)))
