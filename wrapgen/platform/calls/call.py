"""One call of an algorithm as values: what was asked, what is open, what came of it. No decisions here."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from wrapgen.platform.calls.worker_protocol import CallFailure, Result
from wrapgen.platform.domain.model import Caller, Runnable
from wrapgen.platform.workers.worker import Worker

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
"""What a run's id may be; a header that holds anything else is ignored, as it is by other platforms."""


@dataclass(frozen=True)
class CallLimits:
    """What calls may take.

    Args:
        request: bytes of an input.
        response: bytes of a result with its envelope.
        account: open calls of one account, nested ones included.
        below: open calls below one call.
        depth: calls nested in each other, the first one included.
        timeout: seconds, where the caller doesn't say.
        longest: seconds that a caller may ask for.
    """

    request: int = 10_485_760
    response: int = 15_000_000
    account: int = 80
    below: int = 24
    depth: int = 10
    timeout: float = 300.0
    longest: float = 3000.0


class Request(msgspec.Struct, frozen=True):
    """One call as it is asked for.

    Args:
        path: `owner/name`, `owner/name/version`, or the same with an algorithm's id for the two names.
        content_type: in lower case, without parameters.
        encoding: Content-Encoding in lower case.
        body: as received.
        timeout: seconds; None takes the default.
        stdout: whether printed output is wanted.
        run: id of the run that the call belongs to, as the caller says; empty if it says nothing.
        gone: tells whether the caller has left, so that a call still waiting for a worker need not begin.
    """

    path: str
    content_type: str
    body: bytes
    encoding: str = ""
    timeout: float | None = None
    stdout: bool = False
    run: str = ""
    gone: Callable[[], bool] | None = None


class Call(msgspec.Struct, eq=False):
    """A call that is open.

    Args:
        id: `req-<uuid>`.
        caller: on whose behalf; for nested calls the original caller.
        runnable: what runs.
        parent: the call whose algorithm made this one, or None.
        request: as it was asked for.
        parts: the request line for the worker.
        limits: that it keeps to.
        timeout: seconds, waiting for a worker included.
        started: time.monotonic() when it came in.
        ends: time.monotonic() after which it is over.
        below: open calls below this one.
        worker: which worker has it, once one does.
        future: what it waits for now: a worker, or a response.
        run: id of its run: the request's, else that of the call above; empty if there is none.
        acted: its algorithm, or one below, used its own key.
        revoked: its caller may not call this any more; it must not begin.
    """

    id: str
    caller: Caller
    runnable: Runnable
    parent: Call | None
    request: Request
    parts: list[bytes]
    limits: CallLimits
    timeout: float
    started: float
    ends: float
    below: int = 0
    worker: Worker | None = None
    future: asyncio.Future[Any] | None = None
    run: str = ""
    acted: bool = False
    revoked: bool = False

    @property
    def root(self) -> Call:
        """The call from outside that this one is below of, or itself."""
        return self.parent.root if self.parent else self

    @property
    def above(self) -> list[Call]:
        """The calls that this one is nested in, nearest first."""
        return [self.parent, *self.parent.above] if self.parent else []


class CallOutcome(msgspec.Struct, frozen=True):
    """What became of a call.

    Args:
        call: which call.
        answer: the result, or the problem instead of one.
        seconds: how long the algorithm worked on it.
        output: what it printed, if that was asked for and the caller may see it; else None.
        trusted: whether the caller's account has access to the source, and so to tracebacks and prints.
        shown: whether the reply may have them: not where it goes to an algorithm of somebody else's.
    """

    call: Call
    answer: Result | CallFailure
    seconds: float
    output: bytes | None = None
    trusted: bool = False
    shown: bool = False
