"""What a server knows of its calls: whatever ends a call, or refuses one, is told here and only here."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from wrapgen.errors import WrapgenError
from wrapgen.platform.calls.call import CallOutcome
from wrapgen.platform.calls.service import CallService
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.observe.activity import Activity
from wrapgen.platform.observe.call_record import record_outcome
from wrapgen.platform.observe.error_log import ErrorLog
from wrapgen.platform.observe.metrics import Metrics
from wrapgen.platform.observe.minutes import Minutes
from wrapgen.platform.observe.server_log import ServerLog


class Observer:
    """All that is derived from the calls of one server.

    Args:
        folder: of the server's log.
        calls: what is observed.
        errors: the list of failed calls.
        bounds: how much is kept.
        clock: gives epoch seconds.
    """

    def __init__(
        self,
        folder: Path,
        calls: CallService,
        errors: ErrorLog,
        bounds: Bounds,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.log = ServerLog(folder, clock, bounds)
        self.errors = errors
        self.metrics = Metrics(calls, bounds)
        self.activity = Activity(calls, clock)
        self.minutes = Minutes(clock)
        self._most = bounds.error_bytes
        self._clock = clock
        calls.on_end = self.note

    def note(self, outcome: CallOutcome) -> None:
        """Notes a call that has ended: makes its record, and gives that to all who keep something of it."""
        record = record_outcome(outcome, self._clock(), self._most)
        self.log.add(record)
        self.metrics.add(record)
        self.activity.add(record)
        self.minutes.add(record)
        if record.error_type:
            self.errors.add(record)

    def note_refused(
        self, error: WrapgenError, request_id: str, path: str, *, event: str, known: bool, trace: str = ""
    ) -> None:
        """Notes a call that never ran.

        Args:
            error: why.
            request_id: what its reply carries.
            path: what was to be called.
            event: the log's word for it: `refused`, `stopped`, or `fault` for one of ours.
            known: whether it came with a good key; of other requests the log takes only so many.
            trace: of a fault.
        """
        facts = {"message": error.message[:200]} if event == "refused" else {}
        if event == "refused":
            self.metrics.note_refused(error.code)
        if trace:
            facts["trace"] = trace
        note = self.log.note if known else self.log.note_stranger
        note(event, request_id=request_id, path=path[:200], code=error.code, **facts)

    def forget(self, account: str) -> None:
        """Drops what is in memory of an account that is no more: the next of its name must not see it."""
        self.activity.forget(account)
        self.minutes.forget(account)
        self.metrics.forget(account)

    def forget_algorithm(self, owner: str, name: str) -> None:
        """Drops the numbers of an algorithm that is no more."""
        self.metrics.forget(f"{owner}/{name}")
        self.minutes.forget(f"{owner}/{name}")
