"""What an HTTP answer that is no result means for the item, whichever target gave it."""

from __future__ import annotations

import re
from typing import Any, Mapping

from .protocol import ATTEMPT, STOP, THROTTLED, Failure

# What a status means for the call of an item: the error's type, the effect, whether sending again can help.
STATUSES = {
    400: ("InputError", ATTEMPT, False),
    401: ("AuthenticationError", STOP, True),
    402: ("PaymentRequiredError", STOP, True),
    403: ("AuthenticationError", STOP, True),
    404: ("EntityNotFoundError", STOP, True),
    408: ("TimeoutError", ATTEMPT, True),
    413: ("TooLargeError", ATTEMPT, False),
    415: ("UnsupportedError", ATTEMPT, False),
    422: ("InputError", ATTEMPT, False),
    429: ("TooManyRequests", THROTTLED, True),
    503: ("ServerError", THROTTLED, True),
    504: ("TimeoutError", ATTEMPT, True),
}
OTHER_STATUS = ("ServerError", ATTEMPT, True)
RETRIED = ("ConnectionError", "LoadingError", "ServerError", "SystemExit", "TimeoutError", "TooManyRequests")


def failure_of(error_type: str, message: str, effect: str = ATTEMPT, retryable: Any = None) -> Failure:
    """A call of the target that went wrong; its type tells whether sending it again can help."""
    return Failure(error_type, message, error_type in RETRIED if retryable is None else retryable, effect)


def retry_after(headers: Mapping[str, str] | Any) -> float | None:
    """Seconds that a server asks to wait; a date would need a clock that agrees with the server's."""
    seconds = headers.get("Retry-After", "")
    return max(0.0, float(seconds)) if re.fullmatch(r"-?\d+(\.\d+)?", seconds) else None
