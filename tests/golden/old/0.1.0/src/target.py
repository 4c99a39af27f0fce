"""Calls of the target through the platform, each failure with its true type.

Here live the request, and what an answer's status and error type mean. Whether to try again is decided in
``attempts``, which items go together in ``batches``.
"""

import json
from typing import Any  # noqa: F401 - for the type comments

from .protocol import Failure, decode_answer, encode_body, failure_of
from .transport import ConnectionFailed, Transport

RETRYABLE = {
    "ConnectionError",
    "LoadingError",
    "ServerError",
    "SystemExit",  # the target's process ended, which may be the item's doing or its host's
    "TimeoutError",
    "TooManyRequests",
}
STOPPING = {"AuthenticationError", "PaymentRequiredError"}
STATUS_TYPES = {
    400: "InputError",
    401: "AuthenticationError",
    402: "PaymentRequiredError",
    403: "AuthenticationError",
    404: "EntityNotFoundError",
    408: "TimeoutError",
    413: "TooLargeError",
    415: "UnsupportedError",
    422: "InputError",
    429: "TooManyRequests",
    504: "TimeoutError",
}


class CallFailed(Failure):
    """One call of the target went wrong."""

    called = True

    def __init__(self, error_type, message, status=None, retry_after=None):
        # type: (str, str, int | None, float | None) -> None
        super().__init__(error_type, message, error_type in RETRYABLE or error_type in STOPPING)
        self.stops = error_type in STOPPING
        self.throttled = error_type == "TooManyRequests"
        self.status = status
        self.retry_after = retry_after


class Target:
    """The target algorithm: ``call`` sends one input and returns its result, ``call_list`` a whole list."""

    def __init__(self, client, target):
        # type: (Any, dict) -> None
        """``client`` is the vendor's; ``target`` names the algorithm and the largest body for it."""
        self._transport = Transport(client)
        self._path = "/v1/algo/" + target["algorithm"]
        self._request_bytes = target["request_bytes"]

    def call(self, value, seconds):
        # type: (Any, float) -> Any
        """The target's result for one input, granted so many seconds.

        Raises ``CallFailed``; before anything is sent, ``InputError``, or ``Failure`` for what is too large.
        """
        body, content_type = encode_body(value)
        return self._send(body, content_type, seconds)

    def call_list(self, items, seconds):
        # type: (list, float) -> Any
        """The target's result for the list of these items, each ``encoded`` already; else like ``call``."""
        body = "[" + ", ".join([item.encoded for item in items]) + "]"
        return self._send(body.encode("ascii"), "application/json", seconds)

    def _send(self, body, content_type, seconds):
        if len(body) > self._request_bytes:
            words = "the input has {} bytes on the wire; at most {} may be sent"
            raise Failure("TooLargeError", words.format(len(body), self._request_bytes))
        seconds = max(1, int(seconds))
        path = "{}?timeout={}".format(self._path, seconds)
        try:
            answer = self._transport.send("POST", path, body, {"Content-Type": content_type}, seconds)
        except ConnectionFailed as error:
            raise CallFailed("TimeoutError" if error.timed_out else "ConnectionError", str(error)) from None
        if answer.status != 200:
            raise failed_status(answer)
        try:
            return decode_answer(answer.body)
        except Failure as failure:
            raise CallFailed(failure.error_type, failure.message) from None


def failed_status(answer):
    # type: (Any) -> CallFailed
    """What an answer other than 200 means: its status, refined by the error type in its body."""
    default = STATUS_TYPES.get(answer.status, "ServerError")
    try:
        failure = failure_of(json.loads(answer.body.decode("utf-8"))["error"])
    except (TypeError, ValueError, KeyError, RecursionError):
        failure = Failure("AlgorithmError", answer.body[:200].decode("utf-8", "replace").strip())
    decided = default in STOPPING or answer.status in (404, 429) or failure.error_type == "AlgorithmError"
    return CallFailed(
        default if decided else failure.error_type,
        "status {}{}".format(answer.status, ": " + failure.message if failure.message else ""),
        answer.status,
        _seconds(answer.headers.get("Retry-After")),
    )


def _seconds(header):
    try:
        return max(0.0, float(header))
    except (TypeError, ValueError):  # absent, or a date, which needs a clock that agrees with the platform's
        return None
