"""The model of a run: what ledger, spool and takeover promise, as a small state machine.

Each rule is first done to the model, a few dictionaries, and then to the code; Hypothesis looks for an order
of them in which the two differ. The model is the specification: read it for what is meant.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

import pytest
from greenlet import getcurrent
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from simulation.disk import SimDisk
from simulation.world import Process
from wrapgen.errors import RunError
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.journal import LedgerJournal
from wrapgen.run.scheduling.actions import Lose, Send, Settle, Unsend
from wrapgen.run.scheduling.chunks import Entry, gather
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Outcome, Reply
from wrapgen.run.session import Session
from wrapgen.run.settings import Options

ITEMS = range(6)
FATES = st.sampled_from([Fate.OK, Fate.FAILED, Fate.AGAIN])
CHOSEN = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4, unique=True).map(sorted)
QUICK = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


class RunMachine(RuleBasedStateMachine):
    """A run: `fate`, `attempts` and `tries` of each item, and the sends that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.fate = dict.fromkeys(ITEMS, 0)
        self.attempts = dict.fromkeys(ITEMS, 0)
        self.tries = dict.fromkeys(ITEMS, 0)
        self.open: dict[int, dict[int, int]] = {}  # by number of the send: its items, and their tries before
        self.told: dict[int, list[tuple[int, int, int]]] = {
            item: [] for item in ITEMS
        }  # by call: fate, attempts
        self.altered: set[int] = set()  # calls whose outcomes are damaged
        self.places: dict[int, tuple[int, int]] = {}  # of a call's outcomes in the spool
        self.folder = tempfile.TemporaryDirectory()
        self.disk = SimDisk(Path(self.folder.name), lambda _, size: size, *[lambda *_: None] * 3)
        getcurrent().process = Process("model")
        self.session = self._session()
        self._begin()

    def teardown(self) -> None:
        self.session.__exit__()
        self.folder.cleanup()

    # What may happen

    @rule(items=CHOSEN)
    def send(self, items: list[int]) -> None:
        """Items that have no final outcome and are not under way leave, under a try that none of them had."""
        busy = {item for sent in self.open.values() for item in sent}
        items = [item for item in items if self.fate[item] not in (Fate.OK, Fate.FAILED) and item not in busy]
        if not items:
            return
        tries = max(self.tries[item] for item in items) + 1
        self.open[self.seq] = {item: self.tries[item] for item in items}
        self.tries.update(dict.fromkeys(items, tries))

        entries = [Entry(item, b"%d" % item, None, self.attempts[item], tries - 1) for item in items]
        self.sent[self.seq] = gather(entries)
        self.journal.sending([Send(self.seq, self.sent[self.seq])])
        self.seq += 1

    @precondition(lambda self: self.open)
    @rule(fates=st.lists(FATES, min_size=4, max_size=4), data=st.data())
    def answer(self, fates: list[Fate], data: st.DataObject) -> None:
        """A send comes back: each of its items has an outcome, and one attempt more."""
        seq = data.draw(st.sampled_from(sorted(self.open)))
        items = list(self.open.pop(seq))
        for item, fate in zip(items, fates, strict=False):
            self.told[item].append((seq, fate, self.attempts[item] + 1))
        self.remember()
        start = self.session.spool.size

        outcomes = [Outcome(self.fate[item], '{"type":"E"}', self.attempts[item]) for item in items]
        self.journal.note(Settle(seq, self.sent[seq], Reply(outcomes, {}), 1))
        self.journal.write()
        self.places[seq] = (start, self.session.spool.size)

    @precondition(lambda self: self.open)
    @rule(left=st.booleans(), data=st.data())
    def lose(self, left: bool, data: st.DataObject) -> None:
        """A send brings nothing: its try is used up, unless it never left."""
        seq = data.draw(st.sampled_from(sorted(self.open)))
        before = self.open.pop(seq)
        lost = Lost(LossKind.LOST, "ServerError", "gone")
        self.journal.note(Lose(seq, lost, 1) if left else Unsend(seq))
        self.journal.write()
        if not left:
            self.tries.update(before)

    @rule()
    def take_over_too_early(self) -> None:
        """While a runner is at work no other can begin."""
        with pytest.raises(RunError, match="another runner"):
            self._session()

    @rule(cut=st.booleans(), unwritten=st.booleans(), seed=st.integers(0, 99))
    def take_over(self, cut: bool, unwritten: bool, seed: int) -> None:
        """The runner is killed, or the power fails: what it kept is there, what it only noted may not be."""
        if unwritten and self.open:
            seq = min(self.open)
            outcomes = [Outcome(Fate.OK, "1", 1)] * len(self.sent[seq])
            self.journal.note(Settle(seq, self.sent[seq], Reply(outcomes, {}), 1))
        self.open.clear()
        self._restart(Random(seed) if cut else None)

    @precondition(lambda self: set(self.places) - self.altered)
    @rule(data=st.data())
    def alter(self, data: st.DataObject) -> None:
        """A byte of the spool is another: the outcomes of that call are forgotten, its attempts are not."""
        seq = data.draw(st.sampled_from(sorted(set(self.places) - self.altered)))
        start, end = self.places[seq]
        self.disk.logs["spool"].data[data.draw(st.integers(start, end - 1))] ^= 1
        self.altered.add(seq)
        self.remember()
        self.open.clear()
        self._restart(None)

    def remember(self) -> None:
        """What is known of each item: what its last undamaged call told, and attempts by the ledger."""
        for item, calls in self.told.items():
            fate, attempts = 0, 0
            for seq, told, made in calls:
                if seq not in self.altered:
                    fate, attempts = told, made
                elif told == Fate.AGAIN:
                    fate, attempts = 0, made
            self.fate[item], self.attempts[item] = fate, attempts

    @invariant()
    def the_code_says_the_same(self) -> None:
        """Slots and counts are those of the model."""
        for item in ITEMS:
            slot = self.session.slots.get(item)
            assert slot.fate == self.fate[item] and slot.tries <= self.tries[item]
            assert slot.fate != Fate.AGAIN or slot.attempts == self.attempts[item]
        fates = list(self.fate.values())
        assert self.session.slots.count()[:2] == (fates.count(Fate.OK), fates.count(Fate.FAILED))

    # How it is done to the code

    def _session(self) -> Session:
        about = Description("nlp/S/1.0.0", "batch", "sha256:0", 300, 10**7, 1, 9, None)
        host = MemoryHost(lambda *_: b"", description=about)
        items = Selected(MemorySource(list(ITEMS)), Selection())
        return Session(self.disk, items, host, Options(run="r1")).__enter__()

    def _begin(self) -> None:
        session, self.sent, self.seq = self.session, {}, self.session._next_seq
        self.journal = LedgerJournal(session.ledger, session.spool, session.slots, lambda: 1.6e9)

    def _restart(self, power: Random | None) -> None:
        self.session.__exit__()
        for log in self.disk.logs.values() if power else ():
            log.lose_power(power)
        self.session = self._session()
        self._begin()
        entries = {entry.index: entry for entry in self.session._entries()} if self.session.resumed else {}
        for item in ITEMS:  # a resumed run sends exactly what is open, and never with a try that was used
            assert (item in entries) == (self.fate[item] not in (Fate.OK, Fate.FAILED))
            if item in entries:
                assert entries[item].tries >= self.tries[item]
                assert entries[item].attempts == self.attempts[item]
                self.tries[item] = entries[item].tries


TestRun = RunMachine.TestCase
TestRun.settings = QUICK
