"""The loop of a run: which chunk goes next, and what a reply means for everything that is still to do.

One thread runs it. Calls are made by the lanes, effects are in ledger, spool and slots, what follows what is
in `states`, and clock and chance are passed in. The order of effects is what makes a run unkillable: outcomes
are on the disk before the ledger points at them, and a send is in the ledger before it leaves.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from typing import Any

from wrapgen.errors import RunError
from wrapgen.resources import resource_of
from wrapgen.run.answers import summary_facts
from wrapgen.run.budget import Budget
from wrapgen.run.chunks import FIRST_SIZE, Chunk, Entry, Intake, Size, gather
from wrapgen.run.concurrency import Concurrency
from wrapgen.run.effects import Effects, Limits
from wrapgen.run.lanes import Returned
from wrapgen.run.ledger import digest
from wrapgen.run.process import Lost, Outcome, Reply, got_nowhere
from wrapgen.run.resume import send_entry
from wrapgen.run.retry import SharedBackoff, after_loss, delay
from wrapgen.run.spool import outcome_lines
from wrapgen.run.states import Event, Fate, Fault, State, step
from wrapgen.run.summary import Counts, EndState, Progress, Wait

HELD_BYTES = 32_000_000
"""Bytes of waiting items beyond which no new ones are read."""


class Runner:
    """Pushes items through a wrapper until each has a final outcome, or the run has to stop.

    Args:
        entries: the items that have no final outcome yet, in run order.
        effects: see Effects.
        limits: see Limits.
        size: how many items a chunk takes.
        concurrency: how many calls are kept open.
        budget: when too much has failed.
        counts: all items, and what earlier sessions did; updated in place.
        next_seq: the first unused sequence number of a send.

    Attributes:
        given_up: indexes of items that failed without an answer of the wrapper: no record says why.
    """

    def __init__(
        self,
        entries: Iterator[Entry],
        effects: Effects,
        limits: Limits,
        *,
        size: Size,
        concurrency: Concurrency,
        budget: Budget,
        counts: Counts,
        next_seq: int,
    ) -> None:
        self._intake = Intake(entries, aim=limits.aim)
        self._do = effects
        self._limits = limits
        self._size = size
        self._concurrency = concurrency
        self._budget = budget
        self._counts = counts
        self._seq = next_seq
        self._open: dict[int, Chunk] = {}
        self._waiting: list[tuple[float, int, Chunk, bool]] = []
        self._held = 0
        self._order = count()
        self._unsettled: deque[tuple[int, Chunk, Reply]] = deque()
        self._entries: list[dict[str, Any]] = []
        self._backoff = SharedBackoff(effects.random, limits.patience)
        self._waiting_for = ""
        self.given_up: list[int] = []
        spent = budget.spent()
        self._end: tuple[EndState, str] | None = (EndState.BUDGET, spent) if spent else None

    def stop(self, reason: str) -> None:
        """Lets open calls finish and starts no more; safe in a signal handler."""
        self._end = self._end or (EndState.INCOMPLETE, reason)
        self._do.lanes.wake()

    def run(self) -> tuple[EndState, str]:
        """Runs to the end.

        Returns:
            The end state, and why it stopped early or an empty string.
        """
        while True:
            sends = self._choose(self._do.clock())
            self._commit(sends)
            for seq, chunk in sends:
                self._do.lanes.submit(seq, chunk)
            # Only now, so that no lane is idle meanwhile.
            self._settle_answered()
            self._tell()
            if not self._open and (self._end or not (self._waiting or not self._intake.empty)):
                break
            for returned in self._do.lanes.wait(self._pause()):
                self._apply(returned)
        # A run that was told to stop when nothing was left to do is a finished run.
        if self._end and self._counts.finished != self._counts.items:
            return self._end
        return (EndState.ERRORS if self._counts.failed else EndState.OK), ""

    # What goes next

    def _choose(self, now: float) -> list[tuple[int, Chunk]]:
        sends: list[tuple[int, Chunk]] = []
        lanes = self._do.lanes
        if self._end or now < self._backoff.until:
            lanes.recall()
            return sends
        lanes.allow(self._concurrency.now)
        while len(self._open) < self._concurrency.now + lanes.ahead:
            chunk = self._due(now) or self._fresh()
            if chunk is None:
                break
            step(State.READY, Event.SEND)
            self._open[self._seq] = chunk
            sends.append((self._seq, chunk))
            self._seq += 1
        return sends

    def _fresh(self) -> Chunk | None:
        if self._held > HELD_BYTES:
            return None
        # Towards the end smaller chunks keep all lanes busy; what the wrapper does at once goes together.
        left = self._counts.items - self._counts.finished - sum(map(len, self._open.values()))
        share = max(FIRST_SIZE, math.ceil(left / (2 * self._concurrency.most)))
        together = self._limits.together
        try:
            return self._intake.take(min(self._size.now, math.ceil(share / together) * together))
        except RunError as error:  # every row could be read before the first call
            resource = resource_of(error)
            why = f"there is no more {resource}" if resource else "the input changed while it was read"
            self._end = EndState.INCOMPLETE, f"{why}: {error.message}"
            return None

    def _due(self, now: float) -> Chunk | None:
        """What has waited long enough: halves and lost chunks as they are, loose items together."""
        loose: list[Entry] = []
        room = self._limits.aim
        while self._waiting and self._waiting[0][0] <= now and len(loose) < self._size.now:
            due, order, chunk, is_loose = self._waiting[0]
            if loose and (not is_loose or chunk.weight > room):
                break
            heapq.heappop(self._waiting)
            self._held -= chunk.weight
            step(State.WAITING, Event.DUE)
            if not is_loose:
                return chunk
            fits = min(len(chunk), self._size.now - len(loose))
            if fits < len(chunk):
                rest = chunk.part(range(fits, len(chunk)))
                self._hold(rest, due, loose=True, order=order)
                chunk = chunk.part(range(fits))
            loose.extend(chunk.entries())
            room -= chunk.weight
        return gather(loose) if loose else None

    def _hold(self, chunk: Chunk, due: float, *, loose: bool, order: int | None = None) -> None:
        heapq.heappush(self._waiting, (due, next(self._order) if order is None else order, chunk, loose))
        self._held += chunk.weight

    def _pause(self) -> float | None:
        """Seconds until something may be sent although nothing came back; None if only replies matter."""
        now = self._do.clock()
        if self._end or len(self._open) >= self._concurrency.now + self._do.lanes.ahead:
            return None
        if self._waiting:
            return max(0.0, max(self._backoff.until, self._waiting[0][0]) - now)
        return None if self._intake.empty else max(0.0, self._backoff.until - now)

    # What a reply means

    def _apply(self, returned: Returned) -> None:
        chunk = self._open.pop(returned.seq)
        reply = returned.reply
        if isinstance(reply, Reply):
            reply = got_nowhere(reply) or reply
        if isinstance(reply, Lost) and reply.fault is Fault.UNSENT:
            self._unsent(returned.seq, chunk)
        elif isinstance(reply, Lost):
            self._lost(returned.seq, chunk, reply)
        else:
            self._answered(returned.seq, chunk, reply)

    def _answered(self, seq: int, chunk: Chunk, reply: Reply) -> None:
        step(State.OPEN, Event.ANSWER)
        self._backoff.worked()
        self._counts.target_calls += _number(reply.summary, "calls")
        self._feel(seq, chunk, reply)
        self._judge(reply.outcomes, clean=reply.clean)
        if not reply.clean:
            self._again(chunk, reply.outcomes)
        self._unsettled.append((seq, chunk, reply))
        stopped = reply.summary.get("stopped")
        if stopped:
            detail = (
                f"{stopped.get('type')}: {stopped.get('message')}" if isinstance(stopped, dict) else stopped
            )
            self._end = self._end or (EndState.INCOMPLETE, f"the target refuses everyone: {detail}")

    def _settle_answered(self) -> None:
        while self._unsettled:
            self._settle(*self._unsettled.popleft())
        self._commit([])

    def _feel(self, seq: int, chunk: Chunk, reply: Reply) -> None:
        """Adapts chunk size and concurrency to an answer."""
        throttled = _number(reply.summary, "throttled")
        self._counts.throttled += throttled
        if throttled:
            self._concurrency.throttled(seq, self._seq - 1)
        else:
            self._concurrency.good()
        pairs = zip(reply.outcomes, chunk.attempts, strict=True)
        if not reply.clean and any(o.fate is Fate.AGAIN and o.attempts == before for o, before in pairs):
            self._size.too_much(len(chunk))
        else:
            self._size.whole(len(chunk))

    def _settle(self, seq: int, chunk: Chunk, reply: Reply, gave_up: str = "") -> None:
        """Puts a chunk's outcomes where they belong: spool, ledger and slots."""
        outcomes, clean = reply.outcomes, reply.clean
        data, lengths = reply.lines or outcome_lines(chunk, outcomes)
        offset = self._do.spool.append(data)
        failed = [] if clean else [at for at, outcome in enumerate(outcomes) if outcome.fate is Fate.FAILED]
        again = [] if clean else [at for at, outcome in enumerate(outcomes) if outcome.fate is Fate.AGAIN]
        self._entries.append(
            {
                "e": "done",
                "s": seq,
                "w": round(self._do.wall(), 3),
                "at": offset,
                "b": len(data),
                "h": digest(data),
                "failed": failed,
                "again": [[at, outcomes[at].attempts] for at in again],
                **self._felt(reply),
                "calls": _number(reply.summary, "calls"),
                **summary_facts(reply.summary, len(outcomes)),
                **({"attempts": [outcomes[at].attempts for at in failed]} if failed else {}),
                **({"gave_up": gave_up} if gave_up else {}),
            }
        )
        fates, attempts = [outcome.fate for outcome in outcomes], [outcome.attempts for outcome in outcomes]
        self._do.slots.put(chunk.indexes, offset, lengths, chunk.tries + 1, fates, attempts)
        self._counts.failed += len(failed)
        self._counts.succeeded += len(outcomes) - len(failed) - len(again)

    def _felt(self, reply: Reply | Lost) -> dict[str, Any]:
        """What a report shows of calls over time: seconds taken, calls allowed by then, 429s inside."""
        felt: dict[str, Any] = {"took": round(reply.seconds, 4), "limit": self._concurrency.now}
        throttled = _number(reply.summary, "throttled") if isinstance(reply, Reply) else 0
        return {**felt, "throttled": throttled} if throttled else felt

    def _judge(self, outcomes: list[Outcome], *, clean: bool) -> None:
        reason = self._budget.note(outcomes, clean=clean)
        if reason:
            self._end = self._end or (EndState.BUDGET, reason)

    def _again(self, chunk: Chunk, outcomes: list[Outcome]) -> None:
        """Puts back what goes again: at once what was not tried, later what was."""
        now = self._do.clock()
        again = [at for at, outcome in enumerate(outcomes) if outcome.fate is Fate.AGAIN]
        sent = replace(chunk, tries=chunk.tries + 1)
        untried = [at for at in again if outcomes[at].attempts == chunk.attempts[at]]
        tried = [at for at in again if outcomes[at].attempts != chunk.attempts[at]]
        if untried:
            self._hold(sent.part(untried), now, loose=True)
        if tried:
            due = now + delay(sent.tries, self._do.random)
            self._hold(sent.part(tried, [outcomes[at].attempts for at in tried]), due, loose=True)

    def _unsent(self, seq: int, chunk: Chunk) -> None:
        step(State.OPEN, Event.RECALL)
        self._count_send(chunk, -1)
        self._entries.append({"e": "unsent", "s": seq, "w": round(self._do.wall(), 3)})
        self._intake.give_back(chunk)

    def _lost(self, seq: int, chunk: Chunk, lost: Lost) -> None:
        event, sent = after_loss(chunk, lost.fault, self._backoff, attempts=self._limits.attempts)
        step(State.OPEN, event)
        self._counts.lost += 1
        now = self._do.clock()
        if event is Event.GIVE_UP:
            outcomes = [lost.outcome(chunk.attempts[0])]
            self._judge(outcomes, clean=False)
            self._settle(seq, chunk, Reply(outcomes, {}, lost.seconds), gave_up=lost.type)
            self.given_up.append(chunk.indexes[0])
            return
        self._entries.append(
            {
                "e": "lost",
                "s": seq,
                "w": round(self._do.wall(), 3),
                "fault": lost.fault.value,
                "type": lost.type,
                "message": lost.message[:500],
                **self._felt(lost),
            }
        )
        if event is Event.HALVE:
            self._size.too_much(len(chunk))
            for half in sent.halves():
                self._hold(half, now, loose=False)
        elif event is Event.AGAIN:
            self._hold(sent, now + delay(sent.losses, self._do.random), loose=False)
        elif event is Event.HOLD:
            self._back_off(seq, lost, now)
            self._hold(sent, self._backoff.until, loose=False)
        else:
            self._hold(sent, now, loose=False)
            self._end = self._end or (EndState.INCOMPLETE, f"{lost.type}: {lost.message}")

    def _back_off(self, seq: int, lost: Lost, now: float) -> None:
        """Holds every send for a while, and ends the run for now once nothing has worked for too long."""
        if lost.fault is Fault.THROTTLED:
            self._counts.throttled += 1
            self._concurrency.throttled(seq, self._seq - 1)
        self._waiting_for = f"{lost.type}: {lost.message}"
        # A call that is still open may work yet.
        if not self._backoff.hold(now, lost.fault, lost.retry_after) and not self._open:
            waited = f"nothing worked for {self._limits.patience:g} s"
            self._end = self._end or (EndState.INCOMPLETE, f"{waited}: {self._waiting_for}")

    # What is kept

    def _commit(self, sends: list[tuple[int, Chunk]]) -> None:
        """One sync of the spool, then one of the ledger, for everything since the last time."""
        if any(entry["e"] == "done" for entry in self._entries):
            self._do.spool.sync()
        wall = round(self._do.wall(), 3)
        self._entries.extend(send_entry(seq, chunk, wall) for seq, chunk in sends)
        self._do.ledger.append(self._entries)
        self._entries = []
        for _, chunk in sends:
            self._count_send(chunk, 1)

    def _count_send(self, chunk: Chunk, sends: int) -> None:
        self._counts.calls += sends
        self._counts.resent += sends * len(chunk) if chunk.tries else 0

    def _tell(self) -> None:
        most, deadline = self._concurrency.now, self._backoff.deadline
        wait = None
        if deadline is not None:
            wait = Wait(self._waiting_for, max(0.0, deadline - self._do.clock()))
        self._do.watch(Progress(self._counts, min(len(self._open), most), most, self._size.now, wait))


def _number(summary: dict[str, Any], name: str) -> int:
    value = summary.get(name)
    return value if isinstance(value, int) else 0
