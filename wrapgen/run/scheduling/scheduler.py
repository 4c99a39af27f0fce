"""The scheduler: it is told what happened and says what to do next; everything that resends asks it.

It has no clock, thread, file or socket: moments and chance are passed in. A driver asks `next` until it
says to wait, does what it says, and tells it each reply. One send has one life:

    Send ──▶ open ──answered──▶ settled         its items have outcomes; some of them may go again
               ├────lost─────▶ settled          its one item is given up
               ├────lost─────▶ waiting, or two halves waiting
               └────unsent───▶ ready            it never left, and goes next as it is

and so has the whole: see `actions.PHASES`. Any other event is a mistake of the driver, and an error.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random

from wrapgen.protocol import CHUNK_AIM
from wrapgen.run.scheduling.actions import (
    PHASES,
    Cause,
    Finish,
    Lose,
    Phase,
    Read,
    Send,
    Settle,
    Step,
    Stop,
    Unsend,
    WaitUntil,
)
from wrapgen.run.scheduling.chunks import Chunk, Entry, gather
from wrapgen.run.scheduling.grants import EXCEEDED, Grants, SpendingLimits, Spent
from wrapgen.run.scheduling.limits import FIRST_SIZE, ChunkSize, Concurrency, ErrorBudget
from wrapgen.run.scheduling.policy import Reaction, SharedBackoff, after_loss, delay
from wrapgen.run.scheduling.progress import Counts, Progress, Waiting
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Reply, without_progress

HELD_BYTES = 32_000_000
"""Bytes of waiting items beyond which no new ones are read."""


class IllegalEvent(RuntimeError):
    """A driver told the scheduler of something that can't have happened."""


@dataclass(frozen=True)
class DeliveryLimits:
    """What holds a delivery back.

    Args:
        attempts: calls of the target that an item may take, and sends that a chunk may lose at one size.
        aim: bytes of a chunk's items.
        together: items that the wrapper has in work at once.
        prefetch: chunks beyond those that may be open which are prepared, ready to leave.
        resend: an item that failed and may succeed later goes again here, else it comes back as AGAIN.
        spending: what all calls together may spend.
    """

    attempts: int
    aim: int = CHUNK_AIM
    together: int = 1
    prefetch: int = 0
    resend: bool = True
    spending: SpendingLimits = field(default_factory=SpendingLimits)


@dataclass
class Adaptive:
    """The numbers that change as replies come.

    Args:
        size: how many items a chunk takes.
        concurrency: how many calls are open.
        budget: when too much has failed.
    """

    size: ChunkSize = field(default_factory=ChunkSize)
    concurrency: Concurrency = field(default_factory=lambda: Concurrency(1))
    budget: ErrorBudget = field(default_factory=lambda: ErrorBudget(share=1))


class Scheduler:
    """Decides about the items of one delivery until each has a final outcome, or sending has to stop.

    Args:
        limits: see DeliveryLimits.
        adaptive: see Adaptive.
        backoff: shared by everything that goes to the same host.
        random: the source of chance.
        counts: all items, and what earlier sessions did; updated in place.
        next_seq: the first unused sequence number of a send.
    """

    def __init__(
        self,
        limits: DeliveryLimits,
        adaptive: Adaptive,
        backoff: SharedBackoff,
        random: Random,
        counts: Counts,
        next_seq: int = 0,
    ) -> None:
        self.counts = counts
        self._limits = limits
        self._size, self._concurrency, self._budget = adaptive.size, adaptive.concurrency, adaptive.budget
        self._grants = Grants(limits.spending) if limits.spending.limited else None
        self._backoff = backoff
        self._random = random
        self._phase = Phase.READING
        self._asked = False
        self._seq = next_seq
        self._open: dict[int, Chunk] = {}
        self._ready: list[Chunk] = []
        self._waiting: list[tuple[float, int, Chunk, bool]] = []
        self._held = 0
        self._order = count()
        self._waiting_for = ""
        self._answers, self._busy = 0, 0.0
        self._stop: Stop | None = None
        if spent := self._budget.spent():
            self.stop(Stop(Cause.BUDGET, spent))

    @property
    def next_seq(self) -> int:
        """The first unused sequence number."""
        return self._seq

    # What is to be done

    def next(self, now: float) -> Read | Send | WaitUntil | Finish:
        """The next action; it is taken as done.

        Args:
            now: the moment, by the driver's clock.
        """
        idle = not (self._waiting or self._ready or self._phase is Phase.READING)
        if idle or self._phase in (Phase.STOPPING, Phase.ENDED):
            return WaitUntil(None) if self._open else self._finish()
        if now < self._backoff.until:
            return WaitUntil(self._backoff.until)
        if len(self._open) >= self._concurrency.now + self._limits.prefetch:
            return WaitUntil(None)
        wait = self._grants.wait(now) if self._grants else None
        if wait is not None:
            return self._wait_to_spend(wait)
        chunk = self._due(now) or (self._ready.pop() if self._ready else None)
        if chunk is not None:
            return self._send(chunk, now)
        if self._phase is Phase.READING and self._held <= HELD_BYTES:
            self._asked = True
            return Read(self._wanted())
        return WaitUntil(self._waiting[0][0] if self._waiting else None)

    def allowed(self, now: float) -> int:
        """Calls that may be open now; 0 while nothing may be sent: what has not left by then comes back."""
        held = self._phase in (Phase.STOPPING, Phase.ENDED) or now < self._backoff.until
        return 0 if held else self._concurrency.now

    def progress(self, now: float) -> Progress:
        """How the delivery stands."""
        most, deadline, wait = self._concurrency.now, self._backoff.deadline, None
        if deadline is not None:
            wait = Waiting(self._waiting_for, max(0.0, deadline - now))
        now_open = min(len(self._open), most)
        return Progress(self.counts, now_open, most, self._size.now, wait, self._answers, self._busy)

    # What happened

    def add(self, chunk: Chunk | None, *, last: bool) -> None:
        """The chunk that `next` asked for has been read; None where there was none.

        Args:
            chunk: at most as many items as were asked for.
            last: every item has been read.
        """
        if not self._asked or (chunk is None and not last):
            raise IllegalEvent("no chunk was asked for" if chunk else "a chunk is missing")
        self._asked = False
        if self._phase is Phase.READING:
            self._step(Step.LAST if last else Step.MORE)
        if chunk is not None:
            self._ready.append(chunk)

    def stop(self, stop: Stop) -> None:
        """Nothing more is to be sent; open sends may end. The first reason counts."""
        self._stop = self._stop or stop
        self._step(Step.STOP)

    def received(self, seq: int, reply: Reply | Lost, now: float) -> Settle | Lose | Unsend:
        """A send came back.

        Args:
            seq: its number.
            reply: what it brought.
            now: the moment.

        Returns:
            What is to be kept of it.

        Raises:
            IllegalEvent: there is no open send of that number.
        """
        chunk = self._open.pop(seq, None)
        if chunk is None:
            raise IllegalEvent(f"send {seq} is not open")
        if isinstance(reply, Reply):
            reply = without_progress(reply) or reply
        self._account(seq, chunk, reply, now)
        if isinstance(reply, Reply):
            return self._answered(seq, chunk, reply, now)
        if reply.fault is LossKind.UNSENT:
            self._count_send(chunk, -1)
            self._ready.append(chunk)
            return Unsend(seq)
        return self._lost(seq, chunk, reply, now)

    def _account(self, seq: int, chunk: Chunk, reply: Reply | Lost, now: float) -> None:
        """Takes back what a send was granted."""
        if self._grants is None:
            return
        if isinstance(reply, Lost):
            self._grants.lost(seq, reply.fault, len(chunk), now)
            return
        tokens = reply.number("tokens_in") + reply.number("tokens_out")
        self._grants.back(seq, Spent(reply.number("calls"), tokens, reply.cost), now)

    # Sending

    def _step(self, step: Step) -> None:
        try:
            self._phase = PHASES[self._phase, step]
        except KeyError:
            raise IllegalEvent(f"{step.value} while {self._phase.value}") from None

    def _finish(self) -> Finish:
        if self._phase is not Phase.ENDED:
            self._step(Step.END)
        return Finish(self._stop)

    def _wait_to_spend(self, moment: float) -> WaitUntil | Finish:
        """Nothing more may be spent before this moment; the run stops if that never comes."""
        if moment < math.inf:
            return WaitUntil(moment)
        if self._open:
            return WaitUntil(None)
        self._stop_for_cost()
        return self._finish()

    def _stop_for_cost(self) -> None:
        assert self._grants is not None
        limits = self._grants.limits
        said = f"of the {limits.max_cost:,g} that the run may cost, {self._grants.spent:,.6g} may be spent"
        self.stop(Stop(Cause.COST, f"{said} by now, and the next item may cost {limits.each:,.6g}"))

    def _send(self, chunk: Chunk, now: float) -> Send:
        if self._grants:
            calls = max(1, self._concurrency.now - len(self._open))
            attempts = len(chunk) * self._limits.attempts
            chunk = replace(chunk, grant=self._grants.grant(self._seq, attempts, calls, now))
        send = Send(self._seq, chunk)
        self._open[self._seq] = chunk
        self._seq += 1
        self._count_send(chunk, 1)
        return send

    def _count_send(self, chunk: Chunk, sends: int) -> None:
        self.counts.calls += sends
        self.counts.resent += sends * len(chunk) if chunk.tries else 0

    def _wanted(self) -> int:
        # Towards the end smaller chunks keep all calls busy; what the wrapper does at once goes together.
        left = self.counts.items - self.counts.finished - sum(map(len, self._open.values()))
        share = max(FIRST_SIZE, math.ceil(left / (2 * self._concurrency.most)))
        together = self._limits.together
        return min(self._size.now, math.ceil(share / together) * together)

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

    # What a reply means

    def _answered(self, seq: int, chunk: Chunk, reply: Reply, now: float) -> Settle:
        self._backoff.worked()
        self._adapt(seq, chunk, reply)
        self._count(reply)
        if reason := self._budget.note(reply.outcomes, clean=reply.clean):
            self.stop(Stop(Cause.BUDGET, reason))
        if not reply.clean:
            self._resend(chunk, reply, now)
        if stopped := reply.summary.get("stopped"):
            facts = stopped if isinstance(stopped, dict) else {"message": stopped}
            kind = str(facts.get("type") or "AuthenticationError")
            if kind == EXCEEDED and self._grants is not None:
                if not reply.cost and {outcome.fate for outcome in reply.outcomes} == {Fate.AGAIN}:
                    self._stop_for_cost()  # not even one item could be tried
                return Settle(seq, chunk, reply, self._concurrency.now)
            self.stop(Stop(Cause.TARGET, str(facts.get("message") or ""), kind))
        return Settle(seq, chunk, reply, self._concurrency.now)

    def _count(self, reply: Reply) -> None:
        self._answers += 1
        self._busy += reply.seconds
        fates = [outcome.fate for outcome in reply.outcomes]
        failed = 0 if reply.clean else fates.count(Fate.FAILED)
        self.counts.failed += failed
        self.counts.succeeded += len(fates) if reply.clean else fates.count(Fate.OK)
        self.counts.target_calls += reply.number("calls")
        self.counts.throttled += reply.number("throttled")

    def _adapt(self, seq: int, chunk: Chunk, reply: Reply) -> None:
        """Adapts chunk size and concurrency to an answer."""
        if reply.number("throttled"):
            self._concurrency.throttled(seq, self._seq - 1)
        else:
            self._concurrency.good()
        pairs = zip(reply.outcomes, chunk.attempts, strict=True)
        if not reply.clean and any(o.fate is Fate.AGAIN and o.attempts == before for o, before in pairs):
            self._size.too_much(len(chunk))
        else:
            self._size.whole(len(chunk))

    def _resend(self, chunk: Chunk, reply: Reply, now: float) -> None:
        """Puts back what goes again: at once what was not tried, later what was."""
        outcomes = reply.outcomes
        again = [at for at, outcome in enumerate(outcomes) if outcome.fate is Fate.AGAIN]
        sent = replace(chunk, tries=chunk.tries + 1)
        untried = [at for at in again if outcomes[at].attempts == chunk.attempts[at]]
        tried = [at for at in again if outcomes[at].attempts != chunk.attempts[at]]
        if untried:
            self._hold(sent.part(untried), now, loose=True)
        if tried and self._limits.resend:
            due = now + delay(sent.tries, self._random)
            self._hold(sent.part(tried, [outcomes[at].attempts for at in tried]), due, loose=True)

    def _lost(self, seq: int, chunk: Chunk, lost: Lost, now: float) -> Settle | Lose:
        reaction, sent = after_loss(chunk, lost.fault, self._backoff, attempts=self._limits.attempts)
        self.counts.lost += 1
        if reaction is Reaction.GIVE_UP:
            return self._fail_item(seq, chunk, lost)
        if reaction is Reaction.HALVE:
            self._size.too_much(len(chunk))
            for half in sent.halves():
                self._hold(half, now, loose=False)
        elif reaction is Reaction.AGAIN:
            self._hold(sent, now + delay(sent.losses, self._random), loose=False)
        elif reaction is Reaction.HOLD:
            self._hold_everything(seq, lost, now)
            self._hold(sent, self._backoff.until, loose=False)
        else:
            self._hold(sent, now, loose=False)
            self.stop(Stop(Cause.HOST, lost.message, lost.type))
        return Lose(seq, lost, self._concurrency.now)

    def _fail_item(self, seq: int, chunk: Chunk, lost: Lost) -> Settle:
        reply = Reply([lost.outcome(chunk.attempts[0])], {}, lost.seconds)
        self._count(reply)
        if reason := self._budget.note(reply.outcomes):
            self.stop(Stop(Cause.BUDGET, reason))
        return Settle(seq, chunk, reply, self._concurrency.now, gave_up=lost.type)

    def _hold_everything(self, seq: int, lost: Lost, now: float) -> None:
        """Holds every send for a while, and stops for now once nothing has worked for too long."""
        if lost.fault is LossKind.THROTTLED:
            self.counts.throttled += 1
            self._concurrency.throttled(seq, self._seq - 1)
        self._waiting_for = f"{lost.type}: {lost.message}"
        # A call that is still open may work yet.
        if not self._backoff.hold(now, lost.fault, lost.retry_after) and not self._open:
            self.stop(Stop(Cause.PATIENCE, lost.message, lost.type, self._backoff.patience))
