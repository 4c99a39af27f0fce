"""A wrapper in memory, its faults fixed by id and attempt, and calls without threads on their own clock."""

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from bucket_machines import FAULTS, Store

from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.call_threads import Returned
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Reopened, Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.folder import FileLog, Folder, folder_for
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options, World
from wrapgen.run.summary import Summary

DIGEST = "sha256:" + "ab" * 32


class MemoryWrapper:
    """The item protocol over a Python function.

    Args:
        target: gives an item's result.
        faults: id to what happens at each attempt: an error type (`"ServerError"`, `"InputError"`), or None.
        calls_fail: what the n-th call (from 1) raises or answers: an exception, or bytes.
        limits: of the description.

    Attributes:
        calls: the decoded input of each batch call, in order.
        attempts: calls of the target by id.
        records: outcome kind by id, each time that it is recorded: (try, "result" or error type).
    """

    def __init__(
        self,
        target: Callable[[Any], Any] = lambda item: {"seen": item},
        *,
        faults: dict[str, list[str | None]] | None = None,
        calls_fail: dict[int, Exception | bytes] | None = None,
        parallel: int = 8,
        attempts: int = 3,
        room: int | None = None,
        protocol: int = 1,
        request_bytes: int = 10_000_000,
        largest: int | None = None,
    ) -> None:
        self.target = target
        self.faults = faults or {}
        self.calls_fail = calls_fail or {}
        self.limits = {
            "timeout": 300,
            "request_bytes": request_bytes,
            "response_bytes": 10_000_000,
            "parallel": parallel,
            "batch_size": 1,
            "attempts": attempts,
            "item_timeout": 60,
        }
        self.room = room
        self.largest = largest
        self.protocol = protocol
        self.calls: list[dict[str, Any]] = []
        self.attempts: dict[str, int] = defaultdict(int)
        self.records: dict[str, list[tuple[int, str]]] = defaultdict(list)
        self.lock = threading.Lock()

    def call(self, body: bytes, timeout: float) -> bytes:
        """One call, as `Client.call_body` makes it."""
        asked = json.loads(body)
        if asked == {"$batch": []}:
            return self.answer([], {"wrapper": self.describe()})
        with self.lock:
            self.calls.append(asked)
            fault = self.calls_fail.get(len(self.calls))
            if isinstance(fault, Exception):
                raise fault
            if isinstance(fault, bytes):
                return fault
            if self.largest is not None and len(asked["$batch"]) > self.largest:
                return b'{"error":{"error_type":"TimeoutError","message":"the call timed out"}}'
            return self.batch(asked)

    def batch(self, asked: dict[str, Any]) -> bytes:
        """The answer to form 3."""
        items, index = asked["$batch"], asked["$index"]
        indexes = list(range(index, index + len(items))) if isinstance(index, int) else index
        ids = asked.get("$ids") or [str(one) for one in indexes]
        tried = len(items) if self.room is None else self.room
        results: list[Any] = []
        for position, (item, id_) in enumerate(zip(items, ids, strict=True)):
            if position >= tried:
                results.append(error("DeadlineExceeded", "not tried", 0))
                continue
            results.append(self.one(item, id_))
            outcome = results[-1]
            failed = isinstance(outcome, dict) and "$error" in outcome
            self.records[id_].append((asked["$try"], outcome["$error"]["type"] if failed else "result"))
        return self.answer(results, {"calls": min(tried, len(items)), "throttled": 0, "stopped": None})

    def one(self, item: Any, id_: str) -> Any:
        """One item: up to the limit of attempts while the fault is one that passes."""
        plan = self.faults.get(id_, [])
        made = 0
        while True:
            at = self.attempts[id_]
            if isinstance(item, dict) and "$error" in item:
                return {"$error": {"attempts": 0, **item["$error"]}}
            self.attempts[id_] += 1
            made += 1
            kind = plan[min(at, len(plan) - 1)] if plan else None
            if kind is None:
                return self.target(item)
            if kind in ("InputError", "AlgorithmError") or made >= 2:
                return error(kind, f"as planned for {id_}", made)

    def answer(self, results: list[Any], summary: dict[str, Any]) -> bytes:
        """The platform's envelope."""
        result = {"$results": results, "$summary": {"items": len(results), **summary}}
        return json.dumps({"result": result, "metadata": {"content_type": "json", "duration": 0.1}}).encode()

    def describe(self) -> dict[str, Any]:
        """What `$batch: []` says."""
        return {
            "protocol": self.protocol,
            "mode": "both",
            "spec": DIGEST,
            "target": "nlp/SentimentAnalysis/1.0.5",
            "limits": self.limits,
            "datastore": {"url": "data://acme/sentiment"},
        }


def error(kind: str, message: str, attempts: int) -> dict[str, Any]:
    """A failed item on the wire."""
    retryable = kind in (
        "ServerError",
        "TimeoutError",
        "TooManyRequests",
        "ConnectionError",
        "DeadlineExceeded",
    )
    return {"$error": {"type": kind, "message": message, "retryable": retryable, "attempts": attempts}}


class Clock:
    """A clock that moves only when somebody waits."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class FakeCalls:
    """Calls without threads, made when they are waited for, in order; waiting moves the clock."""

    prefetch = 0

    def __init__(self, process: Callable[..., Any], clock: Clock) -> None:
        self.process = process
        self.clock = clock
        self.open: list[tuple[int, Any]] = []
        self.most = 0
        self.waited: list[float] = []

    def submit(self, seq: int, chunk: Any) -> None:
        self.open.append((seq, chunk))
        self.most = max(self.most, len(self.open))

    def wait(self, seconds: float | None) -> list[Returned]:
        if not self.open:
            assert seconds is not None, "nothing is open and nobody will ever come back"
            self.clock.now += seconds
            self.waited.append(seconds)
            return []
        self.clock.now += 0.01
        seq, chunk = self.open.pop(0)
        return [Returned(seq, self.process(chunk))]

    def allow(self, most: int) -> None:
        pass

    def wake(self) -> None:
        pass

    def close(self) -> None:
        pass


class FaultyFolder(Folder):
    """The files of a run, whose writes and syncs a test makes, and lets fail."""

    def __init__(self, path: Path, disk: Any) -> None:
        super().__init__(path)
        object.__setattr__(self, "disk", disk)

    def open(self, log: str, *, write: bool = False) -> Any:
        """A log whose writes and syncs are the disk's."""
        disk = self.disk

        class Log(FileLog):
            def append(self, data: bytes) -> int:
                offset = self.size
                disk.write(self, data)
                return offset

            def sync(self) -> None:
                disk.sync(self)

        return Log(self._file(log), write=write)


class Bench:
    """Runs inputs through a memory wrapper into a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.calls: FakeCalls | None = None
        self.output = folder / "out.jsonl"

    def world(self) -> World:
        def calls(process: Callable[..., Any]) -> FakeCalls:
            self.calls = FakeCalls(process, self.clock)
            return self.calls

        def wait(seconds: float) -> bool:
            self.clock.now += seconds
            return False

        wall = lambda: 1_600_000_000 + self.clock.now  # noqa: E731
        return World(calls, self.clock, wall, Random(7), wait)

    def run(
        self,
        wrapper: MemoryWrapper,
        values: list[Any],
        *,
        disk: Any = None,
        source: Any = None,
        reference: str = "acme/SentimentBatch/1.0.0",
        sideband: Any = None,
        address: str = "",
        layout: Layout = Layout(),  # noqa: B008
        selection: Selection = Selection(),  # noqa: B008
        reopen: bool = False,
        output: Path | None = None,
        report: Path | None = None,
        **options: Any,
    ) -> Summary:
        """One session to its end."""
        if not reopen:
            options.setdefault("run", "r1")
        host = MemoryHost(wrapper.call, reference, sideband=sideband, address=address)
        source = source or MemorySource(values)
        items = Reopened(source) if reopen else Selected(source, selection)
        output = output or self.output
        with Session(
            FaultyFolder(folder_for(output), disk) if disk else Folder(folder_for(output)),
            items,
            host,
            Options(**options),
            self.world(),
        ) as session:
            return run_to_files(session, output, layout, lambda _: None, self.clock, report)

    def lines(self) -> list[Any]:
        """The output, decoded."""
        return [json.loads(line) for line in self.output.read_bytes().splitlines()]

    def ledger(self) -> list[Any]:
        """The ledger, decoded, without its digests."""
        return list(read_ledger(FileLog(self.folder / "out.jsonl.run/ledger.jsonl")))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """An empty folder to run in."""
    return Bench(tmp_path)


@pytest.fixture
def memory_wrapper() -> type[MemoryWrapper]:
    """The class of wrappers in memory."""
    return MemoryWrapper


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A bucket, machines that share it, and a wrapper that fails some of their items."""
    return Store(tmp_path, MemoryWrapper(faults=FAULTS))
