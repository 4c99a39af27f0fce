"""One send of one chunk: the body, the call, and what became of each item. Pure but for the call.

The local runner, SQS and Spark all go through `process_chunk`, and none of them decides anything about it.
Whether and when something is sent again is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import repeat
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

from wrapgen import protocol
from wrapgen.errors import (
    AlgorithmFailed,
    BadRequest,
    NoCredentials,
    NotAuthorized,
    NotFound,
    PaymentRequired,
    PlatformError,
    ServerFault,
    Throttled,
    TooLarge,
    Unreachable,
    UsageError,
)
from wrapgen.run.answers import Answered, error_objects, over_limits, read_answer, read_results
from wrapgen.run.chunks import Chunk
from wrapgen.run.states import Fate, Fault
from wrapgen.run.turns import Recalled

Call = Callable[[bytes, float], bytes]
"""One call of a wrapper: the encoded input and the seconds it gets; the body of the 200 answer."""

DESCRIBE = b'{"$batch":[]}'
"""The input that makes a wrapper describe itself."""

ANY_TIME: AbstractContextManager[None] = nullcontext()
"""The turn of a chunk that need not wait."""

MARGIN = 30
"""Seconds of a call's time that the wrapper is not told of."""


class Sideband(Protocol):
    """Where bodies go that are too large for a call."""

    def upload(self, body: bytes) -> str:
        """Stores JSON Lines of items; the URL that a wrapper can read them at."""

    def fetch(self, url: str) -> bytes:
        """The file at a URL that a wrapper answered with."""

    def discard(self, url: str) -> None:
        """Removes what `upload` stored; never raises."""


@dataclass(frozen=True)
class Terms:
    """What holds for every send of a run.

    Args:
        run: the run's id.
        timeout: seconds asked of the platform for each call.
        attempts: calls of the target that an item may take over all of its sends.
        request_bytes: the most that a request may hold.
        sideband: for bodies beyond that; None where there is none.
        clock: seconds that only go forward.
    """

    run: str
    timeout: float
    attempts: int
    request_bytes: int
    clock: Callable[[], float]
    sideband: Sideband | None = None

    @property
    def told(self) -> int:
        """Seconds that the wrapper is told: 30 less than the platform grants, or half of a short time."""
        return max(1, int(min(protocol.MAX_TIMEOUT, self.timeout) - min(MARGIN, self.timeout / 2)))


class Outcome(NamedTuple):
    """What became of one item in one send.

    Fields: its fate; its result as it travels, or its error object, as JSON text; calls of the target made
    for it over all of its sends, as far as they are known.
    """

    fate: Fate
    body: str
    attempts: int


_FATE = itemgetter(0)

# Makes an outcome of three values without a call of Python code.
_outcome: Callable[[tuple[Fate, str, int]], Outcome] = partial(tuple.__new__, Outcome)


Lines = tuple[bytes, list[int]]
"""Outcomes as the spool keeps them, each a line, and the length of each."""


@dataclass(frozen=True)
class Reply:
    """An answer: an outcome for every item of the chunk, in its order, the wrapper's summary, seconds.

    `lines` are the outcomes as the spool keeps them, where they are made already; results are there alone.
    """

    outcomes: list[Outcome]
    summary: dict[str, Any]
    seconds: float = field(default=0.0, compare=False)
    lines: Lines | None = field(default=None, compare=False)

    @cached_property
    def clean(self) -> bool:
        """Whether every item has a result."""
        return not {Fate.FAILED, Fate.AGAIN}.intersection(map(_FATE, self.outcomes))


@dataclass(frozen=True)
class Lost:
    """A send without outcomes: why, in the platform's words, the wait that it asks for, and seconds taken."""

    fault: Fault
    type: str
    message: str
    retry_after: float | None = None
    seconds: float = field(default=0.0, compare=False)

    def outcome(self, attempts: int) -> Outcome:
        """What becomes of an item that is given up for this."""
        return Outcome(Fate.FAILED, error_text(self.type, self.message, retryable=False), attempts)


def process_chunk(
    chunk: Chunk,
    call: Call,
    terms: Terms,
    turn: AbstractContextManager[None] = ANY_TIME,
    lay: Callable[[Chunk, list[str]], Lines] | None = None,
) -> Reply | Lost:
    """Sends a chunk once.

    Args:
        chunk: at least one item; goes out as try `chunk.tries + 1`.
        call: makes the call.
        terms: what holds for the run.
        turn: entered once the chunk is ready to leave, and left when its call is over.
        lay: makes the lines of an answer that is all results; else every result stays in its outcome. Many
            answers may have to wait until they are settled: as objects they take three times the memory.

    Returns:
        What became of each item, or why nothing is known of any. Platform errors never escape.
    """
    started = terms.clock()

    def in_turn(body: bytes, timeout: float) -> bytes:
        nonlocal started
        with turn:
            started = terms.clock()
            return call(body, timeout)

    try:
        reply = _process(chunk, in_turn, terms, lay)
    except Recalled:
        reply = Lost(Fault.UNSENT, "Unsent", "it did not leave")
    except (PlatformError, UsageError) as error:
        seconds = terms.clock() - started
        late = _is_late(error, seconds, len(chunk), terms)
        reply = _lost(error, late=late, alive=lambda: _alive(call))
    return replace(reply, seconds=terms.clock() - started)


def _process(
    chunk: Chunk, call: Call, terms: Terms, lay: Callable[[Chunk, list[str]], Lines] | None
) -> Reply | Lost:
    try:
        body, uploaded = _request(chunk, terms)
        try:
            answer = read_answer(of_platform(call(body, terms.timeout)))
        finally:
            if uploaded and terms.sideband:
                terms.sideband.discard(uploaded)
        if isinstance(answer, protocol.ItemError):
            return Lost(_FAULTS.get(answer.type, Fault.REFUSED), answer.type, answer.message)
        results = _results(answer, terms)
        if len(results) != len(chunk):
            raise protocol.ProtocolError(
                f"the wrapper answered {len(results)} results for {len(chunk)} items"
            )
        for at, reason in over_limits(results):
            text = error_text("ParsingError", f"the result {reason}", retryable=False)
            results[at] = f'{{"$error":{text}}}'
        errors = list(error_objects(results))
        if lay and not errors:
            ok = {attempts: Outcome(Fate.OK, "", attempts) for attempts in set(chunk.attempts)}
            outcomes = [ok[attempts] for attempts in chunk.attempts]
            return Reply(outcomes, answer.summary, lines=lay(chunk, results))
        outcomes = list(map(_outcome, zip(repeat(Fate.OK), results, chunk.attempts, strict=False)))
        for at, value in errors:
            error = protocol.ItemError.from_wire(value["$error"])
            outcomes[at] = _failed(error, chunk.attempts[at], terms.attempts)
        return Reply(outcomes, answer.summary)
    except protocol.ProtocolError as error:
        return Lost(Fault.LOST, "ServerError", str(error))
    except AlgorithmFailed as error:
        return Lost(_FAULTS.get(error.error_type, Fault.REFUSED), error.error_type, error.detail)


def got_nowhere(reply: Reply) -> Lost | None:
    """An answer in which nothing was tried is no answer: without this, sending could go round for ever."""
    summary = reply.summary
    if summary.get("stopped") or summary.get("throttled"):
        return None
    if summary.get("calls") or any(outcome.fate is not Fate.AGAIN for outcome in reply.outcomes):
        return None
    error = json.loads(reply.outcomes[0].body)
    fault = Fault.DOWN if error["type"] == "DatastoreError" else Fault.TIMEOUT
    return Lost(fault, error["type"], error["message"], seconds=reply.seconds)


def request_body(chunk: Chunk, terms: Terms, batch: bytes | None = None) -> bytes:
    """The body of form 3 for a chunk; `batch` replaces the list of items, as a URL in JSON."""
    first = chunk.indexes[0]
    index = str(first) if chunk.contiguous else json.dumps(list(chunk.indexes), separators=(",", ":"))
    ids = f',"$ids":{json.dumps(list(chunk.ids), separators=(",", ":"))}' if chunk.ids else ""
    rest = f',"$run":"{terms.run}","$index":{index}{ids},"$try":{chunk.tries + 1},"$timeout":{terms.told}}}'
    items = batch if batch is not None else b"[" + b",".join(chunk.items) + b"]"
    return b"".join((b'{"$batch":', items, rest.encode("ascii")))


def error_text(kind: str, message: str, *, retryable: bool) -> str:
    """An error object as outcomes carry it."""
    return protocol.dumps({"type": kind, "message": message, "retryable": retryable}).decode("ascii")


def _request(chunk: Chunk, terms: Terms) -> tuple[bytes, str | None]:
    body = request_body(chunk, terms)
    if len(body) <= terms.request_bytes:
        return body, None
    if len(chunk) > 1 or terms.sideband is None:
        raise TooLarge(f"the request has {len(body):,} bytes, the limit is {terms.request_bytes:,}")
    url = terms.sideband.upload(chunk.items[0] + b"\n")
    return request_body(chunk, terms, protocol.dumps(url)), url


def _results(answer: Answered, terms: Terms) -> list[str]:
    if not isinstance(answer.results, str):
        return answer.results
    if terms.sideband is None:
        raise protocol.ProtocolError(f"the results are at {answer.results}, which can't be read here")
    try:
        return read_results(terms.sideband.fetch(answer.results).decode("utf-8"))
    except UnicodeDecodeError as error:
        raise protocol.ProtocolError(f"the results at {answer.results} are not UTF-8") from error


def _failed(error: protocol.ItemError, before: int, limit: int) -> Outcome:
    attempts = before + error.attempts
    again = error.retryable and (error.attempts == 0 or attempts < limit)
    text = error_text(error.type, error.message, retryable=error.retryable)
    return Outcome(Fate.AGAIN if again else Fate.FAILED, text, attempts)


_FAULTS = {
    "TimeoutError": Fault.TIMEOUT,
    "DeadlineExceeded": Fault.TIMEOUT,
    "TooLargeError": Fault.TOO_LARGE,
    "OutOfMemoryError": Fault.TOO_LARGE,
    "OutOfGpuMemoryError": Fault.TOO_LARGE,
    "TooManyRequests": Fault.THROTTLED,
    "AuthenticationError": Fault.STOPPED,
    "PaymentRequiredError": Fault.STOPPED,
    "ConnectionError": Fault.LOST,
    "ServerError": Fault.LOST,
    "SystemError": Fault.LOST,
    "SystemExit": Fault.LOST,
    "DatastoreError": Fault.DOWN,
    "LoadingError": Fault.DOWN,
}
"""Errors of a call as a whole; any other type is an input that the wrapper refuses."""

_BY_CLASS: tuple[tuple[type[Exception], Fault, str], ...] = (
    (Throttled, Fault.THROTTLED, "TooManyRequests"),
    (NotAuthorized, Fault.STOPPED, "AuthenticationError"),
    (NoCredentials, Fault.STOPPED, "AuthenticationError"),
    (PaymentRequired, Fault.STOPPED, "PaymentRequiredError"),
    (NotFound, Fault.STOPPED, "EntityNotFoundError"),
    (TooLarge, Fault.TOO_LARGE, "TooLargeError"),
    (BadRequest, Fault.REFUSED, "InputError"),
)
"""Errors of the client; the most particular first."""


_AWAY = frozenset({408, 502, 504, 521, 522, 523, 524})
"""Statuses of a gateway that had no answer of the platform in time."""

_BUSY = frozenset({425, 429, 503, 529})
"""Statuses that ask to come again later: never a chunk's own fault."""

GATEWAY_SECONDS = 30.0
"""Seconds after which a gateway's own limit is a likelier cause of its 504 than a platform that is away."""


def _is_late(error: PlatformError | UsageError, seconds: float, items: int, terms: Terms) -> bool:
    """Whether a call took so long that time is what it lacked; smaller chunks can be tried sooner."""
    if isinstance(error, PlatformError) and error.status in _AWAY:
        return seconds >= terms.timeout / 2 or (items > 1 and seconds >= GATEWAY_SECONDS)
    return seconds >= terms.timeout


def _lost(error: PlatformError | UsageError, *, late: bool, alive: Callable[[], bool]) -> Lost:
    if isinstance(error, UsageError):
        return Lost(Fault.STOPPED, "ServerError", error.message)
    for kind, fault, name in _BY_CLASS:
        if isinstance(error, kind):
            return Lost(fault, name, error.message, error.retry_after)
    if error.status in _BUSY:
        return Lost(Fault.THROTTLED, "ServerError", error.message, error.retry_after)
    if not (isinstance(error, (Unreachable, ServerFault)) or fault_of_status(error.status)):
        return Lost(Fault.STOPPED, "ServerError", error.message)
    if late:
        return Lost(Fault.TIMEOUT, "TimeoutError", error.message)
    name = "ConnectionError" if isinstance(error, Unreachable) else "ServerError"
    # Only a platform that answers others blames this chunk; a gateway speaks for the platform behind it.
    blamed = error.status not in _AWAY and not isinstance(error, NotThePlatform) and alive()
    return Lost(Fault.LOST if blamed else Fault.DOWN, name, error.message, error.retry_after)


def fault_of_status(status: int | None) -> Fault | None:
    """The fault of a whole service that a status tells of; None where waiting would not help."""
    if status in _BUSY:
        return Fault.THROTTLED
    return Fault.DOWN if status in _AWAY or (status or 0) >= 500 else None


class NotThePlatform(ServerFault):
    """A page, or nothing, with status 200: something in between answered."""


def of_platform(body: bytes) -> bytes:
    """The body of an answer, if the platform can have written it.

    Raises:
        NotThePlatform: it is no JSON object.
    """
    if body[:1] != b"{" and body.lstrip()[:1] != b"{":
        start = body.lstrip()[:200].decode("utf-8", "replace").partition("\n")[0].strip()
        said = f"starts with {start[:100]!r}" if start else "is empty"
        raise NotThePlatform(f"the answer is not the platform's: it {said}")
    return body


def _alive(call: Call) -> bool:
    try:
        read_answer(of_platform(call(DESCRIBE, MARGIN)))
    except (Unreachable, ServerFault, protocol.ProtocolError):
        return False
    except (PlatformError, AlgorithmFailed):
        return True
    return True
