"""How a call can end without its algorithm's answer, and what its caller is told then."""

from __future__ import annotations

from wrapgen.platform.calls.call import Call
from wrapgen.platform.calls.worker_protocol import CallFailure, read_response
from wrapgen.platform.workers.pool import LoadFailed


class CallEnded(Exception):
    """A call that the platform itself ends."""

    def problem(self, call: Call) -> CallFailure:
        """What the caller is told."""
        raise NotImplementedError


class CallerLeft(CallEnded):
    """The caller of a call that has not begun is gone."""

    def problem(self, call: Call) -> CallFailure:  # noqa: ARG002 - the same for all calls
        """Nobody reads it but the logs."""
        return CallFailure("SystemError", "the caller left before a worker was free")


class CallExpired(CallEnded):
    """The time of a call is over."""

    def problem(self, call: Call) -> CallFailure:
        """How long it was, and whether it ever had a worker."""
        where = "" if call.worker else ", all of it waiting for a worker"
        return CallFailure("TimeoutError", f"no answer within {call.timeout:g} s{where}")


class CallRevoked(CallEnded):
    """The key of a call was revoked, or its account lost the right to call."""

    def problem(self, call: Call) -> CallFailure:  # noqa: ARG002 - the same for all calls
        """That it is about the key."""
        return CallFailure("AuthenticationError", "the key may not make this call any more")


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
