"""Machines that share the state of a run in a bucket of this process, which fails as a test says."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from evidence import Evidence
from fsspec.implementations.memory import MemoryFileSystem

from wrapgen.run.bucket import Bucket
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.bucket_folder import BucketFolder
from wrapgen.run.ledger.bucket_log import NumberedObjects
from wrapgen.run.ledger.folder import report_beside
from wrapgen.run.output.destination import Destination
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options, World

FAULTS = {"5": ["ServerError", "ServerError", None], "17": ["InputError"], "33": ["TimeoutError", None]}
VALUES = [{"document": f"text {n} é"} for n in range(90)]


class Killed(BaseException):
    """In place of SIGKILL: nothing after it runs."""


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
