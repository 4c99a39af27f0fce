"""One call of an algorithm as values: what was asked, what is open, what came of it. No decisions here."""

from __future__ import annotations

from dataclasses import dataclass

from wrapgen.platform.lines import Problem, Result
from wrapgen.platform.model import Caller, Runnable
from wrapgen.platform.workers.worker import Worker


@dataclass(frozen=True)
class Limits:
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


@dataclass(frozen=True)
class Request:
    """One call as it is asked for.

    Args:
        path: `owner/name`, `owner/name/version`, or the same with an algorithm's id for the two names.
        content_type: in lower case, without parameters.
        encoding: Content-Encoding in lower case.
        body: as received.
        timeout: seconds; None takes the default.
        stdout: whether printed output is wanted.
    """

    path: str
    content_type: str
    body: bytes
    encoding: str = ""
    timeout: float | None = None
    stdout: bool = False


@dataclass(eq=False)
class Call:
    """A call that is open.

    Args:
        id: `req-<uuid>`.
        caller: on whose behalf; for nested calls the original caller.
        runnable: what runs.
        parent: the call whose algorithm made this one, or None.
        request: as it was asked for.
        parts: the request line for the worker.
        timeout: seconds, waiting for a worker included.
        started: time.monotonic() when it came in.
    """

    id: str
    caller: Caller
    runnable: Runnable
    parent: Call | None
    request: Request
    parts: list[bytes]
    timeout: float
    started: float
    below: int = 0
    worker: Worker | None = None
    session: str = ""
    depth: int = 1
    keys: frozenset[str] = frozenset()
    acted: bool = False

    @property
    def root(self) -> Call:
        """The call from outside that this one is below of, or itself."""
        return self.parent.root if self.parent else self

    def __post_init__(self) -> None:
        """Takes from the parent what calls below each other share."""
        parent = self.parent
        self.session = parent.session if parent else self.id
        self.depth = parent.depth + 1 if parent else 1
        self.keys = (parent.keys if parent else frozenset()) | {self.runnable.key}


@dataclass(frozen=True)
class Outcome:
    """What became of a call.

    Args:
        call: which call.
        answer: the result, or the problem instead of one.
        seconds: how long the algorithm worked on it.
        output: what it printed, if that was asked for and the caller may see it; else None.
        trusted: whether the caller has access to the source, and so to tracebacks.
    """

    call: Call
    answer: Result | Problem
    seconds: float
    output: bytes | None = None
    trusted: bool = False
