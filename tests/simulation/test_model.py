"""The model of a run: what ledger, spool, records, settling and takeover promise, as a small state machine.

Each rule is first done to the model, a few dictionaries, and then to the code; Hypothesis looks for an order
of them in which the two differ. The model is the specification: read it for what is meant.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from recorded import URL, Killed, Memory

from simulation.system import RunFolder, SimOs, lose_power, patched
from simulation.world import World
from wrapgen.errors import RunError
from wrapgen.records import collected, objects, settle
from wrapgen.run.hosts import description, memory
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.journal import LedgerJournal
from wrapgen.run.scheduling import actions, chunks
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Outcome, Reply
from wrapgen.run.session import Session
from wrapgen.run.settings import Options

ITEMS = range(6)
OK, FAILED, AGAIN, NONE = Fate.OK, Fate.FAILED, Fate.AGAIN, 0
CHOSEN = st.lists(st.sampled_from(ITEMS), min_size=1, max_size=4, unique=True).map(sorted)
FATES = st.lists(st.sampled_from([OK, FAILED, AGAIN]), min_size=4, max_size=4)
OUTCOMES = {OK: {"result": 1}, **{fate: {"error": {"retryable": fate == AGAIN}} for fate in (FAILED, AGAIN)}}
RANKS = [AGAIN, FAILED, OK]  # of records: a result beats a final error, which beats one that may pass


class RunMachine(RuleBasedStateMachine):
    """A run: of each item its fate, attempts and tries, and its best record; and the sends that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.fate, self.attempts, self.tries = (dict.fromkeys(ITEMS, NONE) for _ in range(3))
        self.open: dict[int, dict[int, int]] = {}  # by number of the send: its items, and their tries before
        self.told: dict[int, list] = {item: [] for item in ITEMS}  # send, fate and attempts of each answer
        self.altered: set[int] = set()  # sends whose outcomes in the spool are damaged
        self.best: dict[int, tuple[int, int]] = {}  # rank and try of a record
        self.stack, self.records, self.places = ExitStack(), Memory(), {}
        self.disk = RunFolder(Path(self.stack.enter_context(TemporaryDirectory())))
        self.os = SimOs(lambda _, size: size, lambda *_: None)
        self.stack.enter_context(patched(World(0), self.os))
        self.go_on()

    @rule(items=CHOSEN)
    def send(self, items: list[int]) -> None:
        """Items that have no final outcome and are not under way leave, under a try that none of them had."""
        busy = {item for sent in self.open.values() for item in sent}
        items = [item for item in items if self.fate[item] not in (OK, FAILED) and item not in busy]
        if not items:
            return
        tries = max(self.tries[item] for item in items) + 1
        self.open[self.seq] = {item: self.tries[item] for item in items}
        self.tries.update(dict.fromkeys(items, tries))
        entries = [chunks.Entry(item, b"%d" % item, None, self.attempts[item], tries - 1) for item in items]
        self.sent[self.seq] = chunks.gather(entries)
        self.journal.sending([actions.Send(self.seq, self.sent[self.seq])])
        self.seq += 1

    @precondition(lambda self: self.open)
    @rule(fates=FATES, data=st.data())
    def answer(self, fates: list[Fate], data: st.DataObject) -> None:
        """A send comes back: each of its items is recorded, has an outcome, and one attempt more."""
        seq = data.draw(st.sampled_from(sorted(self.open)))
        self.record(seq, fates)
        items = list(self.open.pop(seq))
        for item, fate in zip(items, fates, strict=False):
            self.told[item].append((seq, fate, self.attempts[item] + 1))
        self.remember()
        start = self.session.spool.size
        self.note(seq, [Outcome(self.fate[item], '{"type":"E"}', self.attempts[item]) for item in items])
        self.journal.write()
        self.places[seq] = start, self.session.spool.size - 1

    @precondition(lambda self: self.open)
    @rule(left=st.booleans(), fates=FATES, data=st.data())
    def lose(self, left: bool, fates: list[Fate], data: st.DataObject) -> None:
        """A send brings nothing: its try is used up, and perhaps recorded, unless it never left."""
        seq = data.draw(st.sampled_from(sorted(self.open)))
        if left:
            self.record(seq, fates)
        before = self.open.pop(seq)
        if not left:
            self.tries.update(before)
        lost = actions.Lose(seq, Lost(LossKind.LOST, "ServerError", "gone"), 1)
        self.journal.note(lost if left else actions.Unsend(seq))
        self.journal.write()

    @rule()
    def take_over_too_early(self) -> None:
        """While a runner is at work no other can begin."""
        with pytest.raises(RunError, match="another runner"):
            self.opened()

    @rule(seed=st.none() | st.integers(0, 99), unwritten=st.booleans())
    def take_over(self, seed: int | None, unwritten: bool) -> None:
        """The runner is killed, or the power fails: what it kept is there. The next sends what is open."""
        if unwritten and self.open:
            seq = min(self.open)
            self.note(seq, [Outcome(OK, "1", 1)] * len(self.open[seq]))
        self.restart(seed)

    @precondition(lambda self: set(self.places) - self.altered)
    @rule(data=st.data())
    def alter(self, data: st.DataObject) -> None:
        """A byte of the spool is another: the outcomes of that send are forgotten, its attempts are not."""
        seq = data.draw(st.sampled_from(sorted(set(self.places) - self.altered)))
        self.altered.add(seq)
        self.remember()
        spool = bytearray((self.disk.path / "spool.jsonl").read_bytes())
        spool[data.draw(st.integers(*self.places[seq]))] ^= 1
        (self.disk.path / "spool.jsonl").write_bytes(spool)
        self.restart(None)

    @precondition(lambda self: self.best)
    @rule(effects=st.integers(0, 8))
    def settle_records(self, effects: int) -> None:
        """Settling, perhaps killed after some effects, changes nothing that a reader sees."""
        self.records.steps = effects
        with suppress(Killed):
            settle.settle(self.records, URL, "r1")
        self.records.steps = None

    def remember(self) -> None:
        """What is known of each item: what its last undamaged answer told, and attempts by the ledger."""
        for item, answers in self.told.items():
            self.fate[item], self.attempts[item] = NONE, 0
            for seq, fate, made in answers:
                if seq not in self.altered:
                    self.fate[item], self.attempts[item] = fate, made
                elif fate == AGAIN:
                    self.fate[item], self.attempts[item] = NONE, made

    @invariant()
    def the_code_says_the_same(self) -> None:
        """Slots and counts are those of the model, and each key is read once, with its best record."""
        for item in ITEMS:
            slot = self.session.slots.get(item)
            assert slot.fate == self.fate[item] and slot.tries <= self.tries[item]
            assert slot.fate != AGAIN or slot.attempts == self.attempts[item]
        assert self.session.slots.count()[0] == list(self.fate.values()).count(OK)
        with collected.Collected() as read:
            objects.collect(self.records, URL, read, run="r1")
            assert read.tally().keys == len(self.best)
            for item, (rank, tries) in self.best.items():
                assert read.get("r1", str(item)).items() >= {"try": tries, **OUTCOMES[RANKS[rank]]}.items()

    def teardown(self) -> None:
        self.session.__exit__()
        self.stack.close()

    def opened(self) -> Session:
        about = description.Description("nlp/S/1.0.0", "batch", "sha256:0", 300, 10**7, 1, 9, None)
        host = memory.MemoryHost(lambda *_: b"", description=about)
        items = Selected(MemorySource(list(ITEMS)), Selection())
        return Session(self.disk, items, host, Options(run="r1")).__enter__()

    def go_on(self) -> None:
        self.session = session = self.opened()
        self.sent, self.seq = {}, session._next_seq
        self.journal = LedgerJournal(session.ledger, session.spool, session.slots, lambda: 1.6e9)

    def note(self, seq: int, outcomes: list[Outcome]) -> None:
        self.journal.note(actions.Settle(seq, self.sent[seq], Reply(outcomes, {}), 1))

    def record(self, seq: int, fates: list[Fate]) -> None:
        records = []
        for item, fate in zip(self.open[seq], fates, strict=False):
            tries = self.tries[item]
            self.best[item] = max(self.best.get(item, (-1, 0)), (RANKS.index(fate), tries))
            records.append({"run": "r1", "id": str(item), "index": item, "try": tries, **OUTCOMES[fate]})
        self.records.add(f"r1-{min(self.open[seq]):012d}-{seq:012x}-t{tries}-p1.jsonl", *records)

    def restart(self, seed: int | None) -> None:
        self.open.clear()
        self.session.__exit__()
        if seed is not None:
            lose_power(self.disk, self.os, Random(seed))
        self.go_on()
        entries = {entry.index: entry for entry in self.session._entries()}
        assert set(entries) == {item for item in ITEMS if self.fate[item] not in (OK, FAILED)}
        for item, entry in entries.items():
            assert entry.tries >= self.tries[item] and entry.attempts == self.attempts[item]
            self.tries[item] = entry.tries


TestRun = RunMachine.TestCase
TestRun.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)
