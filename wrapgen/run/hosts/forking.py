"""Processes of one program that are forked from one process, which has imported what they all need."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable

from wrapgen.worker.start import FORK, PRELOAD

CAN_FORK = sys.platform.startswith("linux") and hasattr(os, "pidfd_open")
"""Whether this system tells of the end of a process that another one forked."""


class ForkFailed(Exception):
    """The process to fork from has ended, or does not answer."""


class ForkServer:
    """The process that others are forked from. Used by any thread.

    Args:
        start: starts a start file with this standard input.
        seconds: that it may take to import what it imports.
    """

    def __init__(self, start: Callable[[list[str], int], subprocess.Popen[bytes]], seconds: float) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = start([str(PRELOAD), str(os.getpid())], theirs.fileno())
        self._control.settimeout(seconds)
        self.pid = self._process.pid

    def fork(self, stream: socket.socket) -> ForkedProcess:
        """A new process, whose standard input is this end of a socket.

        Raises:
            ForkFailed: there is no process to fork from.
            OSError: the system has no room for another process.
        """
        pid = self._ask(FORK, stream)
        if pid < 0:
            raise OSError(-pid, os.strerror(-pid))
        return ForkedProcess(self, pid)

    def exit_code(self, pid: int) -> int:
        """How a process ended that has; as `Popen.returncode`."""
        try:
            return self._ask(b"%d" % pid)
        except ForkFailed:  # what it forked ends with it
            return -signal.SIGKILL

    def _ask(self, message: bytes, stream: socket.socket | None = None) -> int:
        with self._lock:
            try:
                descriptors = [stream.fileno()] if stream else []
                socket.send_fds(self._control, [message], descriptors)
                return int(self._control.recv(64))
            except (OSError, ValueError) as error:
                raise ForkFailed from error

    def close(self) -> None:
        """Ends it, and what it forked."""
        self._control.close()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class ForkedProcess:
    """What `subprocess.Popen` is to a child, to a process that another one forked."""

    def __init__(self, server: ForkServer, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._server = server

    def wait(self, timeout: float | None = None) -> int:
        """The exit code. Raises `subprocess.TimeoutExpired`."""
        if self.returncode is None:
            if not has_ended(self.pid, timeout):
                raise subprocess.TimeoutExpired("fork", timeout or 0)
            self.returncode = self._server.exit_code(self.pid)
        return self.returncode

    def poll(self) -> int | None:
        """The exit code, None while it executes."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None


def has_ended(pid: int, seconds: float | None) -> bool:
    """Waits for a process's end where the system tells of it; `Popen.wait` looks only every 50 ms."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):  # the system tells nothing
        return False
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(None if seconds is None else 1000 * seconds))
    finally:
        os.close(descriptor)
