"""The loop that drives the scheduler: it reads, sends, waits and keeps what the scheduler says.

Every engine runs it: the local run with threads and a ledger, Spark with threads, SQS and Lambda with a call
at a time. What is kept before a send leaves and after it came back is the journal's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from wrapgen.errors import RunError
from wrapgen.resources import resource_of
from wrapgen.run.hosts.call_threads import OpenCalls, Returned
from wrapgen.run.scheduling.actions import (
    Cause,
    Finish,
    Lose,
    Read,
    Send,
    Settle,
    Stop,
    Unsend,
    WaitUntil,
)
from wrapgen.run.scheduling.chunks import Chunk, ChunkCutter
from wrapgen.run.scheduling.replies import Lost, Reply
from wrapgen.run.scheduling.scheduler import Scheduler


class Journal(Protocol):
    """What a delivery keeps."""

    def sending(self, sends: list[Send]) -> None:
        """Keeps that these leave next, and all that was noted before; called once for each round."""

    def note(self, event: Settle | Lose | Unsend) -> None:
        """Notes what came of a send."""

    def write(self) -> None:
        """Keeps what was noted; the calls of this round are open meanwhile."""


class Delivery:
    """Sends the items of a cutter until each has a final outcome, or sending has to stop.

    Args:
        scheduler: decides.
        cutter: where the items come from.
        calls: makes the calls.
        journal: keeps what happens.
        clock: seconds that only go forward.
        watch: called after every round.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        cutter: ChunkCutter,
        calls: OpenCalls,
        journal: Journal,
        clock: Callable[[], float],
        watch: Callable[[], None] = lambda: None,
    ) -> None:
        self._scheduler = scheduler
        self._cutter = cutter
        self._calls = calls
        self._journal = journal
        self._clock = clock
        self._watch = watch
        self._told: Stop | None = None

    def stop(self, stop: Stop) -> None:
        """Lets open calls end and starts no more; safe in a signal handler."""
        self._told = self._told or stop
        self._calls.wake()

    def run(self) -> Stop | None:
        """Runs to the end; why it stopped early, or None. However it ends, nothing leaves any more."""
        try:
            return self._run()
        finally:
            self._calls.close()

    def _run(self) -> Stop | None:
        while True:
            sends, last = self._decide()
            self._calls.allow(self._scheduler.allowed(self._clock()))
            self._journal.sending(sends)
            for send in sends:
                self._calls.submit(send.seq, send.chunk)
            # Only now, so that no thread is idle meanwhile.
            self._journal.write()
            self._watch()
            if isinstance(last, Finish):
                return last.stop
            now = self._clock()
            for seq, reply in self._calls.wait(None if last.moment is None else max(0.0, last.moment - now)):
                self._journal.note(self._scheduler.received(seq, reply, self._clock()))

    def _decide(self) -> tuple[list[Send], WaitUntil | Finish]:
        if self._told:
            self._scheduler.stop(self._told)
        sends: list[Send] = []
        while True:
            action = self._scheduler.next(self._clock())
            if isinstance(action, Read):
                self._read(action.count)
            elif isinstance(action, Send):
                sends.append(action)
            else:
                return sends, action

    def _read(self, items: int) -> None:
        try:
            chunk = self._cutter.take(items)
        except RunError as error:  # every row could be read before the first call
            resource = resource_of(error)
            why = f"there is no more {resource}" if resource else "the input changed while it was read"
            self._scheduler.stop(Stop(Cause.TOLD, f"{why}: {error.message}"))
        else:
            self._scheduler.add(chunk, last=self._cutter.empty)


class CallsInTurn:
    """Calls without threads, made one after the other while they are waited for.

    Args:
        send: sends a chunk once.
        wait: waits so many seconds; True when there is no more time.
        interrupted: told that there is none.
    """

    prefetch = 0

    def __init__(
        self,
        send: Callable[[Chunk], Reply | Lost],
        wait: Callable[[float], bool],
        interrupted: Callable[[], None],
    ) -> None:
        self._send = send
        self._wait = wait
        self._interrupted = interrupted
        self._open: deque[tuple[int, Chunk]] = deque()

    def allow(self, most: int) -> None:
        """Nothing: a call is made at once."""

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Has a chunk sent by the next `wait`."""
        self._open.append((seq, chunk))

    def wait(self, seconds: float | None) -> list[Returned]:
        """Makes the next call; where there is none, waits."""
        if self._open:
            seq, chunk = self._open.popleft()
            return [Returned(seq, self._send(chunk))]
        if seconds and self._wait(seconds):
            self._interrupted()
        return []

    def wake(self) -> None:
        """Nothing: nobody else acts."""

    def close(self) -> None:
        """Nothing is held."""
