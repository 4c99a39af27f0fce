"""The commands of builds: each has the installers' settings, a time limit, and a wall if there is one.

What a build does with its commands is decided in `builds` and `virtualenvs`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from wrapgen.platform.workers import family
from wrapgen.platform.workers.wall import Wall

STEP_SECONDS = 1800
"""How long one command may take."""

SAID = 64 * 1024
"""Bytes at the end of a failed command's output that are looked at."""


_TEMPORARY = "tmp"


class Stopped(Exception):
    """Why a command was not run to its end, in words for the build's log."""


class Commands:
    """Runs the commands of all builds of one server.

    Args:
        variables: the whole environment of a command.
        wall: around each command, or None.
    """

    def __init__(self, variables: Mapping[str, str], wall: Wall | None) -> None:
        self._variables = variables
        self._wall = wall
        self._lock = threading.Lock()
        self._closing = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._mark = f"bld{secrets.token_hex(8)}"
        self._watchman: subprocess.Popen[bytes] | None = None

    def run(
        self, words: list[str], cwd: Path, room: Path | None, log: IO[bytes], *, quiet: bool = False
    ) -> str | None:
        """Runs a command, its output going to a log; None, or the end of what it said when it failed.

        Args:
            words: the command.
            cwd: where it starts; it may write there.
            room: where else it may write when there is a wall.
            log: a file that is open for reading too.
            quiet: leave the command itself out of the log.

        Raises:
            Stopped: it took too long, or the platform is closing.
        """
        if not quiet:
            log.write(f"$ {' '.join([Path(words[0]).name, *words[1:]])}\n".encode())
        log.flush()
        began = os.fstat(log.fileno()).st_size
        process = self._start(words, cwd, room, log)
        try:
            code = process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired as error:
            _kill(process)
            process.wait()
            raise Stopped(f"the command took longer than {STEP_SECONDS} s") from error
        finally:
            with self._lock:
                self._running.discard(process)
            if room is not None and self._wall is not None:
                shutil.rmtree(room / _TEMPORARY, ignore_errors=True)
        ended = os.fstat(log.fileno()).st_size
        said = os.pread(log.fileno(), SAID, max(began, ended - SAID)).decode("utf-8", "replace")
        return None if code == 0 else said

    def close(self) -> None:
        """Kills what runs; nothing is started any more."""
        with self._lock:
            self._closing = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def end(self) -> None:
        """Ends what left its group too; to be called when nobody waits for a command any more."""
        if self._watchman is not None:
            self._watchman.communicate()
            self._watchman = None

    def _start(
        self, words: list[str], cwd: Path, room: Path | None, log: IO[bytes]
    ) -> subprocess.Popen[bytes]:
        variables = {**self._variables, "WRAPGEN_BUILD": self._mark}
        if self._wall is not None:
            own = [cwd] if room is None else [cwd, room]
            words = [*self._wall.before_build(Path(words[0]), own), *words]
            # What one build could leave in a cache would be installed by the next one.
            variables |= {"UV_NO_CACHE": "1", "PIP_NO_CACHE_DIR": "1", "UV_LINK_MODE": "copy"}
            if room is not None:
                (room / _TEMPORARY).mkdir(exist_ok=True)
                variables["TMPDIR"] = str(room / _TEMPORARY)
        with self._lock:
            if self._closing:
                raise Stopped("the platform is stopping")
            if self._watchman is None:
                self._watchman = _watch(self._mark)
            process = subprocess.Popen(
                words,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=variables,
                start_new_session=True,
            )
            self._running.add(process)
        return process


def _watch(mark: str) -> subprocess.Popen[bytes]:
    """A process that ends all that carries the mark when this server is no more, however that came."""
    return subprocess.Popen(
        [sys.executable, "-I", "-S", family.__file__, mark], stdin=subprocess.PIPE, start_new_session=True
    )


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)
