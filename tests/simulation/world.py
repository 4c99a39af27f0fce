"""The world that is passed in: clock, chance, threads and disk, in one thread and under one seed.

Threads are greenlets that give way where a real thread would wait. Where several may go on, the seed chooses;
when none can, the clock moves to the next moment that one waits for. A process is a group of greenlets: once
it is killed, none of them does anything more.
"""

from __future__ import annotations

import heapq
import time
from collections import deque
from itertools import count
from queue import Empty
from random import Random
from types import SimpleNamespace

from greenlet import GreenletExit, getcurrent, greenlet


class Stuck(AssertionError):
    """Everything waits, and nothing will ever wake it; or it goes on without end."""


class Process:
    """Greenlets that are killed together."""

    def __init__(self, name: str) -> None:
        self.name, self.dead, self.tasks = name, False, []


class World:
    """Time, chance and threads; `threading`, `time` and `queue` stand in for the modules."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now, self.offset = 1000.0, 0.0
        self.trace: list[tuple[float, str, str]] = []
        self.steps = 0
        self._hub, self._order = getcurrent(), count()
        self._ready: list[greenlet] = []
        self._timers: list[tuple[float, int, greenlet, int]] = []
        self._doomed: list[Process] = []
        made = {name: lambda *_, kind=kind: kind(self) for name, kind in KINDS.items()}
        self.threading = SimpleNamespace(Thread=lambda **given: SimThread(self, **given), **made)
        clocks = {"monotonic": self.clock, "time": self.unix_time, "sleep": self.sleep}
        self.time = SimpleNamespace(**clocks, gmtime=time.gmtime, strftime=time.strftime)
        self.queue = lambda: SimQueue(self)

    def clock(self) -> float:
        return self.now

    def unix_time(self) -> float:
        return 1_700_000_000 + self.now + self.offset

    def note(self, who: str, what: str) -> None:
        self.trace.append((self.now, who, what))

    def start(self, process: Process, do) -> greenlet:
        """Begins a task of a process; it runs when its turn comes."""
        task = greenlet(do, parent=self._hub)
        task.process, task.ticket, task.woken = process, 0, False
        process.tasks.append(task)
        self._ready.append(task)
        return task

    def block(self, waiting=None, seconds: float | None = None) -> bool:
        """Waits in the current task until it is woken (True), or so many seconds (False)."""
        task = getcurrent()
        if task.process.dead:
            raise GreenletExit
        task.ticket, task.woken = task.ticket + 1, False
        if waiting is not None:
            waiting.append((task, task.ticket))
        if seconds is not None:
            heapq.heappush(self._timers, (self.now + max(0.0, seconds), next(self._order), task, task.ticket))
        self._hub.switch()
        if task.process.dead:
            raise GreenletExit
        return task.woken

    def wake(self, waiting, most: int = 1 << 30) -> None:
        """Has tasks go on that wait in a list."""
        while waiting and most:
            task, ticket = waiting.popleft()
            if task.ticket == ticket and not task.process.dead:
                task.ticket, task.woken, most = ticket + 1, True, most - 1
                self._ready.append(task)

    def sleep(self, seconds: float) -> None:
        self.block(None, seconds)

    def kill(self, process: Process) -> None:
        """Ends a process as SIGKILL does; where it is the current one, with this statement."""
        process.dead = True
        self._doomed.append(process)
        if getattr(getcurrent(), "process", None) is process:
            raise GreenletExit

    def run(self, ended, most: int = 100_000) -> None:
        """Lets everything happen until `ended()`; in the hub."""
        while not ended():
            while self._doomed:
                for task in self._doomed.pop().tasks:
                    if task:
                        task.throw(GreenletExit)
            if not self._ready:
                if not self._timers:
                    raise Stuck(f"everything waits at {self.now:.3f}")
                moment, _, task, ticket = heapq.heappop(self._timers)
                if task.ticket == ticket and not task.process.dead:
                    self.now = max(self.now, moment)
                    self._ready.append(task)
                continue
            self.steps += 1
            if self.steps > most:
                raise Stuck(f"no end within {most:,} steps, at {self.now:.3f}")
            ready = self._ready
            task = ready.pop(self.random.randrange(len(ready)) if len(ready) > 1 else 0)
            if not task.process.dead:
                task.switch()


class SimThread:
    def __init__(self, world, target, name=None, args=(), daemon=None) -> None:
        self.world, self.do, self.ended, self.joining = world, lambda: target(*args), False, deque()

    def start(self) -> None:
        self.world.start(getcurrent().process, self._run)

    def _run(self) -> None:
        self.do()
        self.ended = True
        self.world.wake(self.joining)

    def join(self, timeout=None) -> None:
        if not self.ended:
            self.world.block(self.joining, timeout)


class SimCondition:
    """A condition with the lock that belongs to it, which its owner may take again."""

    def __init__(self, world) -> None:
        self.world, self.owner, self.depth = world, None, 0
        self.waiting, self.sleepers = deque(), deque()

    def __enter__(self):
        me = getcurrent()
        while self.owner not in (None, me) and not self.owner.process.dead:
            self.world.block(self.waiting)
        self.owner, self.depth = me, self.depth + 1 if self.owner is me else 1
        return self

    def __exit__(self, *_) -> None:
        self.depth -= 1
        if not self.depth:
            self.owner = None
            self.world.wake(self.waiting, 1)

    def wait(self, timeout=None) -> bool:
        depth, self.depth, self.owner = self.depth, 0, None
        self.world.wake(self.waiting, 1)
        woken = self.world.block(self.sleepers, timeout)
        self.__enter__()
        self.depth = depth
        return woken

    def wait_for(self, predicate, timeout=None):
        end = self.world.now + (1e9 if timeout is None else timeout)
        while not (found := predicate()) and self.world.now < end:
            self.wait(None if timeout is None else end - self.world.now)
        return found

    def notify_all(self) -> None:
        self.world.wake(self.sleepers)


class SimEvent:
    def __init__(self, world) -> None:
        self.world, self.value, self.waiting = world, False, deque()

    def is_set(self) -> bool:
        return self.value

    def set(self) -> None:
        self.value = True
        self.world.wake(self.waiting)

    def wait(self, timeout=None) -> bool:
        return self.value or self.world.block(self.waiting, timeout) or self.value


class SimQueue:
    def __init__(self, world) -> None:
        self.world, self.items, self.waiting = world, deque(), deque()

    def put(self, item) -> None:
        self.items.append(item)
        self.world.wake(self.waiting, 1)

    def get(self, timeout=None):
        end = self.world.now + (1e9 if timeout is None else timeout)
        while not self.items and self.world.now < end:
            self.world.block(self.waiting, None if timeout is None else end - self.world.now)
        return self.get_nowait()

    def get_nowait(self):
        if not self.items:
            raise Empty
        return self.items.popleft()


KINDS = {"Lock": SimCondition, "RLock": SimCondition, "Condition": SimCondition, "Event": SimEvent}
