"""The JSON reply of a call (platform contract, section 2), put together without decoding the result."""

from __future__ import annotations

import msgspec

from wrapgen.platform.calls.call import CallOutcome
from wrapgen.platform.calls.worker_protocol import Result

_encode = msgspec.json.Encoder().encode


def envelope(outcome: CallOutcome) -> list[bytes | memoryview]:
    """The JSON reply of a call, in parts; the result is as the worker wrote it."""
    printed = b""
    if outcome.shown and outcome.output is not None:
        printed = b',"stdout":' + _encode(outcome.output.decode("utf-8", "replace"))
    answer = outcome.answer
    end = b'"duration":%.7f%s},"request_id":"%s"}' % (
        outcome.seconds,
        printed,
        outcome.call.id.encode("ascii"),
    )
    if isinstance(answer, Result):
        middle = b',"metadata":{"content_type":"%s",' % answer.kind.encode("ascii")
        return [b'{"result":', answer.text, middle, end]
    error = {"message": answer.message, "error_type": answer.kind}
    if outcome.shown and answer.trace:  # stacktrace on the wire; the Python client looks for stack_trace
        error["stacktrace"] = error["stack_trace"] = answer.trace
    return [b'{"error":', _encode(error), b',"metadata":{', end]
