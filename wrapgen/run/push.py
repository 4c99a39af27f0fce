"""Pushes a chunk until each item of it is settled: for Spark and SQS, which bring their own memory of a run.

The local runner has its ledger instead. What a fault does to a chunk stands in `states`, for all of them.
Nothing here makes a call, sleeps or looks at a clock: all of that is passed in.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from typing import Any

from wrapgen.run.chunks import Chunk
from wrapgen.run.process import Lost, Outcome, Reply, error_text, got_nowhere
from wrapgen.run.retry import SharedBackoff, after_loss, delay
from wrapgen.run.states import Event, Fate, Fault

Process = Callable[[Chunk], Reply | Lost]
"""Sends a chunk once; never raises."""


@dataclass(frozen=True)
class Pace:
    """What holds pushing back, and the sources of time and chance.

    Args:
        attempts: calls of the target that an item may take, and sends that a chunk may lose at one size.
        clock: seconds that only go forward.
        wait: waits so many seconds; True when there is no more time, and pushing has to end.
        random: the source of chance; shared between threads.
        resend: an item that failed and may succeed later goes again here, else it comes back as AGAIN.
    """

    attempts: int
    clock: Callable[[], float]
    wait: Callable[[float], bool]
    random: Random
    resend: bool = True


@dataclass
class Pushed:
    """What became of a chunk.

    Args:
        outcomes: one per item, in the chunk's order; AGAIN for those that are not settled.
        given_up: positions of items that failed without an answer of the wrapper: no record says why.
        stopped: why pushing ended before everything was settled: error type and message, or None.
        calls, lost, throttled: sends, those of them without an answer, and 429s, inner ones included.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    given_up: set[int] = field(default_factory=set)
    stopped: tuple[str, str] | None = None
    calls: int = 0
    lost: int = 0
    throttled: int = 0


def push(chunk: Chunk, process: Process, pace: Pace, backoff: SharedBackoff) -> Pushed:
    """Sends a chunk, and what is left of it, until every item is settled or nothing more can be done.

    Args:
        chunk: at least one item; its indexes tell its items apart.
        process: sends a chunk once.
        pace: see Pace.
        backoff: shared by everything that goes to the same platform.
    """
    return _Push(process, pace, backoff).push(chunk)


def record_given_up(
    chunk: Chunk, reasons: Sequence[str], process: Process, pace: Pace, backoff: SharedBackoff
) -> tuple[set[int], str]:
    """Has a wrapper record why items failed without an answer of its own.

    Args:
        chunk: the items, as they were sent last.
        reasons: the error object of each, as JSON.
        process, pace, backoff: see `push`.

    Returns:
        The positions that are recorded now, and why not all of them are.
    """
    items = [b'{"$error":' + reason.encode("ascii") + b"}" for reason in reasons]
    noted = push(replace(chunk, items=items, tries=chunk.tries + 1), process, pace, backoff)
    found = {
        at
        for at, outcome in enumerate(noted.outcomes)
        if outcome.fate is Fate.FAILED and at not in noted.given_up
    }
    missing = (outcome.body for at, outcome in enumerate(noted.outcomes) if at not in found)
    error = json.loads(next(missing, "{}"))
    return found, ": ".join(noted.stopped or filter(None, (error.get("type"), error.get("message"))))


class _Push:
    def __init__(self, process: Process, pace: Pace, backoff: SharedBackoff) -> None:
        self._process = process
        self._pace = pace
        self._backoff = backoff
        self._order = count()
        self._waiting: list[tuple[float, int, Chunk]] = []
        self._found: dict[int, Outcome] = {}
        self._given_up: set[int] = set()
        self._pushed = Pushed()

    def push(self, chunk: Chunk) -> Pushed:
        self._later(chunk, 0.0)
        while self._waiting and self._pushed.stopped is None:
            due, _, part = heapq.heappop(self._waiting)
            wait = max(due, self._backoff.until) - self._pace.clock()
            if wait > 0 and self._pace.wait(wait):
                self._stop(part, "DeadlineExceeded", "interrupted before the item was sent again")
                break
            self._send(part)
        for _, _, part in self._waiting:
            self._open(part, *(self._pushed.stopped or ("DeadlineExceeded", "not sent again")))
        self._pushed.outcomes = [self._found[index] for index in chunk.indexes]
        self._pushed.given_up = {at for at, index in enumerate(chunk.indexes) if index in self._given_up}
        return self._pushed

    def _later(self, chunk: Chunk, due: float) -> None:
        heapq.heappush(self._waiting, (due, next(self._order), chunk))

    def _send(self, chunk: Chunk) -> None:
        self._pushed.calls += 1
        reply = self._process(chunk)
        if isinstance(reply, Reply):
            reply = got_nowhere(reply) or reply
        if isinstance(reply, Lost):
            self._pushed.lost += 1
            self._lost(chunk, reply)
        else:
            self._backoff.worked()
            self._answered(replace(chunk, tries=chunk.tries + 1), reply)

    def _answered(self, chunk: Chunk, reply: Reply) -> None:
        throttled = reply.summary.get("throttled")
        self._pushed.throttled += throttled if isinstance(throttled, int) else 0
        untried: list[int] = []
        tried: list[int] = []
        for at, outcome in enumerate(reply.outcomes):
            self._found[chunk.indexes[at]] = outcome
            if outcome.fate is Fate.AGAIN:
                (tried if outcome.attempts != chunk.attempts[at] else untried).append(at)
        stopped = reply.summary.get("stopped")
        if stopped:
            self._pushed.stopped = _reason(stopped)
            return
        now = self._pace.clock()
        if untried:
            self._later(chunk.part(untried), now)
        if tried and self._pace.resend:
            attempts = [reply.outcomes[at].attempts for at in tried]
            self._later(chunk.part(tried, attempts), now + delay(chunk.tries, self._pace.random))

    def _lost(self, chunk: Chunk, lost: Lost) -> None:
        pace = self._pace
        event, sent = after_loss(chunk, lost.fault, self._backoff, attempts=pace.attempts)
        if event is Event.GIVE_UP:
            self._found[chunk.indexes[0]] = lost.outcome(chunk.attempts[0])
            self._given_up.add(chunk.indexes[0])
        elif event is Event.HALVE:
            for half in sent.halves():
                self._later(half, pace.clock())
        elif event is Event.AGAIN:
            self._later(sent, pace.clock() + delay(sent.losses, pace.random))
        elif event is Event.HOLD and self._hold(lost):
            self._later(sent, self._backoff.until)
        else:
            self._stop(chunk, lost.type, lost.message)

    def _hold(self, lost: Lost) -> bool:
        self._pushed.throttled += lost.fault is Fault.THROTTLED
        return self._backoff.hold(self._pace.clock(), lost.fault, lost.retry_after)

    def _stop(self, chunk: Chunk, kind: str, message: str) -> None:
        self._pushed.stopped = (kind, message)
        self._open(chunk, kind, message)

    def _open(self, chunk: Chunk, kind: str, message: str) -> None:
        """Items that nothing became of yet."""
        text = error_text(kind, message, retryable=True)
        for index, attempts in zip(chunk.indexes, chunk.attempts, strict=True):
            self._found.setdefault(index, Outcome(Fate.AGAIN, text, attempts))


def _reason(stopped: Any) -> tuple[str, str]:
    if isinstance(stopped, dict):
        return str(stopped.get("type") or "AuthenticationError"), str(stopped.get("message") or "")
    return "AuthenticationError", str(stopped)
