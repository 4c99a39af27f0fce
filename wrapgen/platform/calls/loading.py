"""Loading a build once, without a call: how a release without test cases is tried."""

from __future__ import annotations

from wrapgen.errors import BadRequest
from wrapgen.platform.calls.problems import load_problem
from wrapgen.platform.calls.worker_protocol import CallFailure, Result, read_response
from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers.lease import Lease
from wrapgen.platform.workers.pool import LoadFailed, Pools
from wrapgen.platform.workers.worker import Worker, WorkerEnded
from wrapgen.worker.start import LOAD_REQUEST


async def load(pools: Pools, runnable: Runnable) -> None:
    """Waits until a worker has loaded.

    Raises:
        BadRequest: it can't be loaded; with what it printed.
    """
    lease = Lease([LOAD_REQUEST], output=False, urgent=False, begin=_nothing, end=_nothing)
    answer: Result | CallFailure
    try:
        pools.get(runnable).lend(lease)
        answer = read_response((await lease.future).line or b"")
    except LoadFailed as failed:
        answer = load_problem(failed, shown=True)
    except WorkerEnded as ended:
        answer = CallFailure("LoadingError", f"{ended.exited.words} while loading", ended.exited.output)
    finally:
        lease.release()
    if isinstance(answer, CallFailure) and answer.kind == "LoadingError":
        trace = f"\n{answer.trace.strip()}" if answer.trace.strip() else ""
        raise BadRequest(f"it can't be loaded: {answer.message}{trace}", reason="loading-failed")


def _nothing(_: Worker) -> None:
    pass
