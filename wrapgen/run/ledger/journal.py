"""The journal of a local run: what is on the disk before a send leaves, and after it came back.

The order of effects is what makes a run unkillable: outcomes are on the disk before the ledger points at
them, and a send is in the ledger before it leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from wrapgen.run.hosts.answers import summary_facts
from wrapgen.run.ledger.ledger import Ledger, digest
from wrapgen.run.ledger.resume import send_entry
from wrapgen.run.ledger.spool import Slots, outcome_lines
from wrapgen.run.ledger.store import Log
from wrapgen.run.scheduling.actions import Lose, Send, Settle, Unsend
from wrapgen.run.scheduling.replies import Fate, Lost, Reply


class LedgerJournal:
    """Keeps what happens in a run's ledger, spool and slots.

    Args:
        ledger, spool, slots: the run's.
        unix_time: seconds since 1970, for the ledger's readers.
        behind: their store writes behind: only what leaves next is waited for.

    Attributes:
        given_up: indexes of items that failed without an answer of the wrapper: no record says why.
    """

    def __init__(
        self,
        ledger: Ledger,
        spool: Log,
        slots: Slots,
        unix_time: Callable[[], float],
        *,
        behind: bool = False,
    ) -> None:
        self.given_up: list[int] = []
        self._ledger = ledger
        self._spool = spool
        self._slots = slots
        self._unix_time = unix_time
        self._behind = behind
        self._unsettled: list[Settle] = []
        self._entries: list[dict[str, Any]] = []
        self._settled = False

    def sending(self, sends: list[Send]) -> None:
        """Keeps that these leave next, and all that was noted before."""
        self._commit([send_entry(send.seq, send.chunk, self._moment()) for send in sends])

    def note(self, event: Settle | Lose | Unsend) -> None:
        """Notes what came of a send."""
        if isinstance(event, Settle) and not event.gave_up:
            self._unsettled.append(event)  # while the next calls are open there is time for it
        elif isinstance(event, Settle):
            self._settle(event)
            self.given_up.append(event.chunk.indexes[0])
        elif isinstance(event, Unsend):
            self._entries.append({"e": "unsent", "s": event.seq, "w": self._moment()})
        else:
            lost = event.lost
            self._entries.append(
                {
                    "e": "lost",
                    "s": event.seq,
                    "w": self._moment(),
                    "fault": lost.fault.value,
                    "type": lost.type,
                    "message": lost.message[:500],
                    **_timing(lost, event.limit),
                }
            )

    def write(self) -> None:
        """Puts outcomes where they belong."""
        for event in self._unsettled:
            self._settle(event)
        self._unsettled.clear()
        self._commit([])

    def _moment(self) -> float:
        return round(self._unix_time(), 3)

    def _commit(self, sends: list[dict[str, Any]]) -> None:
        """One sync of the spool, then one of the ledger, for everything since the last time."""
        if self._settled and not self._behind:
            self._spool.sync()
        entries, self._entries, self._settled = [*self._entries, *sends], [], False
        self._ledger.append(entries, wait=bool(sends) or not self._behind)

    def _settle(self, event: Settle) -> None:
        chunk, reply = event.chunk, event.reply
        outcomes = reply.outcomes
        data, lengths = reply.lines or outcome_lines(chunk, outcomes)
        offset = self._spool.append(data)
        self._settled = True
        rest = (
            [] if reply.clean else [(at, one) for at, one in enumerate(outcomes) if one.fate is not Fate.OK]
        )
        failed = [(at, outcome.attempts) for at, outcome in rest if outcome.fate is Fate.FAILED]
        self._entries.append(
            {
                "e": "done",
                "s": event.seq,
                "w": self._moment(),
                "at": offset,
                "b": len(data),
                "h": digest(data),
                "failed": [at for at, _ in failed],
                "again": [[at, outcome.attempts] for at, outcome in rest if outcome.fate is Fate.AGAIN],
                **_timing(reply, event.limit),
                "calls": reply.number("calls"),
                **summary_facts(reply.summary, len(outcomes)),
                **({"attempts": [attempts for _, attempts in failed]} if failed else {}),
                **({"gave_up": event.gave_up} if event.gave_up else {}),
            }
        )
        fates, attempts = [outcome.fate for outcome in outcomes], [outcome.attempts for outcome in outcomes]
        self._slots.put(chunk.indexes, offset, lengths, chunk.tries + 1, fates, attempts)


def _timing(reply: Reply | Lost, limit: int) -> dict[str, Any]:
    """What a report shows of calls over time: seconds taken, calls allowed by then, 429s inside."""
    fields: dict[str, Any] = {"took": round(reply.seconds, 4), "limit": limit}
    throttled = reply.number("throttled") if isinstance(reply, Reply) else 0
    return {**fields, "throttled": throttled} if throttled else fields
