"""What goes on: the calls in progress and the recent ones of each account, by the run id that they carry.

Kept in memory, bounded, and gone with the server; what has to last is in the server's log and the error log.
Noting a call is one small object and a few additions. All of it happens on the event loop; a reader gets
copies.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from wrapgen.platform.calls.service import CallService
from wrapgen.platform.observe.call_record import CallRecord, record_open

KEPT_CALLS = 250
"""Recent calls from outside that are kept of an account, and as many nested ones."""

KEPT_RUNS = 50
"""Runs whose counts are kept of an account: those that called last."""

KEPT_ACCOUNTS = 50
"""Accounts whose calls are kept: those that called last."""


@dataclass
class RunActivity:
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


class _AccountActivity:
    """What is kept of one account."""

    __slots__ = ("nested", "outer", "runs")

    def __init__(self) -> None:
        self.outer: deque[CallRecord] = deque(maxlen=KEPT_CALLS)
        self.nested: deque[CallRecord] = deque(maxlen=KEPT_CALLS)
        self.runs: OrderedDict[str, RunActivity] = OrderedDict()


class Activity:
    """The recent past of one server.

    Args:
        calls: what is watched.
        clock: gives epoch seconds.
    """

    def __init__(self, calls: CallService, clock: Callable[[], float] = time.time) -> None:
        self._calls = calls
        self._clock = clock
        self._accounts: OrderedDict[str, _AccountActivity] = OrderedDict()

    def add(self, record: CallRecord) -> None:
        """Remembers a call that has ended."""
        account = self._accounts.get(record.account)
        if account is None:
            account = self._accounts[record.account] = _AccountActivity()
            if len(self._accounts) > KEPT_ACCOUNTS:
                self._accounts.popitem(last=False)
        else:
            self._accounts.move_to_end(record.account)
        (account.nested if record.parent else account.outer).append(record)
        if record.run:
            _count(account, record)

    def in_progress(self, account: str) -> list[CallRecord]:
        """The calls of an account that are open, the oldest first."""
        now = self._clock()
        found = [call for call in self._calls.in_progress() if call.caller.account == account]
        return [record_open(call, now) for call in sorted(found, key=lambda call: call.started)]

    def recent(self, account: str) -> list[CallRecord]:
        """The calls of an account that ended last, the newest first; nested ones among them."""
        kept = self._accounts.get(account)
        found = [] if kept is None else [*kept.outer, *kept.nested]
        return sorted(found, key=lambda record: record.ended, reverse=True)

    def runs(self, account: str) -> list[RunActivity]:
        """The runs of an account, the one that called last first."""
        kept = self._accounts.get(account)
        found = [] if kept is None else kept.runs.values()
        return [replace(run, algorithms=set(run.algorithms)) for run in [*found][::-1]]

    def forget(self, account: str) -> None:
        """Drops what is kept of an account that is no more: the next of its name must not see it."""
        self._accounts.pop(account, None)


def _count(account: _AccountActivity, record: CallRecord) -> None:
    run = account.runs.get(record.run)
    if run is None:
        run = account.runs[record.run] = RunActivity(record.run, record.started, record.ended)
        if len(account.runs) > KEPT_RUNS:
            account.runs.popitem(last=False)
    else:
        account.runs.move_to_end(record.run)
    run.first = min(run.first, record.started)
    run.last = record.ended
    failed = record.state == "failed"
    if record.parent:
        run.nested += 1
        run.nested_errors += failed
    else:
        run.calls += 1
        run.errors += failed
        run.algorithms.add(record.reference)
