"""The commands of builds: each has the installers' settings, a time limit, and a sandbox if there is one.

What a build does with its commands is decided in `builds` and `virtualenvs`.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from wrapgen.platform.building.installers import Installers
from wrapgen.platform.workers.ceiling_watch import LOOK_SECONDS, LOOK_SHARE, beyond
from wrapgen.platform.workers.ceilings import DISK, MEMORY, Ceilings
from wrapgen.platform.workers.cgroups import Cgroups, Group
from wrapgen.platform.workers.disk import is_over, remove
from wrapgen.platform.workers.process_tree import start_reaper, tree
from wrapgen.platform.workers.sandbox import Room, Sandbox, interpreter_folders

STEP_SECONDS = 1800
"""How long one command may take."""

PRINTED = 64 << 20
"""Bytes that the log of a build may have."""

SAID = 64 * 1024
"""Bytes at the end of a failed command's output that are looked at."""


class CommandStopped(Exception):
    """Why a command was not run to its end, in words for the build's log."""


@dataclass(frozen=True)
class CommandContext:
    """Where a command runs, and what it may see and change in a sandbox.

    Args:
        base: the Python that a build is made with.
        cwd: where it starts.
        own: folders that it may write to.
        temporary: its own for temporary files.
        shown: what else it may read.
        trusted: it runs nothing of what it installs, so it gets the caches, and the user that they belong to.
    """

    base: Path
    cwd: Path
    own: tuple[Path, ...]
    temporary: Path
    shown: tuple[Path, ...] = ()
    trusted: bool = False


class Commands:
    """Runs the commands of all builds of one server.

    Args:
        installers: the settings of uv and pip.
        sandbox: of each command, or None.
        ceilings: what each may use; None for no ceilings.
        cgroups: limit each; None has them measured.
    """

    def __init__(
        self,
        installers: Installers,
        sandbox: Sandbox | None,
        ceilings: Ceilings | None,
        cgroups: Cgroups | None,
    ) -> None:
        self._installers = installers
        self.sandbox = sandbox
        self._lock = threading.Lock()
        self._closing = False
        self._running: set[subprocess.Popen[bytes]] = set()
        self._mark = f"bld{secrets.token_hex(8)}"
        self._reaper: subprocess.Popen[bytes] | None = None
        self._ceilings = ceilings
        self._cgroups = cgroups

    def run(
        self, words: list[str], context: CommandContext, log: IO[bytes], *, quiet: bool = False
    ) -> str | None:
        """Runs a command, its output going to a log; None, or the end of what it said when it failed.

        Args:
            words: the command.
            context: where it runs.
            log: a file that is open for reading too.
            quiet: leave the command itself out of the log.

        Raises:
            CommandStopped: it took too much of something, or the platform is closing.
        """
        if not quiet:
            log.write(f"$ {' '.join([Path(words[0]).name, *words[1:]])}\n".encode())
        log.flush()
        began = os.fstat(log.fileno()).st_size
        group = self._group()
        try:
            process = self._start(words, context, log, group)
            code = self._wait(process, group, log, context)
            if code != 0 and group is not None and group.out_of_memory:
                raise CommandStopped(f"the command was {MEMORY}")
        finally:
            if group is not None:
                group.remove()
        ended = os.fstat(log.fileno()).st_size
        said = os.pread(log.fileno(), SAID, max(began, ended - SAID)).decode("utf-8", "replace")
        return None if code == 0 else said

    def _group(self) -> Group | None:
        if self._cgroups is None or self._ceilings is None:
            return None
        name = f"build-{secrets.token_hex(8)}"
        return self._cgroups.make(name, self._ceilings.memory, self._ceilings.processes)

    def _wait(
        self, process: subprocess.Popen[bytes], group: Group | None, log: IO[bytes], context: CommandContext
    ) -> int:
        """Waits for a command, and ends one that takes too much of anything; its exit code."""
        ends, next_disk, code, why = time.monotonic() + STEP_SECONDS, 0.0, None, ""
        try:
            while code is None and not why:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(LOOK_SECONDS)
                    break
                if time.monotonic() >= ends:
                    why = f"took longer than {STEP_SECONDS} s"
                elif os.fstat(log.fileno()).st_size > PRINTED:
                    why = f"printed more than {PRINTED} bytes"
                elif self._ceilings is not None:
                    over = "" if group is not None else beyond(process.pid, self._ceilings)
                    if not over and time.monotonic() >= next_disk:
                        began = time.thread_time()
                        held = is_over(
                            (*context.own, context.temporary), tree(process.pid), self._ceilings.disk
                        )
                        over = DISK if held else ""
                        next_disk = time.monotonic() + LOOK_SHARE * (time.thread_time() - began)
                    why = f"was {over}" if over else ""
        finally:
            if code is None:
                _kill(process)
                process.wait()
            with self._lock:
                self._running.discard(process)
        if code is None:
            raise CommandStopped(f"the command {why}")
        return code

    def close(self) -> None:
        """Kills what runs; nothing is started any more."""
        with self._lock:
            self._closing = True
            running = list(self._running)
        for process in running:
            _kill(process)

    def end(self) -> None:
        """Ends what left its group too; to be called when a command is not waited for any more."""
        if self._reaper is not None:
            self._reaper.communicate()
            self._reaper = None

    def _start(
        self, words: list[str], context: CommandContext, log: IO[bytes], group: Group | None
    ) -> subprocess.Popen[bytes]:
        variables, cwd = self._installers.variables, context.cwd
        if self.sandbox is not None:
            variables = self._installers.sandboxed(trusted=context.trusted)
            words, cwd = self._sandboxed(self.sandbox, words, context), Path("/")
        if group is not None:
            words = group.entering(words)
        with self._lock:
            if self._closing:
                raise CommandStopped("the platform is stopping")
            if self._reaper is None:
                self._reaper = start_reaper(self._mark)
            process = subprocess.Popen(
                words,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**variables, "WRAPGEN_BUILD": self._mark},
                start_new_session=True,
                umask=0o022,  # another user has to read what is made here
            )
            self._running.add(process)
        return process

    def _sandboxed(self, sandbox: Sandbox, words: list[str], context: CommandContext) -> list[str]:
        program = Path(words[0])
        settings = self._installers.visible(trusted=context.trusted)
        seen = [*settings, *interpreter_folders(context.base), *context.shown]
        if not any(program.is_relative_to(each) for each in (*seen, *context.own)):
            seen.append(program)
        room = Room(
            shown=tuple(seen),
            own=(*context.own, *(self._installers.caches() if context.trusted else ())),
            temporary=context.temporary,
            cwd=context.cwd,
            switch=not context.trusted,
        )
        if room.switch:
            sandbox.give(context.temporary, *context.own)
        return sandbox.command(words, room)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):  # it ended by itself
        os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class BuildRun:
    """Runs the commands of one build, their output going to the build's log.

    Args:
        commands: of all builds.
        base: the Python that the build is made with.
        temporary: made for each command, and removed after it.
        log: of the build.
    """

    commands: Commands
    base: Path
    temporary: Path
    log: IO[bytes]

    @property
    def sandboxed(self) -> bool:
        """Whether there is a sandbox around commands."""
        return self.commands.sandbox is not None

    def install(self, words: list[str], cwd: Path, own: Path, *, trusted: bool) -> str | None:
        """Runs what makes an environment; None, or what it said when it failed.

        Args:
            words: the command.
            cwd: where it starts; it may write there unless it is trusted, as things may be built there.
            own: a folder that it may write to.
            trusted: it runs nothing of what it installs.
        """
        changed = (own,) if trusted else (own, cwd)
        return self._run(words, CommandContext(self.base, cwd, changed, self.temporary, trusted=trusted))

    def check(self, words: list[str], source: Path, environment: Path) -> str | None:
        """Runs an environment's Python in the source; None, or what it said when it failed."""
        return self._run(words, CommandContext(self.base, source, (source,), self.temporary, (environment,)))

    def _run(self, words: list[str], context: CommandContext) -> str | None:
        remove(self.temporary)
        self.temporary.mkdir()
        try:
            return self.commands.run(words, context, self.log, quiet=bool(context.shown))
        finally:
            remove(self.temporary)
