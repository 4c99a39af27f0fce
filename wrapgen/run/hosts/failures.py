"""What the errors of the platform's client mean for a run. The only place that knows statuses."""

from __future__ import annotations

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
from wrapgen.run.scheduling.replies import Fault, Lost

CALL_ERRORS = (AlgorithmFailed, PlatformError, UsageError)
"""What a call by the client may end with."""

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

_BY_CLASS: tuple[tuple[type[Exception], Fault, str], ...] = (
    (Throttled, Fault.THROTTLED, "TooManyRequests"),
    (NotAuthorized, Fault.STOPPED, "AuthenticationError"),
    (NoCredentials, Fault.STOPPED, "AuthenticationError"),
    (PaymentRequired, Fault.STOPPED, "PaymentRequiredError"),
    (NotFound, Fault.STOPPED, "EntityNotFoundError"),
    (TooLarge, Fault.TOO_LARGE, "TooLargeError"),
    (BadRequest, Fault.REFUSED, "InputError"),
    (UsageError, Fault.STOPPED, "ServerError"),
)
"""Errors of the client; the most particular first."""

_NO_ANSWER = frozenset({408, 502, 504, 521, 522, 523, 524})
"""Statuses of a gateway that had no answer of the platform in time."""

_BUSY = frozenset({425, 429, 503, 529})
"""Statuses that ask to come again later: never a chunk's own fault."""


class NotThePlatform(ServerFault):
    """A page, or nothing, with status 200: something in between answered."""


def platform_answer(body: bytes) -> bytes:
    """The body of an answer, if the platform can have written it.

    Raises:
        NotThePlatform: it is no JSON object.
    """
    if body[:1] != b"{" and body.lstrip()[:1] != b"{":
        start = body.lstrip()[:200].decode("utf-8", "replace").partition("\n")[0].strip()
        said = f"starts with {start[:100]!r}" if start else "is empty"
        raise NotThePlatform(f"the answer is not the platform's: it {said}")
    return body


def fault_of_type(error_type: str) -> Fault:
    """What an error of a call as a whole means; a type that is none of ours is an input that is refused."""
    return _FAULTS.get(error_type, Fault.REFUSED)


def lost_by(error: AlgorithmFailed | PlatformError | UsageError) -> Lost:
    """What an error of the client means for the chunk that was sent.

    `LOST` may be the chunk's own fault; `DOWN` is a gateway's word that the platform did not answer.
    """
    if isinstance(error, AlgorithmFailed):
        return Lost(fault_of_type(error.error_type), error.error_type, error.detail)
    for kind, fault, name in _BY_CLASS:
        if isinstance(error, kind):
            return Lost(fault, name, error.message, getattr(error, "retry_after", None))
    status, asked = getattr(error, "status", None), getattr(error, "retry_after", None)
    if status in _BUSY:
        return Lost(Fault.THROTTLED, "ServerError", error.message, asked)
    if status in _NO_ANSWER or isinstance(error, NotThePlatform):
        return Lost(Fault.DOWN, "ServerError", error.message, asked)
    if isinstance(error, Unreachable):
        return Lost(Fault.LOST, "ConnectionError", error.message, asked)
    if isinstance(error, ServerFault) or (status or 0) >= 500:
        return Lost(Fault.LOST, "ServerError", error.message, asked)
    return Lost(Fault.STOPPED, "ServerError", error.message)


def may_pass(error: Exception) -> Fault | None:
    """The fault of a whole service that an error tells of; None where waiting would not help."""
    if isinstance(error, PlatformError) and error.status is not None:
        status = error.status
        if status in _BUSY:
            return Fault.THROTTLED
        return Fault.DOWN if status in _NO_ANSWER or status >= 500 else None
    return Fault.DOWN if getattr(error, "retryable", False) else None
