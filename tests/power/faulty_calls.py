"""Commands whose n-th system call of a kind fails, by strace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from system_calls import STRACE

ERRORS = {
    "openat": ("EMFILE", "EIO", "ENOSPC", "EINTR"),
    "read": ("EIO", "EINTR"),
    "pread64": ("EIO", "EINTR"),
    "write": ("ENOSPC", "EIO", "EINTR"),
    "pwrite64": ("ENOSPC", "EIO"),
    "fsync": ("EIO", "ENOSPC"),
    "fdatasync": ("EIO", "ENOSPC"),
    "ftruncate": ("EIO",),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO",),
    "mkdir": ("ENOSPC", "EIO"),
    "flock": ("EIO", "EINTR"),
    "fchmod": ("EIO",),
    "getdents64": ("EIO",),
    "newfstatat": ("EIO", "ENOMEM"),
    "fstat": ("EIO",),
    "lseek": ("EIO",),
    "socket": ("EMFILE", "ENOMEM"),
    "connect": ("EINTR", "ENOMEM"),
    "sendto": ("EIO", "ENOMEM", "EINTR"),
    "recvfrom": ("EIO", "ENOMEM", "EINTR"),
    "poll": ("ENOMEM", "EINTR"),
    "setsockopt": ("ENOMEM",),
    "dup": ("EMFILE",),
    "pipe2": ("EMFILE",),
    "epoll_create1": ("EMFILE",),
    "clone3": ("EAGAIN", "ENOMEM"),
    "mmap": ("ENOMEM",),
    "munmap": ("ENOMEM",),
    "brk": ("ENOMEM",),
    "getcwd": ("ENOMEM",),
    "readlink": ("EIO",),
    "ioctl": ("EIO",),
    "fcntl": ("EMFILE",),
    "close": ("EIO", "EINTR"),
    "uname": ("ENOMEM",),
    "getsockname": ("ENOMEM",),
    "getpeername": ("ENOMEM",),
    "prlimit64": ("ENOMEM",),
    "sched_getaffinity": ("ENOMEM",),
}
"""What may become of each system call that files, the network or processes take."""


@dataclass(frozen=True)
class Failed:
    """How a command ended.

    Args:
        code: its exit code; negative for a signal.
        out, err: what it said.
        calls: the calls that were failed, as strace tells them; none where there were fewer calls.
    """

    code: int
    out: str
    err: str
    calls: tuple[str, ...]


class Commands:
    """Runs commands in forks of one process that has everything imported.

    Args:
        folder: for what they say.
        first: the words of a command that succeeds.
        environment: of the commands.

    Attributes:
        child: the process that runs one; 0 for none.
    """

    def __init__(self, folder: Path, first: list[str], environment: dict[str, str]) -> None:
        self._folder = folder
        answers, theirs = os.pipe()
        zygote = str(Path(__file__).with_name("zygote.py"))
        self._process = subprocess.Popen(
            [sys.executable, zygote, str(theirs), json.dumps({"words": first})],
            stdin=subprocess.PIPE,
            stdout=(folder / "first.out").open("wb"),
            stderr=subprocess.STDOUT,
            env=environment,
            pass_fds=[theirs],
        )
        os.close(theirs)
        self._answers = os.fdopen(answers)
        self.child = 0

    def __enter__(self) -> Commands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._answers.close()

    def run(self, words: list[str], *inject: str) -> Failed:
        """One command, with some of its system calls failed: `CALL:error=ERROR:when=N`."""
        out, err, log = (self._folder / name for name in ("out", "err", "log"))
        self._ask({"words": words, "out": str(out), "err": str(err)})
        self.child = child = int(self._answers.readline())
        tracer = self._attach(child, log, inject) if inject else None
        os.kill(child, signal.SIGUSR1)
        code = int(self._answers.readline())
        self.child = 0
        if tracer:
            tracer.wait(60)
            assert tracer.stderr is not None
            tracer.stderr.close()
        told = log.read_text("utf-8", "replace").splitlines() if inject else []
        calls = tuple(line for line in told if "(INJECTED" in line)
        return Failed(code, out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace"), calls)

    def counts(self, words: list[str], run: Callable[..., Failed] | None = None) -> dict[str, int]:
        """How often each call of ERRORS is made by a command: the most by one thread.

        Args:
            words: the command's.
            run: runs it; None for `run`.
        """
        inject = [f"{name}:when=65535:error=EIO" for name in ERRORS]
        if run is None:
            self.run(words, *inject)
        else:
            run(self, *inject)
        found: dict[tuple[str, str], int] = {}
        for line in (self._folder / "log").read_text("utf-8", "replace").splitlines():
            thread, _, rest = line.partition(" ")
            name = rest.strip().partition("(")[0]
            if name in ERRORS:
                found[name, thread] = found.get((name, thread), 0) + 1
        most: dict[str, int] = {}
        for (name, _), count in found.items():
            most[name] = max(most.get(name, 0), count)
        return most

    def _ask(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")
        self._process.stdin.flush()

    def _attach(self, child: int, log: Path, inject: tuple[str, ...]) -> subprocess.Popen[bytes]:
        assert STRACE is not None
        names = ",".join(each.partition(":")[0] for each in inject)
        words = [
            STRACE,
            "-f",
            "-y",
            "-p",
            str(child),
            "-o",
            str(log),
            "-e",
            f"trace={names}",
            "-e",
            "signal=none",
        ]
        for each in inject:
            words += ["-e", f"inject={each}"]
        tracer = subprocess.Popen(words, stderr=subprocess.PIPE)
        assert tracer.stderr is not None
        assert b"attached" in (said := tracer.stderr.readline()), said
        return tracer
