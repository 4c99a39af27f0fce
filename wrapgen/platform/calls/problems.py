"""How a call can end without its algorithm's answer, and what its caller is told then."""

from __future__ import annotations

from wrapgen.platform.calls.call import Call
from wrapgen.platform.calls.worker_protocol import CallFailure, read_response
from wrapgen.platform.workers.pool import LoadFailed

LEFT = CallFailure("SystemError", "the caller left before a worker was free")
"""Of a call that has not begun when its caller is gone: only the logs show it."""

REVOKED = CallFailure("AuthenticationError", "the key may not make this call any more")
"""The key of a call was revoked, or its account lost the right to call."""


class CallEnded(Exception):
    """A call that the platform itself ends; `failure` is what its caller is told."""

    def __init__(self, failure: CallFailure) -> None:
        super().__init__(failure.message)
        self.failure = failure


def expired(call: Call) -> CallFailure:
    """The time of a call is over: how long it was, and whether it ever had a worker."""
    where = "" if call.worker else ", all of it waiting for a worker"
    return CallFailure("TimeoutError", f"no answer within {call.timeout:g} s{where}")


def load_problem(failed: LoadFailed, *, shown: bool) -> CallFailure:
    """What a failed start is told as.

    Args:
        failed: which worker, or why there was none.
        shown: whether the reader may see what the algorithm printed.
    """
    worker = failed.worker
    if worker is not None and worker.load_response is not None:
        told = read_response(worker.load_response)
        if isinstance(told, CallFailure):
            return told
    if worker is None or worker.exited is None:
        return CallFailure("LoadingError", failed.reason)
    output = worker.exited.output
    lines = output.strip().splitlines()
    said = f": {lines[-1]}" if lines and shown else ""
    return CallFailure("LoadingError", f"{worker.exited.words} while loading{said}", output)
