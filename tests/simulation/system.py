"""One run under one seed: runner, wrapper, target, datastore and platform in the world, and its history.

What is real: session, delivery, call threads, scheduler, ledger, spool, output, the reading of answers, and
the whole generated wrapper. What is simulated is what they are handed: disk, threads, time, and the network.
"""

from __future__ import annotations

import json
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from types import SimpleNamespace

from _pytest.monkeypatch import MonkeyPatch
from greenlet import GreenletExit, getcurrent

from simulation.disk import SimOs
from simulation.faults import NONE, Faults, lose_power
from simulation.network import Network, result_of
from simulation.world import Process, World
from simulation.wrappers import assembled, load
from wrapgen import files
from wrapgen.errors import NotFound, RunError
from wrapgen.records import objects, sql
from wrapgen.records.collected import Collected
from wrapgen.run.finish import run_to_files
from wrapgen.run.history import FINAL, RESULT, RETRYABLE, Event, History, Kind, LedgerHistory, event_of
from wrapgen.run.hosts import call_threads
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger import folder
from wrapgen.run.ledger.folder import Folder, errors_for, folder_for
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import indexes_of, rebuild
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.settings import World as Effects
from wrapgen.run.summary import EndState

REFERENCE = "acme/W/1.0.0"
CALM_AFTER = 6
"""Sessions after which faults cease; the next one has to finish the run."""


class System(Network):
    """Everything of one seed."""

    KINDS = ("both", "both", "serial", "lists", "batch", "sql", "endpoint", "endpoint lists")

    def __init__(
        self, seed: int, place: Path, faults: Faults | None = None, items: int | None = None
    ) -> None:
        self.world = world = World(seed)
        random = world.random
        chosen = Faults.chosen(random)
        self.faults = self.planned = faults or chosen
        self.kind = random.choice(self.KINDS)
        made = random.choice((1, 2, 3, 5, 8, 20))
        self.count = items or made
        self.named = random.random() < 0.1
        self.options = {
            "run": "r1",
            "workers": random.choice((1, 2, 3, 5)),
            "chunk": random.choice((1, 2, 4, 16)),
            "patience": random.choice((20.0, 120.0)),
            "timeout": random.choice((None, None, 8.0, 40.0)),
            "budget": 1.0,
            "attempts": random.choice((None, None, 1, 2)),
        }
        self.poison = {n for n in range(self.count) if random.random() < self.faults.target_poison}
        (place / "runs").mkdir()
        self.output = place / "runs" / "out.jsonl"
        self.disk = RunFolder(folder_for(self.output))
        self.os = SimOs(self._effect, self._done)
        self.objects: dict[str, bytes] = {}
        self.events: list[Event] = []
        self.pending: list[tuple[int, Process, Event, bytes]] = []
        self.sends: dict[tuple[tuple[int, ...], int], int] = {}
        self.of_ledger: dict[int, tuple[tuple[int, ...], int]] = {}
        self.violations: list[str] = []
        self.summary = None
        self.sessions = 0
        self.key_is_valid = True
        self.module = load(self.kind)
        self.database = f"sqlite:///{place / 'records.db'}"
        self.wrapper = assembled(self.module, world, self)
        self.records = self.kind != "batch"

    def chance(self, name: str) -> bool:
        """Whether a fault happens now."""
        share = getattr(self.faults, name)
        return share > 0 and self.world.random.random() < share

    # The disk

    def _effect(self, what: str, size: int) -> int:
        process = getcurrent().process
        if process.dead:
            raise GreenletExit
        done = size
        if self.chance("full_disk"):
            done = self.world.random.randrange(size)
        if self.chance("kill") and self.world.random.random() < 0.125:
            self._die(process, what)
        return done

    def _die(self, process: Process, where: str) -> None:
        self.world.note(process.name, f"killed at {where}")
        self.world.kill(process)

    def _done(self, what: str, name: str, size: int, data: bytes) -> None:
        """What an effect on a log means for the history."""
        process = getcurrent().process
        if what == "append" and any(owner is process for _, owner, _, _ in self.pending):
            self._confirm()  # it went on, so they ought to be synced
        if name != "ledger.jsonl":
            return
        if what == "append":
            self._appended(process, size - len(data), data)
        elif what == "sync":
            self._confirm()
        else:  # what was cut off never was
            self.pending = [one for one in self.pending if one[0] <= size]

    def _appended(self, process: Process, end: int, data: bytes) -> None:
        for line in data.splitlines(keepends=True):
            entry, end = json.loads(line), end + len(line)
            if entry["e"] == "send":
                self.of_ledger[entry["s"]] = tuple(indexes_of(entry)), entry["t"]
            if entry["e"] not in ("send", "unsent"):
                event = event_of(entry, lambda send: self.of_ledger[send][0])
                if event is not None:
                    send = self.sends.get(self.of_ledger.get(event.send, ((), 0)), -1)
                    self.pending.append((end, process, event._replace(send=send), line))
                    self.world.note("ledger", f"{event.kind.value} {list(event.items)} {list(event.ranks)}")

    def _confirm(self) -> None:
        """What was appended before counts, once it was synced or the runner went on as if it had been."""
        self.events += [event for _, _, event, _ in self.pending]
        self.pending.clear()

    def _recover(self) -> None:
        """After a kill what is whole in the ledger counts once it is synced; a power cut may take it away."""
        kept = self.disk.ledger.read_bytes() if self.pending and self.disk.has("ledger") else b""
        self.pending = [one for one in self.pending if kept[one[0] - len(one[3]) : one[0]] == one[3]]

    def _rot(self) -> None:
        """Alters a byte of the spool."""
        file, random = self.disk.path / "spool.jsonl", self.world.random
        if file.exists() and (data := bytearray(file.read_bytes())):
            at = random.randrange(len(data))
            data[at] ^= 1 << random.randrange(7)
            file.write_bytes(data)
            self.world.note("world", f"byte {at} of the spool is altered")

    # Sessions

    def state(self):
        """Where a runner finds the state of the run."""
        return self.disk

    def _runner(self, process: Process) -> None:
        source = MemorySource([{"n": n, "name": f"k{n}"} for n in range(self.count)])
        items = Selected(source, Selection(id="name" if self.named else None))
        world = self.world
        effects = Effects(
            call_threads.CallThreads,
            world.time.monotonic,
            world.time.time,
            world.random,
            lambda s: world.sleep(s) or False,
        )
        host = MemoryHost(self._call, REFERENCE)
        options = Options(**self.options)
        try:
            with Session(self.state(), items, host, options, effects) as session:
                if "the outcomes of" in session.damage and not self.planned.rot:
                    self.violations.append(f"synced outcomes are gone: {session.damage}")
                files_of = (self.output, Layout(), lambda _: None, world.time.monotonic)
                summary = run_to_files(session, *files_of)
        except (RunError, OSError) as error:
            world.note(process.name, f"ends: {error}".replace(str(self.output.parent), ""))
            process.error = error
            return
        world.note(process.name, f"ends: {summary.state.value} {summary.reason}")
        process.summary = summary
        self.summary = summary

    def run(self) -> None:
        """Sessions until the run has ended; the last ones without faults."""
        with patched(self.world, self.os):
            while self.sessions < CALM_AFTER + 3:
                self.sessions += 1
                if self.sessions > CALM_AFTER:
                    self.faults = NONE
                self.key_is_valid = True
                if self._session() in (EndState.OK, EndState.ERRORS):
                    return
        self.violations.append("the run does not end though faults have ceased")

    def _session(self):
        world, runners = self.world, []
        self.summary = None
        for number in range(1 + self.chance("two_runners")):
            process = Process(f"runner {self.sessions}.{number}")
            process.summary = process.error = None
            process.task = world.start(process, partial(self._runner, process))
            runners.append(process)
        world.run(lambda: all(process.dead or process.task.dead for process in runners))
        self._between(any(process.dead for process in runners))
        for process in runners:
            if process.error and "another runner" not in str(process.error) and self.faults is NONE:
                self.violations.append(f"a session without faults ends with {process.error}")
        return self.summary and self.summary.state

    def _between(self, killed: bool) -> None:
        """What happens while no runner is there."""
        world = self.world
        if killed and self.chance("power"):
            world.note("world", "power is cut")
            lose_power(self.disk, self.os, world.random)
        self._recover()
        if self.chance("clock_jump"):
            world.offset += world.random.choice((-86_400.0, -3.0, 7_200.0))
        if self.chance("rot"):
            self._rot()

    # The verdict

    def judge(self) -> list[str]:
        """What breaks a rule, in words."""
        if self.summary is None or self.summary.state not in (EndState.OK, EndState.ERRORS):
            return self.violations
        counts = self.summary.counts
        limit = max(self.options["attempts"] or 0, self.module.config.LIMITS["attempts"])
        history = History(self.count, limit)
        self._confirm()
        self._output()
        self.events.append(Event(Kind.END, counts={"succeeded": counts.succeeded, "failed": counts.failed}))
        for event in self.events:
            history.take(event)
        if self.records:
            self._stored(history)
        history.close(records=self.records)
        return [*self.violations, *history.violations, *self._ledger_tells(counts)]

    def _ledger_tells(self, counts) -> list[str]:
        """What the ledger alone tells of broken rules, as `wrapgen verify` reads it."""
        with closing(self.disk.open("ledger")) as log:
            header = next(read_ledger(log))
        told = LedgerHistory(History(self.count, 0), header)
        rebuild(self.disk, None, told.take)
        told.history.take(Event(Kind.END, counts={"succeeded": counts.succeeded, "failed": counts.failed}))
        return [f"by the ledger: {violation}" for violation in told.history.violations]

    def _output(self) -> None:
        lines = [json.loads(line) for line in self.output.read_bytes().splitlines()]
        if [line["index"] for line in lines] != list(range(self.count)):
            self.violations.append(f"the output has the items {[line['index'] for line in lines]}")
            return
        for line in lines:
            if "result" in line and line["result"] != result_of(line["index"]):
                self.violations.append(f"item {line['index']} has the result {line['result']}")
        ranks = [RESULT if "result" in line else FINAL for line in lines]
        if errors_for(self.output).exists() != (FINAL in ranks):
            self.violations.append("the file of failed items does not fit the output")
        self.events.append(Event(Kind.ACKNOWLEDGE, range(self.count), ranks=ranks))

    @contextmanager
    def _collected(self):
        """The records, as they are read."""
        with Collected() as collected, MonkeyPatch.context() as patch:
            if self.kind == "sql":
                with suppress(NotFound):  # nothing was recorded
                    sql.collect(self.database, collected, run="r1")
            else:
                patch.setattr(objects, "ThreadPoolExecutor", OneThread)
                objects.collect(self, "data://acme/records", collected, run="r1")
            yield collected

    def _stored(self, history: History) -> None:
        with self._collected() as collected:
            for index in range(self.count):
                found = collected.get("r1", f"k{index}" if self.named else str(index))
                if found is None:
                    continue
                error = found.get("error")
                rank = RESULT if error is None else RETRYABLE if error["retryable"] else FINAL
                if error is None and found["result"] != result_of(index):
                    self.violations.append(f"item {index} is recorded with {found['result']}")
                history.take(Event(Kind.RECORD, [index], ranks=[rank]))

    def files(self, url: str):
        """Of the datastore, for its reader."""
        return [SimpleNamespace(name=name, size=len(body)) for name, body in sorted(self.objects.items())]

    def read(self, url: str) -> bytes:
        """One object of the datastore."""
        return self.objects[url.rpartition("/")[2]]


class RunFolder(Folder):
    """The folder of a run."""

    def provisional(self):
        """A process that was killed removes nothing."""
        return nullcontext()


class OneThread:
    """In place of a pool of threads, for the reader of records."""

    def __init__(self, _: int) -> None:
        self.map = map

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        pass


@contextmanager
def patched(world: World, os: SimOs):
    """The code with the world's threads and queues, and its disk."""
    with MonkeyPatch.context() as patch:
        patch.setattr(call_threads, "threading", world.threading)
        patch.setattr(call_threads, "SimpleQueue", world.queue)
        for module in (folder, files):
            patch.setattr(module, "os", os)
        yield
