"""The local platform: hosts algorithms and data behind the Algorithmia API, and knows nothing of specs.

`open_platform` opens a home folder; `wrapgen.platform.api` serves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from wrapgen.errors import Conflict
from wrapgen.platform.calls.call import CallLimits
from wrapgen.platform.calls.fault_rules import FaultRules
from wrapgen.platform.calls.service import CallService
from wrapgen.platform.calls.void_calls import VoidCalls
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.domain.model import Algorithm, Caller
from wrapgen.platform.observe.background import going_on
from wrapgen.platform.observe.observer import Observer
from wrapgen.platform.state import State, open_platform_state
from wrapgen.platform.workers.ceiling_watch import watch
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups
from wrapgen.platform.workers.disk import remove
from wrapgen.platform.workers.pool import GROW_SECONDS, Pools, Size
from wrapgen.platform.workers.sandbox import Isolation

__all__ = ["Bounds", "CallLimits", "Ceilings", "Isolation", "Platform", "Size", "open_platform"]


@dataclass(frozen=True)
class Platform:
    """Everything that is hosted in one home.

    Args:
        state: accounts, algorithms, builds, data and the rest of what is kept.
        pools: the workers.
        calls: calls of algorithms.
        unattended: those that no caller waits for.
        faults: what goes wrong on request.
        observer: what is known of calls that were, and the server's log.
        bounds: what one request may cost.
    """

    state: State
    pools: Pools
    calls: CallService
    unattended: VoidCalls
    faults: FaultRules
    observer: Observer
    bounds: Bounds

    async def delete_account(self, reference: str, kind: str) -> None:
        """Removes an account, and what is kept under its name: another may come to have that.

        Raises:
            NotFound: there is none of that kind.
            Conflict: it has open calls, or may not go (see `Accounts.delete`).
        """
        account = await asyncio.to_thread(self.state.accounts.get, reference, kind)
        if self.calls.open_of(account.name):
            raise Conflict(f"{account.name} has open calls", hint="delete it when they have ended")
        await asyncio.to_thread(self.state.accounts.delete, account)
        self.observer.forget(account.name)
        await asyncio.to_thread(self.unattended.forget, account.name)
        await asyncio.to_thread(self.state.errors.forget, account.name)

    def delete_algorithm(self, caller: Caller, algorithm: Algorithm) -> None:
        """Removes an algorithm with its builds, repository and files, and what is known of its calls.

        Raises:
            NotAuthorized: it is not the caller's.
        """
        self.state.algorithms.delete(caller, algorithm)
        self.state.data.forget_algorithm(algorithm.id)
        self.observer.forget_algorithm(algorithm.owner, algorithm.name)

    async def run(self, address: str) -> None:
        """Looks after the workers until cancelled; then ends every one of them.

        Args:
            address: where algorithms reach this platform.
        """
        self.pools.common.address = address
        self.observer.log.note("start", address=address, home=str(self.state.home))
        log = asyncio.create_task(self.observer.log.tend())
        usage = asyncio.create_task(watch(self.pools.alive))
        resumed = asyncio.create_task(self.unattended.resume())
        try:
            while True:
                await asyncio.sleep(GROW_SECONDS)
                with going_on("looking after the workers"):
                    now = time.monotonic()
                    self.pools.tend(now)
                    self.calls.expire(now)
        finally:
            resumed.cancel()
            usage.cancel()
            await self.unattended.close()
            await self.pools.close()
            self.observer.log.note("stop")
            log.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await log

    def close(self) -> None:
        """Closes what `open_platform` opened; the workers have ended by then."""
        self.state.close()
        if self.pools.common.cgroups is not None:
            self.pools.common.cgroups.close()
        remove(self.pools.common.root)


def open_platform(
    home: Path,
    *,
    limits: CallLimits | None = None,
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
    limits, bounds = limits or CallLimits(), bounds or Bounds()
    ceilings, cgroups = ceilings or Ceilings(response=limits.response), Cgroups.find()
    state = open_platform_state(
        home, variables=variables, bounds=bounds, isolation=isolation, ceilings=ceilings, cgroups=cgroups
    )
    root = state.home / "workers"
    remove(root)  # of a server that was killed
    root.mkdir()
    pools = Pools(root, size or Size(), ceilings, state.sandbox, cgroups=cgroups)
    calls = CallService(state, pools, limits)
    observer = Observer(state.home / "logs", calls, state.errors, bounds)
    unattended = VoidCalls(state.home / "requests", calls, time.time)
    return Platform(state, pools, calls, unattended, FaultRules(random.random), observer, bounds)
