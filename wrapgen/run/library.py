"""A run as a library, behind `wrapgen.run`: outcomes come back one by one, sync or async.

The same session as the command's, in a thread of its own; only the way in and out differs.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from os import PathLike, fspath
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import wrapgen
from wrapgen import protocol
from wrapgen.client import Client, connect
from wrapgen.errors import RunError, UsageError
from wrapgen.references import is_path
from wrapgen.run.hosts.answers import scan
from wrapgen.run.hosts.host import Host
from wrapgen.run.hosts.lookup import find_host
from wrapgen.run.hosts.patience import Patience
from wrapgen.run.input.inputs import given_items, in_their_run, keep, open_input
from wrapgen.run.input.items import Selection
from wrapgen.run.input.shards import Shard, of_shard, refuse_open_version
from wrapgen.run.input.values import why_not_json
from wrapgen.run.ledger.bucket_folder import open_state
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.scheduling.progress import Counts
from wrapgen.run.scheduling.replies import Fate
from wrapgen.run.session import Session
from wrapgen.run.settings import Options
from wrapgen.run.summary import EndState
from wrapgen.spec import Spec

_POLL = 1.0
"""Seconds after which a waiting iterator looks again, should a wake-up be lost."""


@dataclass(frozen=True)
class ItemOutcome:
    """What became of one item.

    Args:
        index: its place in the input, from 0.
        id: its id; the index as text where none was named.
        result: what the target answered; None for a failed item.
        error: why it failed for good; None for one that succeeded.
    """

    index: int
    id: str
    result: Any = None
    error: protocol.ItemError | None = None

    @property
    def ok(self) -> bool:
        """Whether there is a result."""
        return self.error is None


class Outcomes(Iterator[ItemOutcome], AsyncIterator[ItemOutcome]):
    """The outcomes of a run in input order, each as soon as it and all before it are known.

    For `for` and `async for`, once. Leaving early, by `close` or the end of `with` or `async with`, lets open
    calls finish and starts no more; there are no outcomes then; with a state folder the same call goes on.

    Attributes:
        run_id: the run's id.
        counts: how the run stands.
    """

    def __init__(
        self, session: Session, indexes: Iterable[int], stack: ExitStack, *, report: bool = False
    ) -> None:
        self._session = session
        self._indexes = indexes
        self._report = report
        self._stack = stack
        self._changed = threading.Condition()
        self._reading = threading.RLock()  # files stay open while they are read
        self._closed = False
        self._end: tuple[EndState, str] | None = None
        self._fault: BaseException | None = None
        self._order = self._finished_in_order()
        self.run_id = session.run_id
        self.counts: Counts = session.counts
        self._thread = threading.Thread(target=self._work, name="wrapgen-run", daemon=True)
        self._thread.start()

    def __enter__(self) -> Outcomes:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Outcomes:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.close)

    def __iter__(self) -> Outcomes:
        return self

    def __next__(self) -> ItemOutcome:
        """The next outcome.

        Raises:
            RunError: the run stopped before every item had one; says why.
        """
        with self._reading:
            if self._closed:
                raise StopIteration
            try:
                return next(self._order)
            except BaseException:
                self.close()
                raise

    def __aiter__(self) -> Outcomes:
        return self

    async def __anext__(self) -> ItemOutcome:
        """The next outcome, without holding up the event loop; raises as `__next__`."""
        found = await asyncio.to_thread(next, self, None)
        if found is None:
            raise StopAsyncIteration
        return found

    @property
    def state(self) -> EndState | None:
        """How the run ended; None while it goes on."""
        return self._end[0] if self._end else None

    def close(self) -> None:
        """Stops the run when the open calls are back; does nothing to one that has ended."""
        self._session.stop("closed")
        self._thread.join()
        with self._reading:
            self._closed = True
            self._stack.close()

    def _work(self) -> None:
        try:
            self._end = self._session.work(lambda _: self._wake())
            if self._report:
                self._write_report()
        except BaseException as error:  # raised where outcomes are iterated
            self._fault = error
        self._wake()

    def _write_report(self) -> None:
        from wrapgen.run.report.page import REPORT, write_report

        with suppress(OSError):  # it can be written later, and the run is what it is
            write_report(self._session.store.scratch, self._session.store.scratch / REPORT, ended=True)

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _finished_in_order(self) -> Iterator[ItemOutcome]:
        for index in self._indexes:
            yield _decoded(self._wait_for(index))

    def _wait_for(self, index: int) -> bytes:
        session = self._session
        while True:
            ended = not self._thread.is_alive()
            slot = session.slots.get(index)
            if slot.fate in (Fate.OK, Fate.FAILED):
                if session.store.writes_behind:
                    session.spool.sync()  # an outcome counts when it is kept
                return session.spool.read(slot.offset, slot.length)
            if ended:
                break
            with self._changed:
                self._changed.wait(_POLL)
        if self._fault is not None:
            raise self._fault
        state, reason = self._end or (EndState.INCOMPLETE, "")
        raise RunError(f"the run stopped early ({state.value}): {reason}", hint="with state=... it can go on")


def open_run(
    reference: str | PathLike[str] | Spec,
    items: Iterable[Any] | str | PathLike[str],
    client: Client | None,
    state: str | PathLike[str] | None,
    selection: Selection | None,
    options: Options | None,
    shard: tuple[int, int] | None,
) -> Outcomes:
    """What `wrapgen.run` does, with its arguments."""
    named = _path(items)
    _check_types(reference, selection, options)
    options = options or Options()
    options = options if shard is None else replace(options, shard=_shard(shard))
    with ExitStack() as stack:
        pool = options.workers or 8

        @cache
        def platform() -> Client:
            return client or stack.enter_context(connect(pool=pool))

        place = fspath(state or stack.enter_context(TemporaryDirectory(prefix="wrapgen-run-")))
        _, own = of_shard(options.shard, Path(), place, named or "")
        folder = stack.enter_context(open_state(own or place, take_over=options.take_over))
        host = stack.enter_context(_opened(reference, platform, folder, options, pool))
        anew = options.fresh or options.accept_changes
        if named is None:
            found = given_items(folder, selection or Selection())
        else:
            given, stdin = selection or Selection(), sys.stdin.buffer
            found = open_input(
                named, None, given, folder, stdin=stdin, data=lambda: platform().data, replace=anew
            )

        def prepare() -> None:
            if not isinstance(items, (str, PathLike)):
                _keep(items, folder, replace=anew)

        failed = found if found.run is not None else None
        found, corrections = (found, None) if options.fresh else in_their_run(found, folder)
        session = stack.enter_context(
            Session(folder, found, host, options, prepare=prepare, corrections=corrections)
        )
        # Items that failed before are some of a run's, under the indexes that they had there.
        again = corrections or (failed and session.items)
        indexes = [entry.index for entry in again.entries()] if again else session.rows
        return Outcomes(session, indexes, stack.pop_all(), report=state is not None)


@contextmanager
def _opened(
    reference: str | PathLike[str] | Spec,
    platform: Callable[[], Client],
    folder: Folder,
    options: Options,
    pool: int,
) -> Iterator[Host]:
    """The host of a wrapper; for a spec, a platform is asked for only where the wrapper itself calls it."""
    if isinstance(reference, str) and not is_path(reference):
        kept = None if options.fresh else folder.kept_reference(reference)
        found = find_host(platform, reference, kept, Patience(options.patience), pool=pool)
        with closing(found):
            refuse_open_version(options.shard, reference, found)
            yield found
        return
    wrapper = wrapgen.local_wrapper(reference)
    variables = platform().connection.variables() if wrapper.calls_platform else {}
    with folder.process_log() as log, wrapper.host(variables=variables, log=log) as host:
        yield host


def _path(items: Any) -> str | None:
    """The path or pattern that `items` is; None for an iterable of items.

    Raises:
        UsageError: it is one value, or a table, which iterate over something else than items.
    """
    if isinstance(items, (str, PathLike)):
        return str(fspath(items))
    kind = f"a value of type {type(items).__name__}"
    if hasattr(items, "iterrows"):
        raise UsageError(f"{kind} is a table, not items", hint='give items.to_dict("records")')
    if isinstance(items, (bytes, bytearray, Mapping)) or not isinstance(items, Iterable):
        raise UsageError(f"{kind} is one value, not items", hint="give a list: [value]")
    return None


def _check_types(reference: Any, selection: Any, options: Any) -> None:
    """Refuses what a program without types would give in place of the right ones."""
    given: tuple[tuple[Any, Any, str], ...] = (
        (reference, (str, PathLike, Spec), "reference"),
        (selection, Selection, "selection"),
        (options, Options, "options"),
    )
    for value, kind, name in given:
        if not isinstance(value, kind) and (value is not None or name == "reference"):
            wanted = "str" if name == "reference" else kind.__name__
            hint = "write owner/name, owner/name/1.2.3 or spec.yaml"
            if name != "reference":
                hint = f"give wrapgen.{wanted}(...)"
            raise UsageError(f"{name} must be of type {wanted}, not {type(value).__name__}", hint=hint)


def _shard(given: Any) -> Shard:
    """The shard that `(i, n)` means.

    Raises:
        UsageError: it is no such pair, or there is no such shard.
    """
    try:
        index, of = given
        if {type(index), type(of)} != {int}:
            raise TypeError
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"not a shard: {given!r}", hint="give a pair of whole numbers: shard=(0, 4)"
        ) from error
    return Shard(index, of)


def _keep(items: Iterable[Any], folder: Folder, *, replace: bool) -> None:
    """Writes down what an iterable gives, so that it may be read again; a run's own stays if it differs."""
    lines = (_line(number, value) for number, value in enumerate(items))
    if not keep(lines, folder, replace=replace):
        raise RunError(
            "the given items are others than when this run began",
            hint="Options(fresh=True) starts over, accept_changes=True goes on with what is not finished",
        )


def _line(number: int, value: Any) -> bytes:
    try:
        return protocol.dumps(protocol.to_wire(value)) + b"\n"
    except (protocol.ProtocolError, RecursionError) as error:
        raise RunError(f"item {number} is not JSON: {why_not_json(value)}") from error


def _decoded(line: bytes) -> ItemOutcome:
    content, _ = scan(line.decode(), 0)
    index, name = content["index"], content["id"]
    if "error" in content:
        return ItemOutcome(index, name, error=protocol.ItemError.from_wire(content["error"]))
    return ItemOutcome(index, name, result=protocol.from_wire(content["result"]))
