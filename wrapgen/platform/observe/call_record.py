"""The one record of a call, from which the log, errors, metrics, activity and numbers by the minute come."""

from __future__ import annotations

import time

import msgspec

from wrapgen.platform.calls.call import Call, CallOutcome
from wrapgen.platform.calls.worker_protocol import CallFailure

KEPT_TEXT = 2000
"""Characters that are kept of a traceback, and of printed output."""

KEPT_INPUT = 1000
"""Bytes that are kept of a failed call's input."""


class CallRecord(msgspec.Struct, frozen=True, gc=False):
    """A call that is open or has ended.

    Args:
        id: the request's.
        run: id of the run that it belongs to; empty if it carries none.
        parent, root: request ids of the call that made it (or empty), and of the one from outside.
        account: who called.
        algorithm, version: what was called: `owner/name`, and the version or git hash.
        started: epoch seconds.
        seconds: since then until its end, or until now.
        received: bytes of the input.
        worker: process id; 0 if none has it.
        state: `waiting` for a worker, `running`, `done` or `failed`.
        worked: seconds that the algorithm worked on it.
        sent: bytes of the result.
        output: what it printed, if that was asked for.
        error_type, message, trace: of a failure; the traceback for those who may see the source.
        input: the beginning of a failed call's.
        algorithm_id: UUID of the algorithm of a failed call.
    """

    id: str
    run: str
    parent: str
    root: str
    account: str
    algorithm: str
    version: str
    started: float
    seconds: float
    received: int
    worker: int
    state: str
    worked: float = 0.0
    sent: int = 0
    output: str = ""
    error_type: str = ""
    message: str = ""
    trace: str = ""
    input: str = ""
    algorithm_id: str = ""

    @property
    def ended(self) -> float:
        """Epoch seconds of its end, or now."""
        return self.started + self.seconds

    @property
    def reference(self) -> str:
        """`owner/name/version`"""
        return f"{self.algorithm}/{self.version}"


def record_open(call: Call, now: float) -> CallRecord:
    """The record of a call that is open, at `now` in epoch seconds."""
    return CallRecord(*_common(call, now), "running" if call.worker else "waiting")


def record_outcome(outcome: CallOutcome, now: float, most: int) -> CallRecord:
    """The record of a call that has just ended, at `now` in epoch seconds; `most` characters of a message."""
    call, answer = outcome.call, outcome.answer
    common = _common(call, now)
    output = outcome.output[-KEPT_TEXT:].decode("utf-8", "replace") if outcome.output else ""
    if not isinstance(answer, CallFailure):
        return CallRecord(*common, "done", outcome.seconds, len(answer.text), output)
    return CallRecord(
        *common,
        state="failed",
        worked=outcome.seconds,
        output=output,
        error_type=answer.kind,
        message=answer.message[:most],
        trace=answer.trace[-KEPT_TEXT:] if outcome.trusted else "",
        input=call.request.body[:KEPT_INPUT].decode("utf-8", "replace"),
        algorithm_id=call.runnable.algorithm_id,
    )


def _common(call: Call, now: float) -> tuple[str, str, str, str, str, str, str, float, float, int, int]:
    runnable, parent, worker = call.runnable, call.parent, call.worker
    seconds = time.monotonic() - call.started
    return (
        call.id,
        call.run,
        parent.id if parent else "",
        call.root.id if parent else call.id,
        call.caller.account,
        runnable.full_name,
        runnable.version,
        now - seconds,
        seconds,
        len(call.request.body),
        worker.process if worker else 0,
    )
