"""The world that is passed in: clock, chance and threads, in one thread and under one seed.

Threads are greenlets. Where several may go on, the seed chooses; where none can, the clock moves on.
"""

from __future__ import annotations

import time
from functools import partial
from math import inf
from queue import Empty
from random import Random
from types import SimpleNamespace

from greenlet import GreenletExit, getcurrent, greenlet


class Process:
    """What is killed together."""

    def __init__(self, name: str) -> None:
        self.name, self.dead = name, False


class World:
    """Time, chance and threads; `threading`, `time` and `queue` take the places of the modules."""

    def __init__(self, seed: int) -> None:
        self.random, self.now, self.offset, self.steps = Random(seed), 1000.0, 1.7e9, 0
        self.trace: list[tuple[float, str, str]] = []
        self._hub, self.sleep = getcurrent(), partial(self.wait, None)
        self._waits: dict[greenlet, tuple] = {}  # by task: what it waits for, and until when
        locks = dict.fromkeys(("Lock", "RLock", "Condition"), lambda *_: SimCondition(self))
        thread, event = partial(SimThread, self), partial(SimEvent, self)
        self.threading = SimpleNamespace(Thread=thread, Event=event, **locks)
        clocks = {"monotonic": lambda: self.now, "time": lambda: self.now + self.offset, "sleep": self.sleep}
        self.time = SimpleNamespace(**clocks, process_time=float, gmtime=time.gmtime, strftime=time.strftime)
        self.queue = partial(SimQueue, self)

    def note(self, who: str, what: str) -> None:
        self.trace.append((self.now, who, what))

    def start(self, process: Process, do, after: float = 0.0) -> greenlet:
        """Begins a task of a process, in so many seconds."""
        task = greenlet(do, parent=self._hub)
        task.process = process
        self._waits[task] = None, self.now + after
        return task

    def wait(self, holds, seconds: float = inf) -> bool:
        """Waits in the current task until something holds (True), or so many seconds (False)."""
        task = getcurrent()
        if not (holds and holds()):
            self._waits[task] = holds, self.now + seconds
            self._hub.switch()
        if task.process.dead:
            raise GreenletExit
        return bool(holds and holds())

    def kill(self, process: Process) -> None:
        """Ends a process as SIGKILL does; where it is the current one, with this statement."""
        process.dead = True
        if getcurrent().process is process:
            raise GreenletExit

    def run(self, ended, most: int = 100_000) -> None:
        """Lets everything happen until `ended()`; fails where everything waits, or goes on without end."""
        waits, choose = self._waits, self.random.randrange
        while True:
            for task in [task for task in waits if task.process.dead]:
                del waits[task]
                task.throw(GreenletExit)
            if ended():
                return
            now = self.now
            ready = [task for task, (holds, end) in waits.items() if end <= now or (holds and holds())]
            if not ready:
                self.now = min((end for _, end in waits.values()), default=inf)
                assert self.now < inf, f"everything waits at {now:.3f}"
                continue
            self.steps += 1
            assert self.steps < most, f"no end at {now:.3f}"
            task = ready[choose(len(ready))]
            del waits[task]
            task.switch()


class SimThread:
    def __init__(self, world, target, name="", args=(), daemon=False) -> None:
        self.world, self.do, self.task = world, lambda: target(*args), None

    def start(self) -> None:
        self.task = self.world.start(getcurrent().process, self.do)

    def join(self) -> None:
        self.world.wait(lambda: self.task.dead)


class SimCondition:
    """A condition with the lock that belongs to it, which its owner may take again."""

    def __init__(self, world) -> None:
        self.world, self.owner, self.depth, self.calls = world, None, 0, 0

    def acquire(self, blocking=True) -> bool:
        me = getcurrent()
        if self.owner not in (None, me) and not (blocking and self.world.wait(lambda: self.owner is None)):
            return False
        self.owner, self.depth = me, self.depth + 1 if self.owner is me else 1
        return True

    def release(self, *_) -> None:
        self.depth -= 1
        if not self.depth:
            self.owner = None

    __enter__, __exit__ = acquire, release

    def wait(self, timeout=None) -> None:
        depth, calls, self.depth, self.owner = self.depth, self.calls, 0, None
        self.world.wait(lambda: self.calls > calls, inf if timeout is None else timeout)
        self.acquire()
        self.depth = depth

    def wait_for(self, predicate, timeout=None):
        end = self.world.now + (inf if timeout is None else timeout)
        while not (found := predicate()) and self.world.now < end:
            self.wait(end - self.world.now)
        return found

    def notify_all(self) -> None:
        self.calls += 1


class SimEvent:
    def __init__(self, world) -> None:
        self.world, self.value = world, False
        self.is_set = lambda: self.value

    def set(self) -> None:
        self.value = True

    def wait(self, timeout=None) -> bool:
        return self.world.wait(self.is_set, inf if timeout is None else timeout)


class SimQueue(list):
    def __init__(self, world) -> None:
        self.world, self.put, self.get_nowait = world, self.append, partial(self.get, 0.0)

    def get(self, timeout=None):
        if not self.world.wait(self.__len__, inf if timeout is None else timeout):
            raise Empty
        return self.pop(0)
