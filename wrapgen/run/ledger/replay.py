"""The state that a run was left in, as its ledger tells it: what is finished, and what was open at its end.

Reads everything as a stream: only sends without an answer are held in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.ledger.ledger import Integrity, read_ledger
from wrapgen.run.ledger.spool import EQUAL, Slots, is_intact, not_in_spool, spooled
from wrapgen.run.ledger.store import LEDGER, SPOOL, Log, StateStore
from wrapgen.run.scheduling.grants import EXECUTED
from wrapgen.run.scheduling.progress import Counts
from wrapgen.run.scheduling.replies import Fate, LossKind
from wrapgen.run.summary import EndState

FORMAT = 1
"""Version of the ledger's own format."""

_NUMBER = (int, float)
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_800  # the years 1 to 9999, in seconds since 1970
_Kinds = dict[str, type | tuple[type, ...]]
_RUN: _Kinds = {
    **dict.fromkeys(("run", "reference", "at", "wrapper.target", "wrapper.spec"), str),
    **dict.fromkeys(("input.name", "input.fingerprint"), str),
    **dict.fromkeys(("wrapper", "input", "selection", "survey"), dict),
    **dict.fromkeys(("survey.items", "survey.bytes"), int),
    "survey.sizes": dict,
    "wrapper.datastore": (str, type(None)),
}
_HOLDS: dict[str, _Kinds] = {
    "run": _RUN,
    "changed": _RUN,
    "open": {"at": str},
    "send": {"s": int, "w": _NUMBER, "t": int},
    "done": {"s": int, "w": _NUMBER, "at": int, "b": int, "failed": list, "again": list},
    "lost": {"s": int, "w": _NUMBER, "type": str},
    "recorded": {"i": list},
    "equal": {"s": int, "w": _NUMBER, "t": int, "i": list, "at": int, "b": int, "h": str, "failed": list},
    "reopened": {"i": list, "failed": int, "at": int, "b": int, "h": str},
    "void": {"s": int, "t": int, "i": list, "ok": int, "failed": int},
    "output": {"path": str, "layout": dict},
    "end": {"at": str, "state": str, "why": str},
}
"""What an entry holds at least, by its kind."""

_KIND: _Kinds = {"e": str}
_STATES = {state.value for state in EndState}
FINAL = (Fate.OK, Fate.FAILED)
"""What an item is finished with."""

CORRUPT_ENTRY_ERRORS = (LookupError, TypeError, ValueError, ArithmeticError, AttributeError)
"""What reading an entry ends with whose values somebody altered."""

_HINT = "restore it, or start over with --fresh"


@dataclass
class RunState:
    """What an earlier session left.

    Args:
        header: the run's first entry.
        next_seq: the first unused sequence number of a send.
        spool_end: bytes of the spool that count.
        open: sends whose answer never came.
        calls: sends in all sessions.
        lost: those without outcomes, by what went wrong.
        sessions: times that the run was started or resumed.
        last: when something last happened, in seconds since 1970.
        end: the end entry of the last session, None if it was killed or goes on.
        output: the entry of the last output that was written.
        counts: items that are finished.
        integrity: what the ledger's digests say.
        damaged: outcomes in the spool that do not match their digest, as entries that void them.
        unchecked: answers whose outcomes have no digest, as wrapgen 0.1.0 wrote them.
        told: damaged lines of the ledger that an earlier session knew of.
        given_up: indexes of items that failed without an answer, and of which nothing has been recorded.
        reopened: entries of failed items that a user corrected.
        most_tries: the highest try that any send had.
        indexes: one more than the highest run index that any send had.
        cost: money spent; calls without an answer count with what they might have spent.
        changed: whether wrapper, input or options changed since the run began.
    """

    header: dict[str, Any]
    next_seq: int = 0
    spool_end: int = 0
    open: int = 0
    calls: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    sessions: int = 0
    last: float | None = None
    end: dict[str, Any] | None = None
    output: dict[str, Any] | None = None
    counts: Counts = field(default_factory=Counts)
    integrity: Integrity = field(default_factory=Integrity)
    damaged: dict[int, dict[str, Any]] = field(default_factory=dict)
    unchecked: int = 0
    told: int = 0
    given_up: set[int] = field(default_factory=set)
    reopened: list[dict[str, Any]] = field(default_factory=list)
    most_tries: int = 0
    indexes: int = 0
    changed: bool = False
    cost: float = 0.0

    @property
    def least_tries(self) -> int:
        """Sends that any open item may have had: those that damaged lines told of are not known."""
        return self.most_tries + len(self.integrity.damaged) if self.integrity.damaged else 0

    @property
    def damage(self) -> str:
        """What of the run's files was found damaged and not yet told; empty for nothing."""
        lines = len(self.integrity.damaged) - self.told
        items = sum(len(entry["i"]) for entry in self.damaged.values())
        return " and ".join(
            [f"{lines:,} entries of the ledger do not match their digests"] * (lines > 0)
            + [f"the outcomes of {items:,} items in the spool do not match theirs"] * bool(self.damaged)
        )


def rebuild(
    store: StateStore, slots: Slots | None, each: Callable[[dict[str, Any]], None] = lambda _: None
) -> RunState | None:
    """Reads a ledger and fills the slots from it; None for one without a first entry.

    Args:
        store: where the run is kept.
        slots: empty ones to fill; None only reads the ledger.
        each: told every entry but the first, in their order; `{"e": "damaged"}` in the place of damaged ones.

    Raises:
        RunError: the first entry is damaged, or what has no digests, or it is of another format.
    """
    integrity = Integrity()
    with closing(store.open(LEDGER)) as ledger, closing(store.open(SPOOL)) as spool:
        entries = read_ledger(ledger, integrity)
        header = next(entries, None)
        if header is None:
            return None
        if header.get("e") != "run" or header.get("format") != FORMAT:
            raise RunError(
                f"{ledger.name} is no ledger of this version of wrapgen", hint="start over with --fresh"
            )
        _whole(header, ledger.name, 1)
        state = RunState(header, integrity=integrity)
        replay = _Replay(state, spool, slots)
        for number, entry in enumerate(_with_gaps(entries, integrity), start=2):
            _whole(entry, ledger.name, number)
            if entry["e"] == "send" and not state.sessions and not integrity.damaged:
                raise _damaged(ledger.name, number, entry, "is of no session")
            try:
                if replay.take(entry):
                    each(entry)
            except CORRUPT_ENTRY_ERRORS as error:
                raise _damaged(ledger.name, number, entry, "does not fit what is before it") from error
        replay.close()
    if slots is not None:
        counted = replace(state.counts)
        state.counts.succeeded, state.counts.failed, state.counts.equal = slots.count()
        _price(state, counted, slots)
    return state


def _with_gaps(entries: Iterator[dict[str, Any]], integrity: Integrity) -> Iterator[dict[str, Any]]:
    """The entries, and where damaged ones were left out one that says so."""
    damaged = 0
    for entry in entries:
        if len(integrity.damaged) > damaged:
            damaged = len(integrity.damaged)
            yield {"e": "damaged"}
        yield entry


def _price(state: RunState, counted: Counts, slots: Slots) -> None:
    """Says in the entries that void outcomes how many of each kind they are, and of which items."""
    voids = [entry for entry in state.damaged.values() if entry["i"]]
    for entry in voids:  # an item may have been sent again since
        entry["i"] = [index for index in entry["i"] if slots.get(index).fate not in FINAL]
        entry["ok"], entry["failed"] = 0, 0
    if voids:  # the sums are what counts
        voids[0]["ok"] = counted.succeeded - state.counts.succeeded
        voids[0]["failed"] = counted.failed - state.counts.failed
        voids[0]["equal"] = counted.equal - state.counts.equal
    state.damaged = {entry["s"]: entry for entry in voids}


def _whole(entry: dict[str, Any], ledger: str, number: int) -> None:
    for name, kind in _HOLDS.get(str(entry.get("e")), _KIND).items():
        value: Any = entry
        for key in name.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if not isinstance(value, kind):
            raise _damaged(ledger, number, entry, f"lacks {name!r}")
    moment = entry.get("w", 0)
    if not isinstance(moment, _NUMBER) or not _EARLIEST <= moment < _LATEST:
        raise _damaged(ledger, number, entry, "has no such moment 'w'")
    if entry["e"] == "end" and entry["state"] not in _STATES:
        raise _damaged(ledger, number, entry, "has no such 'state'")


def _damaged(ledger: str, number: int, entry: dict[str, Any], what: str) -> RunError:
    return RunError(f"{ledger}:{number}: the ledger is damaged: {str(entry)[:100]} {what}", hint=_HINT)


@contextmanager
def as_written(ledger: Path) -> Iterator[None]:
    """Where values of a ledger are used: one that no run writes is the ledger's damage, not a reader's fault.

    Raises:
        RunError: there was such a value.
    """
    try:
        yield
    except CORRUPT_ENTRY_ERRORS as error:
        what = f"it holds a value that no run writes ({type(error).__name__}: {error})"
        raise RunError(f"{ledger}: the ledger is damaged: {what}", hint=_HINT) from error


class _Replay:
    """Takes the entries after the first, in their order, and notes in a run's state what each tells.

    Args:
        state: of the first entry; changed in place.
        spool: the outcomes.
        slots: filled with them; None: only the ledger is read.
    """

    def __init__(self, state: RunState, spool: Log, slots: Slots | None) -> None:
        self._state = state
        self._spool = spool
        self._slots = slots
        self._sends: dict[int, tuple[Sequence[int], int, float]] = {}
        self._takers: dict[str, Callable[[dict[str, Any]], None]] = {
            "changed": self._changed,
            "open": self._opened,
            "end": self._ended,
            "output": self._output,
            "send": self._sent,
            "recorded": self._recorded,
            "reopened": self._reopened,
            "void": self._void,
            "unsent": self._unsent,
            "lost": self._lost,
            "done": self._done,
            "equal": self._equal,
        }

    def take(self, entry: dict[str, Any]) -> bool:
        """Takes an entry; False for one of a send that no entry tells of, as where that was damaged."""
        state, kind = self._state, entry["e"]
        state.last = entry.get("w", state.last)
        unknown = kind in ("unsent", "lost", "done") and entry["s"] not in self._sends
        if unknown and state.integrity.checked:
            state.spool_end = max(state.spool_end, entry.get("at", 0) + entry.get("b", 0))
            return False
        if kind in self._takers:
            self._takers[kind](entry)
        return True

    def close(self) -> None:
        """Sends that were open when their session died: their tries are used up, whatever became of them."""
        if self._slots is not None:
            for indexes, tries, _ in self._sends.values():
                self._slots.sent(indexes, tries)
        self._state.open = len(self._sends)
        self._state.cost += sum(granted for _, _, granted in self._sends.values())
        self._sends.clear()

    def _changed(self, entry: dict[str, Any]) -> None:
        self._state.header = {**self._state.header, **entry, "e": "run"}
        self._state.changed = True

    def _opened(self, entry: dict[str, Any]) -> None:
        self.close()
        self._state.sessions += 1
        self._state.end = None
        self._state.told = int(entry.get("damaged", self._state.told))

    def _ended(self, entry: dict[str, Any]) -> None:
        self._state.end = entry

    def _output(self, entry: dict[str, Any]) -> None:
        self._state.output = entry

    def _sent(self, entry: dict[str, Any]) -> None:
        state, indexes = self._state, indexes_of(entry)
        state.next_seq = max(state.next_seq, entry["s"] + 1)
        state.calls += 1
        if indexes[0] < 0 or len(indexes) > state.header["survey"]["items"]:
            raise IndexError("the run has no such items")
        self._sends[entry["s"]] = (indexes, entry["t"], entry.get("cost", 0.0))
        state.most_tries = max(state.most_tries, entry["t"])
        state.indexes = max(state.indexes, indexes[-1] + 1)

    def _recorded(self, entry: dict[str, Any]) -> None:
        self._state.given_up.difference_update(entry["i"])

    def _reopened(self, entry: dict[str, Any]) -> None:
        state = self._state
        state.reopened.append(entry)
        state.counts.failed -= entry["failed"]
        state.counts.equal -= entry.get("equal", 0)
        state.given_up.difference_update(entry["i"])
        if self._slots is not None:
            for index in entry["i"]:
                self._slots.reopen(index)

    def _unsent(self, entry: dict[str, Any]) -> None:
        self._sends.pop(entry["s"])
        self._state.calls -= 1

    def _lost(self, entry: dict[str, Any]) -> None:
        self._state.lost[entry["type"]] += 1
        indexes, tries, granted = self._sends.pop(entry["s"])
        self._state.cost += granted if LossKind(entry["fault"]) in EXECUTED else 0.0
        if self._slots is not None:
            self._slots.sent(indexes, tries)

    def _done(self, entry: dict[str, Any]) -> None:
        state = self._state
        indexes, tries, granted = self._sends.pop(entry["s"])
        state.cost += entry.get("target", {}).get("cost", granted)
        state.spool_end = max(state.spool_end, entry["at"] + entry["b"])
        state.counts.failed += len(entry["failed"])
        state.counts.succeeded += len(indexes) - len(entry["failed"]) - len(entry["again"])
        state.unchecked += "h" not in entry
        if "gave_up" in entry:
            state.given_up.update(indexes)
            state.lost[entry["gave_up"]] += 1
        if self._slots is None:
            return
        if is_intact(self._spool, entry):
            _fill(entry, indexes, tries, self._spool, self._slots)
            return
        self._slots.sent(indexes, tries)
        state.given_up.difference_update(indexes)
        again = dict(entry["again"])
        for at, attempts in again.items():  # which the ledger tells
            self._slots.put([indexes[at]], 0, [0], tries, [0], [attempts])
        final = [index for at, index in enumerate(indexes) if at not in again]
        state.damaged[entry["s"]] = {"e": "void", "s": entry["s"], "t": tries, "i": final}

    def _equal(self, entry: dict[str, Any]) -> None:
        """Outcomes taken over from equal items: as those of a call that was never made."""
        self._state.next_seq = max(self._state.next_seq, entry["s"] + 1)
        self._state.counts.equal += len(entry["i"])
        self._sends[entry["s"]] = (entry["i"], entry["t"], 0.0)
        self._done({**entry, "again": []})

    def _void(self, entry: dict[str, Any]) -> None:
        """Outcomes that an earlier session found damaged do not count, whatever the spool holds by now."""
        state, indexes = self._state, entry["i"]
        state.damaged.pop(entry["s"], None)
        state.counts.succeeded -= entry["ok"]
        state.counts.failed -= entry["failed"]
        state.counts.equal -= entry.get("equal", 0)
        state.given_up.difference_update(indexes)
        for index in indexes:  # what earlier calls told of attempts stays known
            if self._slots is not None and self._slots.get(index).fate in FINAL:
                self._slots.put([index], 0, [0], entry["t"], [0], [0])


def _fill(entry: dict[str, Any], indexes: Sequence[int], tries: int, spool: Log, slots: Slots) -> None:
    lines = spooled(spool, entry)
    if len(lines) != len(indexes):
        raise not_in_spool()
    fates = [Fate.OK] * len(lines)
    attempts = [EQUAL if entry["e"] == "equal" else 0] * len(lines)
    for at in entry["failed"]:
        fates[at] = Fate.FAILED
    for at, tried in entry["again"]:
        fates[at] = Fate.AGAIN
        attempts[at] = tried
    slots.put(indexes, entry["at"], [len(line) for line in lines], tries, fates, attempts)


def indexes_of(entry: dict[str, Any]) -> Sequence[int]:
    """The run indexes of a send entry."""
    return range(entry["first"], entry["first"] + entry["n"]) if "first" in entry else entry["i"]
