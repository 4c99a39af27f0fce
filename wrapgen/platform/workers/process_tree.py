"""The processes below a worker: what they are, what they cost, and how to end every one of them.

A worker leads a session and process group of its own. Children that left the group are found by the key in
their inherited environment, which is random per worker. Linux shows both under /proc; elsewhere the process
group has to do.

Run as a program it is the process reaper of one server: it waits until its standard input ends, as it does
with the server, however that ends, and then ends every process that carries the server's mark.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")


def start_reaper(mark: str) -> subprocess.Popen[bytes]:
    """A process that ends all that carries the mark when this one is no more, however that comes.

    Its `communicate` does so at once.
    """
    command = [sys.executable, "-I", "-S", __file__, mark]
    return subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True, cwd="/")


def end_process_tree(leader: int, mark: str) -> None:
    """Kills a worker's process group and whatever else carries its mark; returns when none is found any more.

    Reads every process's environment: call it in a thread.

    Args:
        leader: process id of the worker, which may have ended already; 0 when only the mark counts.
        mark: text that only this worker's environment holds.
    """
    for _ in range(5):  # a process that forks while we look is found in the next round
        if leader:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(leader, signal.SIGKILL)
        found = marked(mark)
        if not found:
            return
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal.SIGKILL)


def marked(mark: str) -> list[int]:
    """Ids of the living processes whose environment holds the mark; empty where there is no /proc."""
    if not _PROC.is_dir():
        return []
    wanted = mark.encode("ascii")
    processes = (entry for entry in _PROC.iterdir() if entry.name.isdigit())
    return [int(entry.name) for entry in processes if _holds(entry / "environ", wanted)]


def _holds(path: Path, wanted: bytes) -> bool:
    try:
        return wanted in path.read_bytes()
    except OSError:  # ended meanwhile, or another user's
        return False


def descend(process: int, levels: int) -> int:
    """The only child of the only child, so many levels down; as far as there are any."""
    for _ in range(levels):
        try:
            children = (_PROC / str(process) / "task" / str(process) / "children").read_text().split()
        except OSError:
            break
        if not children:
            break
        process = int(children[0])
    return process


def tree(process: int) -> Iterator[int]:
    """A process and all below it; a worker's orphans come to be below it or below its sandbox."""
    waiting = [process]
    while waiting:
        current = waiting.pop()
        yield current
        with contextlib.suppress(OSError):
            for task in (_PROC / str(current) / "task").iterdir():
                with contextlib.suppress(OSError):
                    waiting.extend(map(int, (task / "children").read_text().split()))


def _stat(process: int) -> list[bytes]:
    """What /proc/PID/stat says after the program's name; empty where it can't be read."""
    try:
        return (_PROC / str(process) / "stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return []


def cpu_seconds(process: int) -> float | None:
    """Processor time that a process used so far, its threads included; None where that can't be read."""
    fields = _stat(process)
    return (int(fields[11]) + int(fields[12])) / _TICKS if fields else None


def threads(process: int) -> int:
    """The threads of a process; 0 when it has ended."""
    fields = _stat(process)
    return int(fields[17]) if fields else 0


def memory_bytes(process: int) -> int | None:
    """Bytes of a process that are in memory, shared ones included; None where that can't be read."""
    try:
        pages = int((_PROC / str(process) / "statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    sys.stdin.buffer.read()
    end_process_tree(0, sys.argv[1])
