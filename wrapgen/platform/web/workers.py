"""Workers and queues of the algorithms that are one's own or one's organizations'."""

from __future__ import annotations

import time
from dataclasses import dataclass

from starlette.responses import Response

from wrapgen.platform.web.activity import is_fragment
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit, WebPage
from wrapgen.platform.workers.pool import Pool
from wrapgen.platform.workers.process_tree import memory_bytes


@dataclass(frozen=True)
class _Process:
    """One worker: its process, seconds since its start, bytes in memory, and whether it has a call."""

    id: int
    age: float
    memory: int | None
    busy: bool


@dataclass(frozen=True)
class _Shown:
    """One version's pool as it stands; `ceiling` is bytes of one worker."""

    algorithm: str
    version: str
    processes: list[_Process]
    starting: int
    waiting: int
    most: int
    ceiling: int | None
    replaced: int
    crashes: int

    @classmethod
    def of(cls, pool: Pool, now: float) -> _Shown:
        runnable = pool.runnable
        workers = sorted(pool.workers, key=lambda worker: worker.started)
        return cls(
            algorithm=f"{runnable.owner}/{runnable.name}",
            version=pool.version,
            processes=[
                _Process(
                    each.process, now - each.started, memory_bytes(each.innermost), not pool.is_idle(each)
                )
                for each in workers
            ],
            starting=pool.starting,
            waiting=pool.waiting,
            most=pool.size.most,
            ceiling=pool.ceilings.memory,
            replaced=pool.replaced,
            crashes=pool.crashes,
        )

    @property
    def busy(self) -> int:
        return sum(each.busy for each in self.processes)


async def workers(visit: Visit) -> Response:
    """GET /web/workers"""
    caller, calls, now = visit.caller, visit.platform.calls, time.monotonic()
    own = [pool for pool in calls.pools.by_key.values() if caller.owns(pool.runnable.owner)]
    pools = sorted((_Shown.of(pool, now) for pool in own), key=lambda pool: (pool.algorithm, pool.version))
    context = {
        "fragment": is_fragment(visit),
        "pools": pools,
        "in_use": calls.open_of(caller.account),
        "limit": calls.limits.account,
    }
    return visit.html("workers.html", context)


PAGES = (WebPage(f"{ROOT}/workers", workers),)
