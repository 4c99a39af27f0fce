"""One session of a run, from its folder to its output: opens or resumes, runs, writes what there is to write.

Finds nothing by itself: source, wrapper and call are passed in. Says nothing: that is for `cli`.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from random import Random
from typing import Any

from wrapgen.errors import RunError, UsageError
from wrapgen.run.budget import SHARE, Budget
from wrapgen.run.chunks import MAX_SIZE, Size
from wrapgen.run.concurrency import Concurrency, ceiling
from wrapgen.run.connectors.base import Source
from wrapgen.run.items import Selection, entries
from wrapgen.run.lanes import Lanes, ThreadLanes
from wrapgen.run.layouts import LAYOUTS
from wrapgen.run.ledger import Disk, Ledger, RealDisk, read_ledger
from wrapgen.run.output import outcomes, whole, write_errors
from wrapgen.run.process import Call, Sideband, Terms, process_chunk
from wrapgen.run.resume import FORMAT, Standing, rebuild, unfinished
from wrapgen.run.runner import PATIENCE, Effects, Limits, Runner
from wrapgen.run.spool import Slots, Spool
from wrapgen.run.summary import Counts, EndState, Progress, Summary
from wrapgen.run.wrappers import Description
from wrapgen.wire import CHUNK_AIM, MAX_TIMEOUT, RUN_ID

TELL = 30.0
"""Seconds that a wrapper's own limit leaves below the platform's."""


@dataclass(frozen=True)
class Options:
    """What a user may say of a run beside its input and wrapper.

    Args:
        selection: what of a row is the item.
        layout: name of the output's layout.
        run: the run's id; None makes one.
        timeout: seconds asked of the platform for each call; None: the wrapper's own limit and 30 s.
        workers: the most calls to keep open; None: what the account's limit allows.
        chunk: the most items in a call.
        attempts: calls of the target for one item; None: the wrapper's own limit.
        budget: the share of items that may fail; 1 never stops.
        patience: seconds to wait for a platform that is down.
        fresh: throw an earlier ledger of this output away.
        accept_changes: go on although input, wrapper or options changed.
    """

    selection: Selection = field(default_factory=Selection)
    layout: str = "keyed"
    run: str | None = None
    timeout: float | None = None
    workers: int | None = None
    chunk: int = MAX_SIZE
    attempts: int | None = None
    budget: float = SHARE
    patience: float = PATIENCE
    fresh: bool = False
    accept_changes: bool = False


@dataclass(frozen=True)
class World:
    """Effects, time and chance of a session; tests pass their own.

    Args:
        disk: writes and syncs of ledger and spool.
        lanes: makes the lanes for a function that processes one chunk.
        clock: seconds that only go forward.
        wall: seconds since 1970.
        random: the source of chance.
    """

    disk: Disk = field(default_factory=RealDisk)
    lanes: Callable[[Callable[..., Any]], Lanes] = ThreadLanes
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)


@dataclass(frozen=True)
class Wrapper:
    """The wrapper of a run: exact reference, description, how to call it, and where large bodies go."""

    reference: str
    description: Description
    call: Call
    sideband: Sideband | None = None


@dataclass(frozen=True)
class Folder:
    """The folder of a run: ledger, spool, slots, and a lock so that only one runner works in it."""

    path: Path

    @property
    def ledger(self) -> Path:
        """The append-only truth."""
        return self.path / "ledger.jsonl"

    @property
    def spool(self) -> Path:
        """The outcomes."""
        return self.path / "spool.jsonl"

    @property
    def slots(self) -> Path:
        """The derived map from index to outcome."""
        return self.path / "slots.bin"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder; the lock vanishes with the process.

        Raises:
            RunError: another runner is at work in it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / "lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise RunError(
                    f"another runner is at work in {self.path} (process {holder})", hint="wait for it to end"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def clear(self) -> None:
        """Removes what an earlier run left."""
        for path in (self.ledger, self.spool, self.slots):
            path.unlink(missing_ok=True)


class Session:
    """A run that is open for work; a context manager. Two of them in one folder are not possible.

    Args:
        folder: where the ledger lives; made if it is missing.
        source: the input.
        wrapper: what to call.
        options: see Options.
        world: see World.

    Raises:
        RunError: another runner is at work, the ledger is damaged, or something changed since the run began.
    """

    def __init__(
        self, folder: Path, source: Source, wrapper: Wrapper, options: Options, world: World | None = None
    ) -> None:
        self.folder = Folder(folder)
        self._source = source
        self._wrapper = wrapper
        self._options = options
        self._world = world or World()
        self._stack = ExitStack()
        self._runner: Runner | None = None

    def __enter__(self) -> Session:
        with self._stack as stack:
            stack.enter_context(self.folder.locked())
            if self._options.fresh:
                self.folder.clear()
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self, stack: ExitStack) -> None:
        self.slots = Slots(self.folder.slots, fresh=True)
        stack.callback(self.slots.close)
        standing = None
        if self.folder.ledger.exists():
            standing = rebuild(self.folder.ledger, self.folder.spool, self.slots)
        header = self._header(standing)
        if standing is not None and not self._options.accept_changes:
            _unchanged(standing.header, header)
        self.resumed = standing is not None
        self.standing = standing or Standing(header)
        self.run_id: str = self.standing.header["run"]
        self.ledger = Ledger(self.folder.ledger, self._world.disk)
        stack.callback(self.ledger.close)
        self.spool = Spool(self.folder.spool, self._world.disk, self.standing.spool_end)
        stack.callback(self.spool.close)
        first = [] if self.resumed else [header]
        self.ledger.append([*first, {"e": "open", "at": self._now(), "pid": os.getpid()}])

    def _header(self, standing: Standing | None) -> dict[str, Any]:
        run = self._options.run or (standing.header["run"] if standing else None)
        if run is None:
            chance = self._world.random.getrandbits(32)
            run = f"{datetime.fromtimestamp(self._world.wall(), timezone.utc):%Y%m%d-%H%M%S}-{chance:08x}"
        if not RUN_ID.match(run):
            raise UsageError(f"not a run id: {run!r}", hint="1 to 64 letters, digits, - and _")
        return {
            "e": "run",
            "format": FORMAT,
            "run": run,
            "reference": self._wrapper.reference,
            "wrapper": self._wrapper.description.as_json(),
            "input": {"name": self._source.name, "fingerprint": self._source.fingerprint()},
            "selection": asdict(self._options.selection),
            "started_at": self._now(),
        }

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._world.wall(), timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def stop(self, reason: str) -> None:
        """Lets open calls finish and starts no more; safe in a signal handler."""
        if self._runner is not None:
            self._runner.stop(reason)

    def work(self, watch: Callable[[Progress], None] = lambda _: None) -> tuple[EndState, str, Counts]:
        """Sends everything that has no final outcome yet.

        Args:
            watch: told how the run stands after every change.

        Returns:
            The end state, why it stopped early or an empty string, and the counts.

        Raises:
            RunError: a row of the input can't be read.
        """
        options, description = self._options, self._wrapper.description
        timeout = min(MAX_TIMEOUT, options.timeout or description.timeout + TELL)
        attempts = options.attempts or description.attempts
        terms = Terms(
            run=self.run_id,
            timeout=timeout,
            attempts=attempts,
            request_bytes=description.request_bytes,
            clock=self._world.clock,
            sideband=self._wrapper.sideband,
        )
        lanes = self._world.lanes(lambda chunk: process_chunk(chunk, self._wrapper.call, terms))
        counts = self.standing.counts
        items = entries(self._source, options.selection)
        self._runner = Runner(
            unfinished(items, self.slots, counts, resumed=self.resumed),
            Effects(
                ledger=self.ledger,
                spool=self.spool,
                slots=self.slots,
                lanes=lanes,
                clock=self._world.clock,
                wall=self._world.wall,
                random=self._world.random,
                watch=watch,
            ),
            Limits(attempts, options.patience, min(CHUNK_AIM, description.request_bytes * 8 // 10)),
            size=Size(largest=options.chunk),
            concurrency=Concurrency(ceiling(description.parallel, options.workers)),
            budget=Budget(share=options.budget),
            counts=counts,
            estimate=self._source.estimate(),
            next_seq=self.standing.next_seq,
        )
        state, reason = self._runner.run()
        self.ledger.append([{"e": "end", "state": state.value, "why": reason, "at": self._now()}])
        return state, reason, counts


def run_to_files(
    session: Session, output: Path, layout: str, watch: Callable[[Progress], None], clock: Callable[[], float]
) -> Summary:
    """Works a session to its end and writes its files: the output if it is complete, failed items always.

    Args:
        session: open.
        output: the file of outcomes.
        layout: a name of `layouts.LAYOUTS`.
        watch: told how the run stands.
        clock: seconds that only go forward.
    """
    started = clock()
    state, reason, counts = session.work(watch)
    complete = state in (EndState.OK, EndState.ERRORS)
    if complete:
        shape = LAYOUTS[layout]
        with whole(output) as file:
            for _, slot, line in outcomes(session.slots, session.spool):
                file.write(shape(slot.fate, line))
    errors = errors_path(output)
    failed = write_errors(errors, session.run_id, session.slots, session.spool)
    return Summary(
        run=session.run_id,
        reference=session.standing.header["reference"],
        state=state,
        reason=reason,
        counts=counts,
        seconds=clock() - started,
        output=str(output) if complete else None,
        errors=str(errors) if failed else None,
        folder=str(session.folder.path),
    )


def kept_reference(folder: Path, reference: str) -> str | None:
    """The exact version that a ledger keeps, if `reference` names its algorithm without an exact version."""
    path = Folder(folder).ledger
    header = next(read_ledger(path), None) if path.exists() else None
    if header is None:
        return None
    kept = str(header.get("reference"))
    return kept if f"{kept}/".startswith(f"{reference.removeprefix('algo://').rstrip('/')}/") else None


def errors_path(output: Path) -> Path:
    """Where the failed items of an output go."""
    return output.with_name(output.name + ".errors.jsonl")


def folder_for(output: Path) -> Path:
    """Where the ledger of an output lives, unless the user says otherwise."""
    return output.with_name(output.name + ".run")


def _unchanged(before: dict[str, Any], now: dict[str, Any]) -> None:
    """Raises RunError if this is not the run that the ledger tells of."""
    changes = []
    if before["reference"] != now["reference"]:
        changes.append(f"the wrapper was {before['reference']}, now {now['reference']}")
    elif before["wrapper"]["spec"] != now["wrapper"]["spec"]:
        changes.append("the wrapper describes itself differently")
    if before["input"]["fingerprint"] != now["input"]["fingerprint"]:
        changes.append(f"the input {now['input']['name']} has other content")
    if before["run"] != now["run"]:
        changes.append(f"the run was {before['run']}, now {now['run']}")
    changes.extend(
        f"--{name} was {was!r}, now {now['selection'].get(name)!r}"
        for name, was in before["selection"].items()
        if was != now["selection"].get(name)
    )
    if changes:
        raise RunError(
            f"this is not how run {before['run']} began: {'; '.join(changes)}",
            hint="--fresh starts over, --accept-changes goes on with what is not finished",
        )
