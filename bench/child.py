"""Runs one command and says what it and all its descendants used: child.py ANSWER LIMIT COMMAND...

It adopts orphans (PR_SET_CHILD_SUBREAPER), so that the processor seconds of daemons count too, and ends what
is left over when the command is done.
"""

import contextlib
import ctypes
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Runs, waits, sweeps, answers."""
    answer, limit, command = sys.argv[1], float(sys.argv[2]), sys.argv[3:]
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = _spent()
    began = time.perf_counter()
    process = subprocess.Popen(command)
    try:
        code = process.wait(limit)
    except subprocess.TimeoutExpired:
        code = 124
    seconds = time.perf_counter() - began
    sweep()
    Path(answer).write_text(json.dumps({"code": code, "seconds": seconds, "cpu": _spent() - before}))


def sweep() -> None:
    """Ends and waits for every process that is left below this one."""
    for attempt in range(100):
        left = children()
        if not left:
            return
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM if attempt < 30 else signal.SIGKILL)
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.1)


def children() -> "list[int]":
    """Processes whose parent is this one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            stat = (entry / "stat").read_text()
            if int(stat.rpartition(")")[2].split()[1]) == os.getpid():
                found.append(int(entry.name))
    return found


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
