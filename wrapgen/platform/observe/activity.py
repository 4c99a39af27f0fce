"""What goes on: the calls in progress and the recent ones of each account, by the run id that they carry.

Kept in memory, bounded, and gone with the server; what has to last is in the journal and the error log.
Noting a call is one small object and a few additions. All of it happens on the event loop; whoever reads gets
copies.
"""

from __future__ import annotations

import re
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import msgspec

from wrapgen.platform.calls.call import Call, Outcome
from wrapgen.platform.calls.service import Calls
from wrapgen.platform.calls.worker_protocol import Problem

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
"""What a run's id may be; a header that holds anything else is ignored, as it is by other platforms."""

KEPT_CALLS = 250
"""Recent calls from outside that are kept of an account, and as many nested ones."""

KEPT_RUNS = 50
"""Runs whose counts are kept of an account: those that called last."""

KEPT_ACCOUNTS = 50
"""Accounts whose calls are kept: those that called last."""

KEPT_TEXT = 2000
"""Characters that are kept of a message, a traceback, and printed output each."""


class Known(msgspec.Struct, frozen=True, gc=False):
    """A call that is in progress or has ended.

    Args:
        id: the request's.
        run: id of the run that it belongs to; empty if it carries none.
        parent, root: request ids of the call that made it (or empty), and of the one from outside.
        algorithm, version: what was called.
        started: epoch seconds.
        seconds: since then until its end, or until now.
        received: bytes of the input.
        state: `waiting` for a worker, `running`, `done` or `failed`.
        sent: bytes of the result.
        error_type, message, trace: of a failure; the traceback for those who may see the source.
        output: what it printed, if that was asked for.
        worker: process id; 0 if none has it.
    """

    id: str
    run: str
    parent: str
    root: str
    algorithm: str
    version: str
    started: float
    seconds: float
    received: int
    state: str
    sent: int = 0
    error_type: str = ""
    message: str = ""
    trace: str = ""
    output: str = ""
    worker: int = 0


@dataclass
class Run:
    """The calls of one run that have ended: from outside and below them, with times in epoch seconds."""

    id: str
    first: float
    last: float
    calls: int = 0
    errors: int = 0
    nested: int = 0
    nested_errors: int = 0
    algorithms: set[str] = field(default_factory=set)

    @property
    def rate(self) -> float:
        """Calls per second, those below included; 0 while there is no span to speak of."""
        span = self.last - self.first
        return (self.calls + self.nested) / span if span > 0 else 0.0


class _Account:
    """What is kept of one account."""

    __slots__ = ("nested", "outer", "runs")

    def __init__(self) -> None:
        self.outer: deque[Known] = deque(maxlen=KEPT_CALLS)
        self.nested: deque[Known] = deque(maxlen=KEPT_CALLS)
        self.runs: OrderedDict[str, Run] = OrderedDict()


class Activity:
    """The recent past of one server.

    Args:
        calls: what is watched.
        clock: gives epoch seconds.
    """

    def __init__(self, calls: Calls, clock: Callable[[], float] = time.time) -> None:
        self._calls = calls
        self._clock = clock
        self._accounts: OrderedDict[str, _Account] = OrderedDict()
        calls.listeners.append(self.note)

    def note(self, outcome: Outcome) -> None:
        """Remembers a call that has ended."""
        call = outcome.call
        name = call.caller.account
        account = self._accounts.get(name)
        if account is None:
            account = self._accounts[name] = _Account()
            if len(self._accounts) > KEPT_ACCOUNTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(name)
        now = self._clock()
        known = _ended(outcome, now)
        (account.nested if call.parent else account.outer).append(known)
        if call.run:
            _count(account, known, now)

    def in_progress(self, account: str) -> list[Known]:
        """The calls of an account that are open, the oldest first."""
        now, then = self._clock(), time.monotonic()
        found = [call for call in self._calls.in_progress() if call.caller.account == account]
        return [_open(call, now, then) for call in sorted(found, key=lambda call: call.started)]

    def recent(self, account: str) -> list[Known]:
        """The calls of an account that ended last, the newest first; nested ones among them."""
        kept = self._accounts.get(account)
        found = [] if kept is None else [*kept.outer, *kept.nested]
        return sorted(found, key=lambda known: known.started + known.seconds, reverse=True)

    def runs(self, account: str) -> list[Run]:
        """The runs of an account, the one that called last first."""
        kept = self._accounts.get(account)
        found = [] if kept is None else kept.runs.values()
        return [replace(run, algorithms=set(run.algorithms)) for run in [*found][::-1]]

    def forget(self, account: str) -> None:
        """Drops what is kept of an account that is no more: the next of its name must not see it."""
        self._accounts.pop(account, None)


def _count(account: _Account, known: Known, now: float) -> None:
    run = account.runs.get(known.run)
    if run is None:
        run = account.runs[known.run] = Run(known.run, known.started, now)
        if len(account.runs) > KEPT_RUNS:
            account.runs.popitem(last=False)
    else:
        account.runs.move_to_end(known.run)
    if known.started < run.first:
        run.first = known.started
    run.last = now
    failed = known.state == "failed"
    if known.parent:
        run.nested += 1
        run.nested_errors += failed
    else:
        run.calls += 1
        run.errors += failed
        run.algorithms.add(f"{known.algorithm}/{known.version}")


def _open(call: Call, now: float, then: float) -> Known:
    seconds, runnable = then - call.started, call.runnable
    return Known(
        id=call.id,
        run=call.run,
        parent=call.parent.id if call.parent else "",
        root=call.root.id,
        algorithm=f"{runnable.owner}/{runnable.name}",
        version=runnable.version,
        started=now - seconds,
        seconds=seconds,
        received=len(call.request.body),
        state="running" if call.worker else "waiting",
        worker=call.worker.process if call.worker else 0,
    )


def _ended(outcome: Outcome, now: float) -> Known:
    call, answer = outcome.call, outcome.answer
    runnable, parent = call.runnable, call.parent
    seconds = time.monotonic() - call.started
    common = (
        call.id,
        call.run,
        parent.id if parent else "",
        call.root.id if parent else call.id,
        runnable.owner + "/" + runnable.name,
        runnable.version,
        now - seconds,
        seconds,
        len(call.request.body),
    )
    output = outcome.output[-KEPT_TEXT:].decode("utf-8", "replace") if outcome.output else ""
    worker = call.worker.process if call.worker else 0
    if isinstance(answer, Problem):
        trace = answer.trace[-KEPT_TEXT:] if outcome.trusted else ""
        message = answer.message[:KEPT_TEXT]
        return Known(*common, "failed", 0, answer.kind, message, trace, output, worker)
    return Known(*common, "done", len(answer.text), output=output, worker=worker)
