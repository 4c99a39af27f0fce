"""A run whose state is in a bucket, under one seed: every runner is another machine with its own copy."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace
from uuid import UUID

from _pytest.monkeypatch import MonkeyPatch
from greenlet import GreenletExit, getcurrent

from simulation.faults import Faults
from simulation.system import System
from simulation.world import Process, World
from wrapgen.run.history import Event, Kind
from wrapgen.run.ledger import bucket_log
from wrapgen.run.ledger.bucket_folder import BucketFolder
from wrapgen.run.ledger.replay import indexes_of


class SimBucket:
    """Objects that a runner reaches through a network: a write may be lost, or only its answer."""

    name = "s3://simulated/run"

    def __init__(self, system: BucketSystem) -> None:
        self._system = system

    def create(self, name: str, data: bytes) -> None:
        """See `Bucket`: an object that is not there yet, whole."""
        self._reach(f"create {name}")
        content = self._system.bucket
        if name in content:
            raise FileExistsError(name)
        lost = self._system.chance("store_lost")
        if not lost or self._system.world.random.random() < 0.5:
            content[name] = data
            self._system.kept(data)
            self._reach(f"answer of {name}", quick=True)
        if lost:
            raise OSError("connection reset")

    def write(self, name: str, data: bytes) -> None:
        """See `Bucket`."""
        self._reach(f"write {name}")
        self._system.bucket[name] = data

    def read(self, names) -> list[bytes | None]:
        """See `Bucket`."""
        self._reach("read")
        return [self._system.bucket.get(name) for name in names]

    def names(self) -> list[str]:
        """See `Bucket`."""
        self._reach("list")
        return sorted(self._system.bucket)

    def _reach(self, what: str, *, quick: bool = False) -> None:
        """A request, at which its process may be killed."""
        system = self._system
        if getcurrent().process.dead:
            raise GreenletExit
        if system.chance("kill") and system.world.random.random() < 0.125:
            system._die(getcurrent().process, what)
        if quick:
            return
        system.lasts()
        if system.chance("store_status"):
            raise OSError("503 Slow Down")


class BucketSystem(System):
    """Runners on different machines on one run, of which the last that took it over owns it."""

    def __init__(self, seed: int, place, faults: Faults | None = None, items: int | None = None) -> None:
        super().__init__(seed, place, faults, items)
        self._place, self._machines = place, 0
        self._counted: list[tuple[int, Event]] = []  # of the ledger, with where its entry ends
        self._noted: dict[tuple[tuple[int, ...], int], Event | None] = {}  # sends, under which owner
        self.bucket: dict[str, bytes] = {}

    def state(self) -> BucketFolder:
        """The state of the run as a new machine has it: a copy that is made from the bucket."""
        self._machines += 1
        folder = self._place / f"machine{self._machines}"
        folder.mkdir()
        take_over = self._machines > 1 and self.world.random.random() < 0.3
        found = bucket_log.NumberedObjects(SimBucket(self), folder, take_over=take_over, patience=30.0)
        found.fetch()
        return CopiedState(folder, found)

    def kept(self, data: bytes) -> None:
        """Notes what of the ledger is kept from now on."""
        head, _, body = data.partition(b"\n")
        at = 0
        for log, offset, length in json.loads(head)["parts"]:
            if log == "ledger":
                self._cut(offset)
                self._appended(getcurrent().process, offset, body[at : at + length])
                self._counted += [(end, event) for end, _, event, _ in self.pending]
                self._confirm()
                self._note(body[at : at + length])
            at += length

    def _note(self, lines: bytes) -> None:
        """Notes which owner's each send is."""
        for entry in map(json.loads, lines.splitlines()):
            if entry["e"] == "send":
                self._noted[tuple(indexes_of(entry)), entry["t"]] = self._opened()

    def _opened(self) -> Event | None:
        """The latest takeover."""
        return next((one for one in reversed(self.events) if one.kind is Kind.OPEN), None)

    def _leaves(self, asked, indexes: list[int]) -> None:
        """A send that the bucket had before another owner came was open then, though it leaves later."""
        try:
            super()._leaves(asked, indexes)
        finally:
            owner, sent = self._noted.get((tuple(indexes), asked["$try"])), self.events[-1]
            if owner is not self._opened() and sent.kind is Kind.SEND and sent.items is indexes:
                places = [at for at, one in enumerate(self.events) if one.kind is Kind.OPEN]
                owners = [at for at in places if self.events[at] is owner]
                if owners and owners[0] != places[-1]:
                    self.events.insert(places[places.index(owners[0]) + 1], self.events.pop())

    def _cut(self, size: int) -> None:
        """Entries that were kept though their runner was told that they can't be: it takes them back."""
        for end, event in self._counted:
            if end > size:
                self.events = [one for one in self.events if one is not event]
        self._counted = [one for one in self._counted if one[0] <= size]

    def _done(self, what: str, name: str, size: int, data: bytes) -> None:
        """What a machine has on its own disk means nothing."""

    def _between(self, killed: bool) -> None:
        """Machines of sessions before are gone; what they had on their disks too."""
        if self.chance("clock_jump"):
            self.world.offset += self.world.random.choice((-86_400.0, -3.0, 7_200.0))

    def _session(self):
        with patched_objects(self):
            return super()._session()

    def judge(self) -> list[str]:
        """As of other runs, from a copy of the state that is made at the end."""
        self.faults = Faults()
        with patched_objects(self):
            task = self.world.start(Process("the end"), self._copy)
            self.world.run(lambda: task.dead)
        return super().judge()

    def _copy(self) -> None:
        self.disk = self.state()


class CopiedState(BucketFolder):
    """The state as one machine has it; one that was killed removes nothing."""

    @contextmanager
    def provisional(self):
        """See `StateStore`."""
        yield


@contextmanager
def patched_objects(system: BucketSystem):
    """The objects of the state with the world's threads, time and chance; no process knows another's end."""
    world: World = system.world
    with MonkeyPatch.context() as patch:
        patch.setattr(bucket_log, "threading", world.threading)
        patch.setattr(bucket_log, "time", world.time)
        patch.setattr(bucket_log, "random", world.random.random)
        patch.setattr(bucket_log, "uuid4", lambda: UUID(int=world.random.getrandbits(128)))
        patch.setattr(bucket_log, "_is_dead", lambda _: False)
        patch.setattr(bucket_log, "_GATHER", 1.0)
        patch.setattr(bucket_log, "os", SimpleNamespace(**{**vars(bucket_log.os), "getpid": lambda: 1}))
        yield
