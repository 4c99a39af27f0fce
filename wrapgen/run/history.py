"""The history of a run as events of one small schema, and the rules that hold for every run. Pure.

The same rules judge what a ledger tells (`wrapgen verify`), what the tests simulate, and what engines leave.
Memory is some bytes for each item.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import zip_longest
from typing import Any, NamedTuple

from wrapgen.run.ledger.replay import indexes_of

RETRYABLE, FINAL, RESULT = 1, 2, 3
"""Ranks of an outcome, the better the higher; 0 is none. A record of a rank is one lower in `records`."""

UNKNOWN = -1
"""The attempts of an item where an event does not tell them: a ledger tells none of a result."""

MOST_TOLD = 20
"""Violations that are told; all are counted."""

_ONE_MORE, _ONE_LESS = (bytes((at + step) % 256 for at in range(256)) for step in (1, -1))

_NONE: tuple[Sequence[int], int, Sequence[int]] = ((), 0, ())
"""A send that is not known."""


class Kind(Enum):
    """What happened."""

    OPEN = "open"  # a session began: nothing of an earlier one is under way any more
    SEND = "send"
    RECALL = "recall"  # a send that never left
    REPLY = "reply"  # an answer left the wrapper; under a send, it reached its sender
    RECORD = "record"  # a datastore has taken a record
    SETTLE = "settle"  # an outcome is kept for good
    ACKNOWLEDGE = "acknowledge"  # somebody was told the outcome: an output, a deleted message, a row
    REOPEN = "reopen"  # an outcome does not count any more: it was damaged, or the user corrected the item
    DAMAGE = "damage"  # here events are missing: what was open may have been recalled
    END = "end"


class Event(NamedTuple):
    """One event: which items, by run index, and what of each.

    Fields: kind; items; number of the send (-1: of none); try of the send; rank of each item's outcome; calls
    of the target for each item, in this send (REPLY) or in all that are known (SETTLE); counts (END).
    """

    kind: Kind
    items: Sequence[int] = ()
    send: int = -1
    tries: int = 0
    ranks: Sequence[int] = ()
    attempts: Sequence[int] = ()
    counts: dict[str, int] = {}  # noqa: RUF012 - never changed


@dataclass
class History:
    """Takes events in their order and notes what breaks a rule.

    Args:
        items: of the run.
        attempts: calls of the target that one item may take, as far as answers tell them.

    Attributes:
        violations: the first ones, each a sentence.
        broken: how often each rule was broken.
        checked: how many events of each kind there were.
    """

    items: int
    attempts: int
    violations: list[str] = field(default_factory=list)
    broken: Counter[str] = field(default_factory=Counter)
    checked: Counter[Kind] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._settled = bytearray(self.items)
        self._replied = bytearray(self.items)
        self._recorded = bytearray(self.items)
        self._told = bytearray(self.items)
        self._tries, self._made = _numbers(self.items), _numbers(self.items)
        self._busy = bytearray(self.items)  # how many sends of it are open
        self._open: dict[int, tuple[Sequence[int], int, Sequence[int]]] = {}
        self._calls: dict[int, Sequence[int]] = {}
        self._takers: dict[Kind, Callable[[Event], None]] = {
            Kind.OPEN: self._opened,
            Kind.SEND: self._sent,
            Kind.RECALL: self._recalled,
            Kind.REPLY: self._answered,
            Kind.RECORD: self._stored,
            Kind.SETTLE: self._kept,
            Kind.ACKNOWLEDGE: self._acknowledged,
            Kind.REOPEN: self._reopened,
            Kind.DAMAGE: self._damaged,
            Kind.END: self._ended,
        }

    def take(self, event: Event) -> None:
        """Takes the next event."""
        self.checked[event.kind] += 1
        self._takers[event.kind](event)

    def close(self, records: bool = False) -> None:
        """Judges the end: what was answered or told is found, in the datastore too if it has `records`."""
        for item in range(self.items):
            if self._told[item] > self._settled[item]:
                self._break("acknowledged and not kept", f"item {item}")
            if records and self._replied[item] > self._recorded[item]:
                self._break("answered and not recorded", f"item {item}")
            # An item that its runner gave up stays recorded with the error of its last send.
            least = RESULT if self._settled[item] == RESULT else RETRYABLE
            if records and self._replied[item] and self._recorded[item] < least:
                self._break("kept and not recorded", f"item {item}")

    def _break(self, rule: str, what: str) -> None:
        self.broken[rule] += 1
        if len(self.violations) < MOST_TOLD:
            self.violations.append(f"{rule}: {what} (event {self.checked.total():,})")

    def _opened(self, event: Event) -> None:
        """Sends that were open may be repeated."""
        del event
        for sent, *_ in self._open.values():
            self._release(sent)
        self._open.clear()

    def _sent(self, event: Event) -> None:
        if isinstance(event.items, range):  # nearly all of a long run, and looked at together
            part = slice(event.items.start, event.items.stop)
            before = self._tries[part]
            if max(self._settled[part]) < FINAL and max(before) < event.tries:
                self._tries[part] = array(before.typecode, [event.tries]) * len(before)
                self._busy[part] = self._busy[part].translate(_ONE_MORE)
                self._open[event.send] = (event.items, event.tries, before)
                return
        self._send_each(event)

    def _send_each(self, event: Event) -> None:
        before: list[int] = []
        for item in event.items:
            if self._settled[item] >= FINAL:
                self._break("a finished item was sent again", f"item {item} with try {event.tries}")
            if event.tries <= self._tries[item]:
                self._break("a try was used twice", f"item {item} with try {event.tries}")
            before.append(self._tries[item])
            self._tries[item] = max(self._tries[item], event.tries)
            self._busy[item] += 1
        self._open[event.send] = (event.items, event.tries, before)

    def _recalled(self, event: Event) -> None:
        items, _, before = self._open.pop(event.send, _NONE)
        self._release(items)
        for item, tries in zip(items, before, strict=True):
            self._tries[item] = tries

    def _damaged(self, event: Event) -> None:
        """The tries of what is open may be used again."""
        del event
        for items, _, before in self._open.values():
            for item, tries in zip(items, before, strict=True):
                self._tries[item] = tries

    def _answered(self, event: Event) -> None:
        for item, rank in zip(event.items, event.ranks, strict=True):
            self._replied[item] = max(self._replied[item], rank)
            if event.tries > self._tries[item] and self.checked[Kind.SEND]:
                self._break("an answer to a send that was not noted", f"item {item}, try {event.tries}")
        if event.send >= 0:
            self._calls[event.send] = event.attempts

    def _stored(self, event: Event) -> None:
        for item, rank in zip(event.items, event.ranks, strict=True):
            if rank < self._recorded[item]:
                self._break("a record got worse", f"item {item} from rank {self._recorded[item]} to {rank}")
            self._recorded[item] = rank

    def _kept(self, event: Event) -> None:
        if event.send >= 0 and event.send not in self._open:
            self._break("an outcome of no open send was kept", f"send {event.send}")
        self._release(self._open.pop(event.send, _NONE)[0])
        calls = self._calls.pop(event.send, ())
        if isinstance(event.items, range) and not calls and min(event.ranks) == RESULT:
            part = slice(event.items.start, event.items.stop)
            if max(self._settled[part]) < FINAL and not any(self._busy[part]):
                self._settled[part] = bytes(event.ranks)
                return
        for item, rank in zip(event.items, event.ranks, strict=True):
            if self._settled[item] >= FINAL:
                self._break("a finished item got another outcome", f"item {item}, rank {rank}")
            if rank >= FINAL and self._busy[item]:
                self._break("an item was finished while another send of it was open", f"item {item}")
            self._settled[item] = rank
        self._count(event, calls)

    def _count(self, event: Event, calls: Sequence[int]) -> None:
        """Attempts add up over the sends of an item, and stay within the limit."""
        for item, told, made in zip_longest(event.items, event.attempts, calls, fillvalue=UNKNOWN):
            if item == UNKNOWN:
                break
            before = self._made[item]
            if made != UNKNOWN and UNKNOWN < told < before + made:
                self._break("attempts do not add up", f"item {item}: {told}, made were {before} and {made}")
            elif told != UNKNOWN and told < before:
                self._break("attempts were forgotten", f"item {item}: {told} after {before}")
            if told > self.attempts:
                self._break("too many attempts", f"item {item}: {told}, at most {self.attempts}")
            self._made[item] = max(before, told, before + made if made != UNKNOWN else 0)

    def _release(self, items: Sequence[int]) -> None:
        if isinstance(items, range):
            part = slice(items.start, items.stop)
            self._busy[part] = self._busy[part].translate(_ONE_LESS)
            return
        for item in items:
            self._busy[item] -= 1

    def _acknowledged(self, event: Event) -> None:
        for item, rank in zip(event.items, event.ranks, strict=True):
            self._told[item] = rank
            if rank != self._settled[item]:
                self._break("another outcome was acknowledged than kept", f"item {item}")

    def _reopened(self, event: Event) -> None:
        for item in event.items:
            self._settled[item] = self._told[item] = self._replied[item] = self._made[item] = 0

    def _ended(self, event: Event) -> None:
        kept = {"succeeded": self._settled.count(RESULT), "failed": self._settled.count(FINAL)}
        for name, count in kept.items():
            if event.counts.get(name, count) != count:
                self._break("sums do not agree", f"{event.counts[name]:,} {name}, {count:,} were kept")
        sends = self.checked[Kind.SEND] - self.checked[Kind.RECALL]
        if event.counts.get("calls", 0) > sends:
            self._break("sums do not agree", f"{event.counts['calls']:,} calls came in, {sends:,} were sent")


def _numbers(count: int) -> array[int]:
    zero = array("I", [0])
    return zero * count


def event_of(entry: dict[str, Any], indexes: Callable[[int], Sequence[int]]) -> Event | None:
    """The event that an entry of a ledger tells; None for one that is none.

    Args:
        entry: of the ledger.
        indexes: the items of an open send.
    """
    kind = entry["e"]
    if kind in ("open", "damaged"):
        return Event(Kind.OPEN if kind == "open" else Kind.DAMAGE)
    if kind == "send":
        return Event(Kind.SEND, indexes_of(entry), entry["s"], entry["t"])
    if kind in ("unsent", "lost"):
        return Event(Kind.RECALL if kind == "unsent" else Kind.SETTLE, (), entry["s"])
    if kind == "done":
        items = indexes(entry["s"])
        ranks, attempts = bytearray([RESULT]) * len(items), [UNKNOWN] * len(items)
        for at, made in zip_longest(entry["failed"], entry.get("attempts", ()), fillvalue=UNKNOWN):
            ranks[at], attempts[at] = FINAL, made
        for at, made in entry["again"]:
            ranks[at], attempts[at] = RETRYABLE, made
        return Event(Kind.SETTLE, items, entry["s"], 0, ranks, attempts)
    if kind == "equal":
        ranks = bytearray([RESULT]) * len(entry["i"])
        for at in entry["failed"]:
            ranks[at] = FINAL
        return Event(Kind.SETTLE, entry["i"], ranks=ranks, attempts=[UNKNOWN] * len(ranks))
    if kind in ("reopened", "void"):
        return Event(Kind.REOPEN, entry["i"])
    return None


class LedgerHistory:
    """The history that a run's ledger tells.

    Args:
        history: takes it.
        header: the run's first entry.
    """

    def __init__(self, history: History, header: dict[str, Any]) -> None:
        self.history = history
        history.attempts = max(history.attempts, _attempts(header))
        self._sends: dict[int, Sequence[int]] = {}

    def take(self, entry: dict[str, Any]) -> None:
        """Takes the next entry; see `rebuild`."""
        if entry["e"] == "changed":
            self.history.attempts = max(self.history.attempts, _attempts(entry))
        elif entry["e"] == "send":
            self._sends[entry["s"]] = indexes_of(entry)
        elif entry["e"] == "open":
            self._sends.clear()
        event = event_of(entry, self._sends.__getitem__)
        if event is not None:
            self.history.take(event)
        if entry["e"] in ("done", "lost", "unsent"):
            del self._sends[entry["s"]]


def _attempts(header: dict[str, Any]) -> int:
    """The most calls of the target for one item: the first send may use up the wrapper's own limit."""
    told = header.get("attempts"), header["wrapper"].get("attempts")
    return max((n for n in told if isinstance(n, int)), default=1 << 30)
