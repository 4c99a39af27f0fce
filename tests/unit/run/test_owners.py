"""The state of a run in a bucket: one owner at a time, whatever the bucket, the clocks and the owners do."""

from __future__ import annotations

import json
import threading
import time
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest
from evidence import Evidence
from fsspec.implementations.memory import MemoryFileSystem

from wrapgen.errors import RunError, TakenOver
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.bucket import BucketFolder
from wrapgen.run.ledger.folder import report_beside
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.objects import NumberedObjects
from wrapgen.run.ledger.store import LEDGER, SPOOL
from wrapgen.run.output.destination import Destination
from wrapgen.run.output.layouts import Layout
from wrapgen.run.remote import Bucket
from wrapgen.run.session import Session
from wrapgen.run.settings import Options, World
from wrapgen.run.summary import EndState

FAULTS = {"5": ["ServerError", "ServerError", None], "17": ["InputError"], "33": ["TimeoutError", None]}
VALUES = [{"document": f"text {n} é"} for n in range(90)]


class Killed(BaseException):
    """Stands for SIGKILL: nothing after it runs."""


class Store:
    """What the machines of a test share: the objects, the records, and who calls.

    Attributes:
        wrapper: executes the items for all of them.
    """

    def __init__(self, folder: Path, wrapper) -> None:
        MemoryFileSystem.store.clear()
        self.folder, self.wrapper, self.machines = folder, wrapper, 0

    def machine(self, faults=lambda what, name: None, **settings) -> BucketFolder:
        """The state as one more machine has it."""
        self.machines += 1
        here = self.folder / f"machine{self.machines}"
        here.mkdir()
        bucket = FaultyBucket(faults)
        return BucketFolder(
            here, NumberedObjects(bucket, here, **{"lease": 0.4, "patience": 20.0, **settings})
        )

    def run(
        self, state: BucketFolder, world: World | None = None, place: Destination | None = None, **options
    ):
        """A session on that machine; with a place for its files it makes all of them."""
        items = Selected(MemorySource(VALUES), Selection())
        host = MemoryHost(self.wrapper.call)
        given = Options(run="r", **{"workers": 3, "chunk": 16, "attempts": 9, **options})
        with Session(state, items, host, given, world) as session:
            output = state.path / "out.jsonl"
            report = report_beside(output) if place else None
            watch, clock = (lambda _: None), time.monotonic
            return run_to_files(session, output, Layout(), watch, clock, report, place)

    def broken(self, output: Path | None = None) -> list[str]:
        """The rules of histories that the run broke, by what is in the bucket and in the datastore."""
        found = Evidence(len(VALUES))
        records = [
            {
                "index": int(id_),
                "try": tries,
                **({} if kind == "result" else {"error": {"retryable": kind[0] in "ST"}}),
            }
            for id_, kept in self.wrapper.records.items()
            for tries, kind in kept
        ]
        found.records(records)
        state = self.machine()
        state.objects.fetch()
        found.ledger(state)
        if output:
            found.output(output)
        return found.broken()


class FaultyBucket(Bucket):
    """A bucket in memory; what becomes of a request is asked before and after it."""

    def __init__(self, faults) -> None:
        super().__init__("memory://states/one", MemoryFileSystem())
        self.faults = faults

    def create(self, name: str, data: bytes) -> None:
        """Writes an object that is not there yet."""
        self.faults("before", name)
        super().create(name, data)
        self.faults("after", name)

    def write(self, name: str, data: bytes) -> None:
        """Writes an object."""
        self.faults("before", name)
        super().write(name, data)

    def read(self, names) -> list[bytes | None]:
        """Reads objects."""
        self.faults("read", names[0])
        return super().read(names)


@pytest.fixture
def store(tmp_path, memory_wrapper) -> Store:
    """A wrapper, some items of which fail, and a bucket."""
    return Store(tmp_path, memory_wrapper(faults=FAULTS))


def killing(at: int, moment: str):
    """Faults of a machine that dies at its n-th write, before or after it: nothing of it arrives any more."""
    left, dead = [at], []

    def faults(what: str, name: str) -> None:
        if what == moment and not dead:
            left[0] -= 1
            if not left[0]:
                dead.append(name)
        if dead and threading.current_thread() is threading.main_thread():
            raise Killed
        if dead:
            raise OSError("this machine is dead")

    return faults


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_machine_that_dies_at_any_write_is_replaced(store, bench, moment, memory_wrapper):
    """Killed at each write to the bucket in turn, a run comes to the same end on the next machine."""
    calm = store.machine()
    assert store.run(calm, bench.world()).state is EndState.ERRORS
    expected, at = (calm.path / "out.jsonl").read_bytes(), 0
    while True:
        at += 1
        again = Store(store.folder / f"{moment}{at}", memory_wrapper(faults=FAULTS))
        again.folder.mkdir()
        try:
            again.run(again.machine(killing(at, moment)), bench.world())
            break
        except Killed:
            second = again.machine(take_over=True)
            assert again.run(second, bench.world()).state is EndState.ERRORS
            assert (second.path / "out.jsonl").read_bytes() == expected
            assert not again.broken(second.path / "out.jsonl")
    assert at > 8


def test_of_two_owners_the_first_stops_and_counts_nothing(store):
    """A machine that was replaced while calls were open learns it at its next write, and says by whom."""
    reached, go_on = threading.Event(), threading.Event()
    call, calls = store.wrapper.call, []

    def gated(body: bytes, timeout: float) -> bytes:
        answer = call(body, timeout)
        calls.append(body)
        if len(calls) == 3:
            reached.set()
            assert go_on.wait(60)
        return answer

    store.wrapper.call = gated
    ends: list[BaseException] = []

    def first() -> None:
        try:
            store.run(store.machine(), workers=1)
        except RunError as error:
            ends.append(error)

    thread = threading.Thread(target=first)
    thread.start()
    assert reached.wait(60)
    second = store.machine(take_over=True)
    assert store.run(second).state is EndState.ERRORS
    go_on.set()
    thread.join(60)
    assert [type(end) for end in ends] == [TakenOver] and "was taken over by" in str(ends[0])
    assert not store.broken(second.path / "out.jsonl")
    lines = [json.loads(line) for line in (second.path / "out.jsonl").read_bytes().splitlines()]
    assert [line["index"] for line in lines] == list(range(len(VALUES)))


class Shelf(Destination):
    """A place that several machines publish at; the last one counts."""

    published: ClassVar[dict[str, Path]] = {}

    def publish(self, file: Path) -> str:
        """Notes whose file it is."""
        self.published[file.name] = file.parent
        return file.name


@pytest.mark.parametrize(
    "step",
    ["finish.write_errors", "finish.sink_for", "report.receipt.write_receipt", "report.page.write_report"],
)
def test_an_owner_that_was_replaced_while_it_wrote_a_file_publishes_nothing_more(store, monkeypatch, step):
    """What the new owner published stays, whichever file the one before was about to publish."""
    module, _, name = f"wrapgen.run.{step}".rpartition(".")
    make, others = getattr(import_module(module), name), []

    def slow(*args, **kwargs):
        made = make(*args, **kwargs)
        if not others:
            others.append(store.machine(take_over=True))
            run = store.run(others[0], place=Shelf(others[0].path / "out.jsonl", "s3://b"), fresh=True)
            assert run.state is EndState.ERRORS
        return made

    monkeypatch.setattr(f"{module}.{name}", slow)
    Shelf.published.clear()
    first = store.machine()
    with pytest.raises(TakenOver):
        store.run(first, place=Shelf(first.path / "out.jsonl", "s3://b"))
    assert len(Shelf.published) == 4 and set(Shelf.published.values()) == {others[0].path}


def test_a_living_owner_is_left_alone_and_a_silent_one_is_replaced(store):
    """Who comes second waits for signs of life by its own clock: a sign refuses it, silence lets it in."""
    silent = []

    def faults(what: str, name: str) -> None:
        if silent:
            raise OSError("no network")

    first, told = store.machine(faults, patience=0.1), []
    with first.locked():
        with pytest.raises(RunError, match=r"another runner is at work in memory://states/one \(.*, process"):
            store.machine(on_wait=told.append, lease=4).objects.claim()
        silent.append(True)
        second = store.machine()
        with suppress(RunError):  # a last sign may have been on its way
            second.objects.claim()
        second.objects.claim()
        silent.clear()
        log = first.open(SPOOL, write=True)
        log.append(b"late\n")
        with pytest.raises(TakenOver):
            log.sync()
        third = store.machine()
        third.objects.fetch()
        assert third.open(SPOOL).size == 0
        second.objects.release()
    assert "watching" in told[0]
    with store.machine().locked():  # released: nothing to wait for
        pass


def test_an_idle_owner_hears_that_it_was_replaced(store):
    """Without anything to write, an owner looks whether it still is one."""
    first = store.machine(lease=0.2)
    with first.locked():
        with store.machine(take_over=True).locked():
            pass
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                first.objects.append(SPOOL, 0, b"")
            except TakenOver:
                return
            threading.Event().wait(0.02)
    pytest.fail("it never heard")


@pytest.mark.parametrize("seed", range(6))
def test_a_bucket_that_refuses_and_forgets_its_answers_changes_nothing(store, bench, seed):
    """Writes refused, written but not answered, or late: the run comes to its end with each item once."""
    chance = Random(seed)

    def faults(what: str, name: str) -> None:
        kind = chance.random()
        if kind < 0.15:
            raise OSError(f"503 {what}")
        if kind < 0.25:
            threading.Event().wait(0.005)

    state = store.machine(faults)
    state.objects.fetch = _stubborn(state.objects.fetch)
    assert store.run(state, bench.world()).state is EndState.ERRORS
    assert not store.broken(state.path / "out.jsonl")


def _stubborn(fetch):
    """Reads until it can be read."""

    def again() -> None:
        for _ in range(50):
            with suppress(RunError):
                return fetch()
        return fetch()

    return again


def test_clocks_that_jump_change_nothing(store, bench):
    """Wall clocks that are years apart, and go backwards, decide nothing about owner, order or outcome."""
    chance = Random(3)

    def jumping() -> float:
        return chance.choice([0.0, 1.6e9, 4.0e9])

    for at in (3, 5):
        world = bench.world()
        wild = World(world.calls, world.clock, jumping, world.random, world.wait)
        with pytest.raises(Killed):
            store.run(store.machine(killing(at, "after"), take_over=True), wild)
    last = store.machine(take_over=True)
    world = bench.world()
    assert (
        store.run(last, World(world.calls, world.clock, jumping, world.random, world.wait)).state
        is EndState.ERRORS
    )
    assert not store.broken(last.path / "out.jsonl")


@pytest.mark.parametrize("refusals", [0, 2])
def test_a_bucket_without_conditional_writes_is_refused(store, refusals):
    """One that takes the same number twice would take it from two owners; a fault of it is no answer."""
    claims, state = [], store.machine()
    bucket = state.objects._bucket

    def create(name: str, data: bytes) -> None:
        claims.append(name)
        if 1 < len(claims) < 2 + refusals:
            raise OSError(503, "slow down")
        bucket.write(name, data)

    bucket.create = create
    with pytest.raises(RunError, match="ignores conditional writes"), state.locked():
        pass
    assert claims[: 2 + refusals] == ["0000000001"] * (2 + refusals)


@pytest.mark.parametrize("damage", ["removed", "altered", "other"])
def test_a_damaged_object_is_named(store, damage):
    """An object that is gone, altered or of something else is an error that names it, never a new run."""
    first = store.machine()
    with first.locked():
        log = first.open(LEDGER, write=True)
        log.append(b"{}\n")
        log.sync()
    files = MemoryFileSystem()
    name = "/states/one/0000000002"
    if damage == "removed":
        files.rm(name)
    else:
        content = files.cat(name)
        files.pipe_file(name, content[:-1] + b"x" if damage == "altered" else b'{"d": 1}')
    with pytest.raises(RunError, match="object 0000000002 of the state is missing or damaged"):
        store.machine().objects.fetch()


def test_objects_hold_what_large_logs_hold(store):
    """Bytes beyond an object's size go on in the next; what is cut off is cut off for the next owner too."""
    first, large = store.machine(), b"x" * 9_000_000
    with first.locked():
        log = first.open(SPOOL, write=True)
        log.append(large)
        log.append(b"end\n")
        log.sync()
        log.cut(len(large) - 1)
        log.append(b"new")
    second = store.machine()
    second.objects.fetch()
    assert second.open(SPOOL).read(0, 10_000_000) == large[:-1] + b"new"
    first = store.machine()
    with first.locked():
        first.clear()
    third = store.machine()
    third.objects.fetch()
    assert third.open(SPOOL).size == 0 and not third.has(LEDGER)


def test_a_session_more_is_noted_by_each_owner(store, bench):
    """The ledger that the last owner reads has the sessions of all, and tries only rise."""
    with pytest.raises(Killed):
        store.run(store.machine(killing(4, "after")), bench.world())
    last = store.machine(take_over=True)
    store.run(last, bench.world())
    kinds = [entry["e"] for entry in read_ledger(last.open(LEDGER))]
    assert kinds.count("open") == 2 and kinds[-1] == "end"
