"""The workers of a version, and the pools of all versions: started on demand, sized by load, retired idle.

A call takes a worker, has it alone, and gives it back. Who may call and how long is decided in `calls`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers import process_tree
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups
from wrapgen.platform.workers.lease import Lease
from wrapgen.platform.workers.processors import Processors
from wrapgen.platform.workers.sandbox import Sandbox
from wrapgen.platform.workers.worker import Worker
from wrapgen.platform.workers.workspace import Surroundings, Workspace

GROW_SECONDS = 0.1
"""How long the oldest waiting call has waited before a pool grows beyond the number of processors."""

CROWDED_SECONDS = 3.0
"""The same where all processors are busy, be it with other work: workers that only wait still get more."""

BUSY_SHARE, CROWDED_SHARE = 0.8, 0.7
"""Share of the processors in use above which more workers would not help, or hardly: by a pool's own workers,
and by anything."""


@dataclass(frozen=True)
class Size:
    """How large a pool may get.

    Args:
        most: workers of one version.
        at_once: workers that are started without waiting to see whether they are needed.
        idle_seconds: after which a worker without work is retired.
        load_seconds: longest time that loading may take.
    """

    most: int = 16
    at_once: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    idle_seconds: float = 300.0
    load_seconds: float = 600.0


class LoadFailed(Exception):
    """A worker could not be loaded; `worker` knows how it ended, or `reason` why it never started."""

    def __init__(self, worker: Worker | None, reason: str = "") -> None:
        super().__init__(reason)
        self.worker = worker
        self.reason = reason


class Pool:
    """The workers of one version.

    Args:
        runnable: what they run.
        pools: all pools of the server, with what they have in common.

    Attributes:
        starting: workers that are loading.
        alive: the workers that have not gone, in any state.
    """

    def __init__(self, runnable: Runnable, pools: Pools) -> None:
        self.runnable = runnable
        self.version = runnable.version
        self.workers: set[Worker] = set()
        self.crashes = 0
        self.replaced = 0
        self.size = pools.size
        self.ceilings = pools.ceilings
        self._pools = pools
        self._idle: list[tuple[float, Worker]] = []  # the last one back is the first to go out: others retire
        self._queue: deque[tuple[float, Lease]] = deque()
        self.starting = 0
        self.alive: set[Worker] = set()
        self._starts: set[asyncio.Task[None]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._looked = (0.0, 0.0)
        self._closed = False

    @property
    def waiting(self) -> int:
        """Calls that wait for a worker."""
        return sum(lease.waits for _, lease in self._queue)

    @property
    def idle(self) -> int:
        """Workers without work."""
        return len(self._idle)

    def is_idle(self, worker: Worker) -> bool:
        """Whether a worker has no call now."""
        return any(each is worker for _, each in self._idle)

    @property
    def unused(self) -> bool:
        """Whether nothing is left here: no worker in any state, no call waiting."""
        return not (self.alive or self._queue or self.starting)

    def lend(self, lease: Lease) -> None:
        """Lends an idle worker, else the next free one: one that is started for it where that helps.

        Its future raises LoadFailed if the algorithm can't be loaded. Where it is urgent, waiting might
        never end, so a worker may be started beyond the pool's size.
        """
        while self._idle:
            since, worker = self._idle.pop()
            if worker.exited is None:
                if not lease.acquire(self, worker):
                    self._idle.append((since, worker))
                return
        waiting = (time.monotonic(), lease)
        if lease.urgent:
            self._queue.appendleft(waiting)
        else:
            self._queue.append(waiting)
        if lease.urgent or self._total < min(self.size.at_once, self.size.most):
            self._grow()

    def give_back(self, worker: Worker) -> None:
        """Ends a lease's hold on a worker; the one that waits longest gets it."""
        surplus = len(self.workers) > self.size.most and not any(
            lease.urgent and lease.waits for _, lease in self._queue
        )
        if worker.exited is not None or surplus or self._closed:
            self._retire(worker)
            self._replace()
            return
        while self._queue:
            if self._queue.popleft()[1].acquire(self, worker):
                return
        self._idle.append((time.monotonic(), worker))

    def discard(self, worker: Worker) -> None:
        """Ends a worker that can't be used again, with its children; another takes its place if needed."""
        worker.kill()
        self.replaced += 1
        self._forget(worker)
        self._replace()

    def tend(self, now: float) -> None:
        """What has to be done every now and then: grow under load, retire the idle.

        Args:
            now: time.monotonic().
        """
        while self._queue and not self._queue[0][1].waits:
            self._queue.popleft()
        patience = CROWDED_SECONDS if self._pools.processors.busy > CROWDED_SHARE else GROW_SECONDS
        late = bool(self._queue) and now - self._queue[0][0] >= patience
        room = self._total < self.size.most and self.starting < min(self.size.at_once, self.waiting)
        if late and room and not self._saturated(now):
            self._grow()
        while self._idle and now - self._idle[0][0] >= self.size.idle_seconds:
            self._retire(self._idle.pop(0)[1])

    async def close(self) -> None:
        """Ends all workers and waits until they are gone."""
        self._closed = True
        for _, lease in self._queue:
            lease.future.cancel()
        for task in self._starts:
            task.cancel()
        await asyncio.gather(*self._starts, return_exceptions=True)
        await asyncio.gather(*(worker.stop() for worker in list(self.alive)))

    def _saturated(self, now: float) -> bool:
        """Whether this pool's workers use up the processors already: more of them would only queue there."""
        used = sum(process_tree.cpu_seconds(worker.innermost) or 0.0 for worker in self.workers)
        before, then = self._looked
        self._looked = (used, now)
        if now - then > 1.0:  # too long ago to tell; the next look will
            return True
        return (used - before) / (now - then) > BUSY_SHARE * self.size.at_once

    def _replace(self) -> None:
        if self.waiting and self._total < min(self.size.at_once, self.size.most):
            self._grow()

    @property
    def _total(self) -> int:
        return len(self.workers) + self.starting

    def _grow(self) -> None:
        self.starting += 1
        task = self._spawn(self._start())
        self._starts.add(task)
        task.add_done_callback(self._starts.discard)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # the loop itself keeps only weak references
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start(self) -> None:
        try:
            worker = await self._load()
        except LoadFailed as failed:
            self.starting -= 1
            self._fail(failed)
        except BaseException:
            self.starting -= 1
            raise
        else:
            self.starting -= 1
            self.workers.add(worker)
            self.give_back(worker)

    async def _load(self) -> Worker:
        loop = asyncio.get_running_loop()
        try:
            place = await loop.run_in_executor(
                None, Workspace.make, self.runnable, self._pools.common, self.ceilings
            )
            worker = await self._begun(place)
        except OSError as error:
            raise LoadFailed(None, f"the worker could not be started: {error}") from error
        self.alive.add(worker)
        self._pools.known[worker.key] = worker
        self._spawn(self._see_off(worker))
        try:
            await asyncio.wait_for(worker.ready.wait(), self.size.load_seconds)
        except (TimeoutError, asyncio.TimeoutError) as error:
            worker.kill()
            raise LoadFailed(worker, f"loading took more than {self.size.load_seconds:g} s") from error
        if worker.exited is not None:
            raise LoadFailed(worker)
        return worker

    async def _begun(self, place: Workspace) -> Worker:
        try:
            return await Worker.start(self.runnable, place, self.ceilings, self._pools.common)
        except BaseException:
            await asyncio.get_running_loop().run_in_executor(None, place.remove)
            raise

    async def _see_off(self, worker: Worker) -> None:
        """Forgets a worker when it is gone, whatever ended it."""
        await worker.gone.wait()
        self._forget(worker)
        self.alive.discard(worker)
        self._replace()

    def _fail(self, failed: LoadFailed) -> None:
        """Waiting requests hear of a failed start: urgent ones, and all if there is no other worker."""
        self.crashes += 1
        waiting, self._queue = self._queue, deque()
        for since, lease in waiting:
            if self.workers and not lease.urgent:
                self._queue.append((since, lease))
            elif lease.waits:
                lease.future.set_exception(failed)

    def _retire(self, worker: Worker) -> None:
        self._forget(worker)
        self._spawn(worker.stop())

    def _forget(self, worker: Worker) -> None:
        self.workers.discard(worker)
        self._pools.known.pop(worker.key, None)
        self._idle = [(since, each) for since, each in self._idle if each is not worker]


class Pools:
    """The pools of all versions, by key of the runnable.

    Args:
        root: folder for the workers' own folders; emptied at start.
        size: how large a pool may get.
        ceilings: what one worker may use.
        sandbox: of the workers, or None.
        processors: of the machine.
        cgroups: limit each worker, or None.
    """

    def __init__(
        self,
        root: Path,
        size: Size,
        ceilings: Ceilings,
        sandbox: Sandbox | None = None,
        processors: Processors | None = None,
        cgroups: Cgroups | None = None,
    ) -> None:
        self.common = Surroundings(root, sandbox, cgroups=cgroups)
        self.known: dict[str, Worker] = {}
        self.by_key: dict[str, Pool] = {}
        self._reaper: subprocess.Popen[bytes] | None = None
        self.size = size
        self.ceilings = ceilings
        self.processors = processors or Processors()

    def get(self, runnable: Runnable) -> Pool:
        """The pool of a version, made when it is the first call."""
        pool = self.by_key.get(runnable.key)
        if pool is None:
            if self._reaper is None:
                self._reaper = process_tree.start_reaper(self.common.mark)
            pool = self.by_key[runnable.key] = Pool(runnable, self)
        if runnable.version != runnable.git_hash:
            pool.version = runnable.version  # of a build that was tried under its hash, and released since
        return pool

    def alive(self) -> list[Worker]:
        """The workers of all pools that have not gone."""
        return [worker for pool in self.by_key.values() for worker in pool.alive]

    def tend(self, now: float) -> None:
        """Looks after all pools, at time.monotonic() `now`; has to be called every GROW_SECONDS."""
        self.processors.look(now)
        for key, pool in list(self.by_key.items()):
            pool.tend(now)
            if pool.unused:
                del self.by_key[key]

    async def close(self) -> None:
        """Ends every worker, and the process that watches over them."""
        await asyncio.gather(*(pool.close() for pool in self.by_key.values()))
        if self._reaper is not None:
            await asyncio.to_thread(self._reaper.communicate)
