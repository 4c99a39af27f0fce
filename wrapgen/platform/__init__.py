"""The local platform: hosts algorithms and data behind the Algorithmia API, and knows nothing of specs.

`open_platform` opens a home folder; `wrapgen.platform.api` serves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from wrapgen.platform.calls.call import Limits, Outcome
from wrapgen.platform.calls.fault_rules import Faults
from wrapgen.platform.calls.service import Calls
from wrapgen.platform.calls.void_calls import Unattended
from wrapgen.platform.calls.worker_protocol import Problem
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.observe.activity import Activity
from wrapgen.platform.observe.metrics import Metrics
from wrapgen.platform.observe.minutes import Minutes
from wrapgen.platform.observe.server_log import CallEntry, Journal
from wrapgen.platform.state import State, open_platform_state
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups
from wrapgen.platform.workers.pool import GROW_SECONDS, Pools, Size
from wrapgen.platform.workers.sandbox import Isolation
from wrapgen.platform.workers.usage import watch

__all__ = ["Bounds", "Ceilings", "Isolation", "Limits", "Platform", "Size", "open_platform"]


@dataclass(frozen=True)
class Platform:
    """Everything that is hosted in one home.

    Args:
        state: accounts, algorithms, builds, data and the rest of what is kept.
        pools: the workers.
        calls: calls of algorithms.
        unattended: those that nobody waits for.
        faults: what goes wrong on request.
        metrics: numbers about them.
        activity: which calls there are and were, by account.
        minutes: numbers of the last hour.
        journal: the server's log.
        bounds: what one request may cost.
    """

    state: State
    pools: Pools
    calls: Calls
    unattended: Unattended
    faults: Faults
    metrics: Metrics
    activity: Activity
    minutes: Minutes
    journal: Journal
    bounds: Bounds

    async def forget(self, account: str) -> None:
        """Drops what is kept of an account that is no more: the next of its name must not see it."""
        self.activity.forget(account)
        self.minutes.forget(account)
        self.metrics.forget(account)
        await asyncio.to_thread(self.unattended.forget, account)
        await asyncio.to_thread(self.state.failures.forget, account)

    async def run(self, address: str) -> None:
        """Looks after the workers until cancelled; then ends every one of them.

        Args:
            address: where algorithms reach this platform.
        """
        self.pools.common.address = address
        self.journal.note("start", address=address, home=str(self.state.home))
        journal = asyncio.create_task(self.journal.tend())
        usage = asyncio.create_task(watch(self.pools.alive))
        resumed = asyncio.create_task(self.unattended.resume())
        try:
            while True:
                await asyncio.sleep(GROW_SECONDS)
                now = time.monotonic()
                self.pools.tend(now)
                self.calls.expire(now)
        finally:
            resumed.cancel()
            usage.cancel()
            await self.unattended.close()
            await self.pools.close()
            self.journal.note("stop")
            journal.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await journal

    def close(self) -> None:
        """Closes what `open_platform` opened; the workers have ended by then."""
        self.state.close()
        if self.pools.common.cgroups is not None:
            self.pools.common.cgroups.close()
        with contextlib.suppress(OSError):
            shutil.rmtree(self.pools.common.root)


def open_platform(
    home: Path,
    *,
    limits: Limits | None = None,
    size: Size | None = None,
    ceilings: Ceilings | None = None,
    bounds: Bounds | None = None,
    isolation: Isolation | None = None,
    variables: Mapping[str, str] | None = None,
) -> Platform:
    """Opens a home folder, made when missing.

    Args:
        home: holds everything that is kept.
        limits: what calls may take.
        size: how large the pool of a version may get.
        ceilings: what one worker may use.
        bounds: what one request may cost.
        isolation: what is asked of the sandbox; None for no sandbox.
        variables: environment variables; None takes the process's.

    Raises:
        UsageError: another server has this home open, or there can be no sandbox.
    """
    limits, bounds = limits or Limits(), bounds or Bounds()
    ceilings, cgroups = ceilings or Ceilings(response=limits.response), Cgroups.find()
    state = open_platform_state(
        home, variables=variables, bounds=bounds, isolation=isolation, ceilings=ceilings, cgroups=cgroups
    )
    root = state.home / "workers"
    shutil.rmtree(root, ignore_errors=True)  # of a server that was killed
    root.mkdir()
    pools = Pools(root, size or Size(), ceilings, state.sandbox, cgroups=cgroups)
    calls = Calls(state, pools, limits, bounds)
    journal = Journal(state.home / "logs", bounds=bounds)
    calls.listeners.append(partial(_note, journal))
    unattended = Unattended(state.home / "requests", calls, time.time)
    return Platform(
        state,
        pools,
        calls,
        unattended,
        Faults(random.random),
        Metrics(calls, bounds),
        Activity(calls),
        Minutes(calls),
        journal,
        bounds,
    )


def _note(journal: Journal, outcome: Outcome) -> None:
    """Logs a call that has ended; never its input or result."""
    call, answer = outcome.call, outcome.answer
    runnable = call.runnable
    entry = CallEntry(
        time=journal.now(),
        request_id=call.id,
        session=call.root.id,
        account=call.caller.account,
        algorithm=runnable.owner + "/" + runnable.name + "/" + runnable.version,
        error_type=answer.kind if isinstance(answer, Problem) else None,
        seconds=outcome.seconds,
        total=time.monotonic() - call.started,
        bytes=len(call.request.body),
        worker=call.worker.process if call.worker else None,
        run=call.run,
    )
    journal.add(entry)
