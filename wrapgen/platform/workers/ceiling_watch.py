"""What workers use: looked at every second, where one is idle every five; a worker over a ceiling is ended.

Disk space is always measured, memory and processes where no control group limits them (see `cgroups`).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from weakref import WeakKeyDictionary

from wrapgen.platform.observe.background import going_on
from wrapgen.platform.workers.ceilings import DISK, MEMORY, PROCESSES, Ceilings
from wrapgen.platform.workers.disk import is_over
from wrapgen.platform.workers.process_tree import memory_bytes, threads, tree
from wrapgen.platform.workers.worker import Worker

LOOK_SECONDS = 1.0
"""Time between two looks."""

LOOK_SHARE = 20
"""So many times the processor time of a look the next one waits at least: looking costs something."""

LOOK_SECONDS_AT_MOST = 5.0
"""Time between two looks however much one costs: a worker over a ceiling must not live on.

Between two looks at an idle worker too, of which a server may have hundreds.
"""

_PROC = Path("/proc")
_SHARES = re.compile(r"^(Pss|Pss_Shmem): +(\d+) kB", re.MULTILINE)


async def watch(workers: Callable[[], Iterable[Worker]]) -> None:
    """Ends workers that use too much, until cancelled.

    Args:
        workers: gives those that live now.
    """
    loop, cost, next_disk = asyncio.get_running_loop(), 0.0, WeakKeyDictionary[Worker, float]()
    idle_next = WeakKeyDictionary[Worker, float]()
    with ThreadPoolExecutor(1, "usage") as own:  # whatever else the server does in threads, looks go on
        while True:
            await asyncio.sleep(min(max(LOOK_SECONDS, LOOK_SHARE * cost), LOOK_SECONDS_AT_MOST))
            cost = 0.0
            for worker in [each for each in workers() if each.exited is None]:
                if worker.idle and loop.time() < idle_next.get(worker, 0.0):
                    continue
                idle_next[worker] = loop.time() + LOOK_SECONDS_AT_MOST
                with going_on("a look at a worker"):  # whatever it does, others are looked at
                    why, took = await loop.run_in_executor(own, _timed, _excess, worker)
                    cost += took
                    if not why and loop.time() >= next_disk.get(worker, 0.0):
                        why, took = await loop.run_in_executor(own, _timed, _disk_excess, worker)
                        # A folder may hold millions of files.
                        next_disk[worker] = loop.time() + LOOK_SHARE * took
                    if why:
                        worker.kill(why)


def _timed(look: Callable[[Worker], str], worker: Worker) -> tuple[str, float]:
    """What a look finds, and the processor time that it took."""
    began = time.thread_time()
    return look(worker), time.thread_time() - began


def _excess(worker: Worker) -> str:
    """Which ceiling that no control group holds a worker is over, in words, or empty."""
    return "" if worker.place.group is not None else beyond(worker.process, worker.ceilings)


def _disk_excess(worker: Worker) -> str:
    """As `_excess`, of disk space."""
    return DISK if is_over([worker.place.folder], tree(worker.process), worker.ceilings.disk) else ""


def beyond(process: int, ceilings: Ceilings) -> str:
    """Which ceiling of memory or number a process and all below it are over; empty for none."""
    processes = list(tree(process))
    if ceilings.processes is not None and sum(map(threads, processes)) > ceilings.processes:
        return PROCESSES
    if ceilings.memory is not None and memory(processes, ceilings.memory) > ceilings.memory:
        return MEMORY
    return ""


def memory(processes: list[int], enough: int) -> int:
    """Bytes in memory of several processes, what they share counted once, and memory that only is a file.

    Sharing is looked into only if the plain sum is more than `enough`, since that takes longer.
    """
    files = sum(dict(each for process in processes for each in _memory_files(process)).values())
    plain = sum(memory_bytes(process) or 0 for process in processes) + files
    if plain <= enough:
        return plain
    own, shared = 0, 0
    for process in processes:
        with contextlib.suppress(OSError):
            found = dict(_SHARES.findall((_PROC / str(process) / "smaps_rollup").read_text()))
            shared += int(found.get("Pss_Shmem", 0)) * 1024
            own += (int(found.get("Pss", 0)) - int(found.get("Pss_Shmem", 0))) * 1024
    return own + max(shared, files)


def _memory_files(process: int) -> Iterator[tuple[tuple[int, int], int]]:
    """Open files of a process that lie in memory only (memfd_create), and their bytes."""
    with contextlib.suppress(OSError):
        for entry in (_PROC / str(process) / "fd").iterdir():
            with contextlib.suppress(OSError):
                if str(entry.readlink()).startswith("/memfd:"):
                    facts = entry.stat()
                    yield (facts.st_dev, facts.st_ino), facts.st_blocks * 512
