"""How much a worker keeps on disk: its folder is looked at now and then; one over the ceiling is ended.

The kernel's own ceiling is on single files only (see `Ceilings.file`), so this counts what they are together.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from wrapgen.platform.workers.worker import Worker

LOOK_SECONDS = 1.0
"""Time between two looks at the folders."""

LOOK_SHARE = 20
"""So many times as long as a look took the next one waits at least: counting many files costs something."""

SMALL = 64 << 20
"""Bytes that a worker may hold however little is left."""

OVER = "over the ceiling of disk space"


async def watch(workers: Callable[[], Iterable[Worker]]) -> None:
    """Ends workers whose folders hold too much, until cancelled; the answer says why.

    Too much is also more than is left for all others.

    Args:
        workers: gives those that live now.
    """
    loop, took = asyncio.get_running_loop(), 0.0
    while True:
        await asyncio.sleep(max(LOOK_SECONDS, LOOK_SHARE * took))
        began = loop.time()
        for worker in list(workers()):
            if worker.exited is None and await loop.run_in_executor(None, is_over, worker):
                worker.kill(OVER)
        took = loop.time() - began


def is_over(worker: Worker) -> bool:
    """Whether a worker holds more than it may."""
    most, folder = worker.ceilings.disk, worker.place.folder
    if most is None:
        return False
    with contextlib.suppress(OSError):
        most = min(most, max(SMALL, shutil.disk_usage(folder).free))
    return held_by(folder, most) > most


def held_by(folder: Path, most: int) -> int:
    """Bytes on disk below a folder, links not followed; stops counting when it is more than `most`.

    What was deleted and is still open isn't found, nor what is written elsewhere.
    """
    held, waiting = 0, [str(folder)]
    while waiting and held <= most:
        with contextlib.suppress(OSError), os.scandir(waiting.pop()) as entries:  # it changes while we look
            for entry in entries:
                with contextlib.suppress(OSError):
                    held += entry.stat(follow_symlinks=False).st_blocks * 512
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
    return held
