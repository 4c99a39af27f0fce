"""What the errors of the platform's client mean for a run. The only place of a run that knows statuses."""

from __future__ import annotations

from wrapgen.client.statuses import BUSY, NO_ANSWER
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
from wrapgen.run.scheduling.replies import LossKind, Lost

CALL_ERRORS = (AlgorithmFailed, PlatformError, UsageError)
"""What a call by the client may end with."""

_FAULTS = {
    "TimeoutError": LossKind.TIMEOUT,
    "DeadlineExceeded": LossKind.TIMEOUT,
    "TooLargeError": LossKind.TOO_LARGE,
    "OutOfMemoryError": LossKind.TOO_LARGE,
    "OutOfGpuMemoryError": LossKind.TOO_LARGE,
    "TooManyRequests": LossKind.THROTTLED,
    "AuthenticationError": LossKind.STOPPED,
    "PaymentRequiredError": LossKind.STOPPED,
    "ConnectionError": LossKind.LOST,
    "ServerError": LossKind.LOST,
    "SystemError": LossKind.LOST,
    "SystemExit": LossKind.LOST,
    "DatastoreError": LossKind.DOWN,
    "LoadingError": LossKind.DOWN,
}

_BY_CLASS: tuple[tuple[type[Exception], LossKind, str], ...] = (
    (Throttled, LossKind.THROTTLED, "TooManyRequests"),
    (NotAuthorized, LossKind.STOPPED, "AuthenticationError"),
    (NoCredentials, LossKind.STOPPED, "AuthenticationError"),
    (PaymentRequired, LossKind.STOPPED, "PaymentRequiredError"),
    (NotFound, LossKind.STOPPED, "EntityNotFoundError"),
    (TooLarge, LossKind.TOO_LARGE, "TooLargeError"),
    (BadRequest, LossKind.REFUSED, "InputError"),
    (UsageError, LossKind.STOPPED, "ServerError"),
)
"""Errors of the client; the most particular first."""


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


def fault_of_type(error_type: str) -> LossKind:
    """What an error of a call as a whole means; a type that is none of ours is an input that is refused."""
    return _FAULTS.get(error_type, LossKind.REFUSED)


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
    if status in BUSY:
        return Lost(LossKind.THROTTLED, "ServerError", error.message, asked)
    if status in NO_ANSWER or isinstance(error, NotThePlatform):
        return Lost(LossKind.DOWN, "ServerError", error.message, asked)
    if isinstance(error, Unreachable):
        return Lost(LossKind.LOST, "ConnectionError", error.message, asked)
    if isinstance(error, ServerFault) or (status or 0) >= 500:
        return Lost(LossKind.LOST, "ServerError", error.message, asked)
    return Lost(LossKind.STOPPED, "ServerError", error.message)


def may_pass(error: Exception) -> LossKind | None:
    """The fault of a whole service that an error tells of; None where waiting would not help."""
    if isinstance(error, PlatformError) and error.status is not None:
        status = error.status
        if status in BUSY:
            return LossKind.THROTTLED
        return LossKind.DOWN if status in NO_ANSWER or status >= 500 else None
    return LossKind.DOWN if getattr(error, "retryable", False) else None
