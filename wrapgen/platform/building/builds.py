"""Builds: a pushed commit made runnable. Check-out, virtual environment, a look at the main module, a log.

Builds run in threads of their own. One that was in progress when the server died starts again at the next
opening. What may be published, and who may ask, is decided in `algorithms`.
"""

from __future__ import annotations

import contextlib
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from wrapgen.errors import NotFound, WrapgenError
from wrapgen.files import make_folder, sync_file_system
from wrapgen.platform.building.commands import BuildRun, Commands, CommandStopped
from wrapgen.platform.building.environments import Environments
from wrapgen.platform.building.installers import Installers
from wrapgen.platform.building.requirements import Requirements
from wrapgen.platform.building.sources import BuildStepFailed, absent, main_module, no_follow, read_file
from wrapgen.platform.building.virtualenvs import Virtualenvs
from wrapgen.platform.domain.model import Build
from wrapgen.platform.storage.algorithm_table import BuildTable
from wrapgen.platform.storage.repositories import Repositories
from wrapgen.platform.workers.ceilings import Ceilings
from wrapgen.platform.workers.cgroups import Cgroups
from wrapgen.platform.workers.disk import remove
from wrapgen.platform.workers.sandbox import Sandbox

AT_ONCE = 2
"""Builds that run at the same time; the others wait in order."""

_INVALID = "the compiler refuses the source"
_CHECK = f"""
try:
    import compileall, py_compile, sys
    py_compile.compile(sys.argv[1], doraise=True)
except Exception as error:
    if type(error).__name__ == "PyCompileError":
        sys.exit(error.msg.rstrip() + "\\n{_INVALID}")
    raise SystemExit(type(error).__name__ + ": " + str(error))
compileall.compile_dir("src", quiet=2)
"""


class Builds:
    """The builds of one home.

    Args:
        table: where they are noted.
        home: holds `builds/` and `venvs/`.
        environments: what interpreters there are.
        repositories: where sources come from.
        clock: gives epoch seconds.
        variables: environment variables that uv and pip get.
        sandbox: of the commands of builds, or None.
        ceilings, cgroups: what they may use (see `Commands`).
    """

    def __init__(
        self,
        table: BuildTable,
        home: Path,
        environments: Environments,
        repositories: Repositories,
        clock: Callable[[], float],
        variables: Mapping[str, str],
        sandbox: Sandbox | None,
        ceilings: Ceilings | None,
        cgroups: Cgroups | None,
    ) -> None:
        self._table = table
        self._home = home
        self._root = home / "builds"
        make_folder(self._root)
        self._environments = environments
        self._repositories = repositories
        self._clock = clock
        self._installers = installers = Installers(variables)
        self._commands = Commands(installers, sandbox, ceilings, cgroups)
        self._virtualenvs = Virtualenvs(home / "venvs", installers)
        self._pool = ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="build")
        self._lock = threading.Lock()
        self._closing = False
        self._ends: dict[str, Future[None]] = {}
        self._listeners: list[Callable[[str], None]] = []

    def on_finish(self, listener: Callable[[str], None]) -> None:
        """Registers what is called with the algorithm's id, in the build's thread, after a build ended."""
        self._listeners.append(listener)

    def start(self, algorithm_id: str, git_hash: str, environment: str) -> Build:
        """Notes a build and puts it in line.

        Raises:
            NotFound: the algorithm was deleted meanwhile.
        """
        build_id, now = str(uuid.uuid4()), self._clock()
        made = Build(0, build_id, algorithm_id, git_hash, environment, "in-progress", Path(), now, None)
        self._table.insert(made, interpreter="")
        build = self.get(algorithm_id, build_id)
        self._submit(self._run, build)
        return build

    def restart_unfinished(self) -> None:
        """Starts again what was in progress when the last server ended, and makes anew what got lost.

        A copied home may come without its virtual environments, or find other Pythons.
        """
        for build in reversed(self._all(status="in-progress")):
            with self._log_file(build) as log:
                log.write(b"the platform was stopped during this build; starting again\n")
            self._submit(self._run, build)
        for build in self._all(status="succeeded"):
            if not (build.interpreter.exists() and self.source(build).is_dir()):
                self._submit(self._mend, build)

    def get(self, algorithm_id: str, build_id: str) -> Build:
        """One build of an algorithm.

        Raises:
            NotFound: the algorithm has no such build.
        """
        found = self._table.first(algorithm_id=algorithm_id, id=build_id)
        if found is None:
            raise NotFound(f"no such build: {build_id}")
        return self._placed(found)

    def page(self, algorithm_id: str, last: str | None, count: int, **only: Any) -> list[Build] | None:
        """So many builds of an algorithm after one, newest first: see `BuildTable.page`."""
        found = self._table.page(algorithm_id, last, count, **only)
        return None if found is None else [self._placed(each) for each in found]

    def named(self, algorithm_id: str, reference: str, callability: str | None = None) -> Build | None:
        """The newest build that a commit or a version's number names."""
        found = self._table.named(algorithm_id, reference, callability)
        return self._placed(found) if found else None

    def newest(self, algorithm_id: str, git_hash: str | None = None) -> Build | None:
        """The most recent successful build of an algorithm (of one commit, if given)."""
        of_commit = {"git_hash": git_hash} if git_hash else {}
        found = self._table.first(algorithm_id=algorithm_id, status="succeeded", **of_commit)
        return self._placed(found) if found else None

    def any_of(self, algorithm_id: str, git_hash: str) -> bool:
        """Whether there is a build of a commit, however it ended."""
        return self._table.first(algorithm_id=algorithm_id, git_hash=git_hash) is not None

    def log(self, build: Build, most: int = 1 << 20) -> str:
        """What the build has said so far: at most so many bytes, the last ones."""
        try:
            with open(self._folder(build) / "log.txt", "rb", opener=no_follow) as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - most))
                return file.read(most).decode("utf-8", "replace")
        except OSError:  # it isn't there yet, or no file of ours
            return ""

    def source(self, build: Build) -> Path:
        """The checked-out source of a build."""
        return self._folder(build) / "source"

    def base(self, build: Build) -> Path | None:
        """The Python that a build's virtual environment was made with; None if it is no longer offered."""
        offered = self._environments.offered()
        return next((each.interpreter for each in offered if each.name == build.environment), None)

    def wait(self, build: Build, timeout: float | None = None) -> Build:
        """Blocks until a build has ended; the build as it is then (or when the time is over)."""

        with contextlib.suppress(FutureTimeout):
            self.end_of(build).result(timeout)
        return self.get(build.algorithm_id, build.id)

    def end_of(self, build: Build) -> Future[None]:
        """What is done when the build has ended, or the platform is closing; wait for it, never cancel it."""
        with self._lock:
            found = self._ends.get(build.id)
        if found is None:
            found = Future()
            found.set_result(None)
        return found

    def forget(self, build_ids: list[str]) -> None:
        """Removes the folders of builds whose rows are gone."""
        for build_id in build_ids:
            remove(self._root / build_id)

    def close(self) -> None:
        """Stops running builds; their rows stay in progress, so that the next opening starts them again."""
        with self._lock:
            self._closing = True
            waiting = list(self._ends.values())
        self._commands.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for end in waiting:
            if not end.done():
                end.set_result(None)
        self._commands.end()

    # -- one build -------------------------------------------------------------------------------------

    def _submit(self, work: Callable[[Build, IO[bytes]], None], build: Build) -> None:
        """Puts work for a build in line; those who wait are told when it ended, however it did."""

        def run() -> None:
            try:
                with self._log_file(build) as log:
                    work(build, log)
            finally:
                with self._lock:
                    self._ends.pop(build.id, None)
                end.set_result(None)

        end: Future[None] = Future()
        with self._lock:
            self._ends[build.id] = end
        self._pool.submit(run)

    def _run(self, build: Build, log: IO[bytes]) -> None:
        interpreter = self._try(build, log)
        if self._closing:
            return
        place = str(interpreter.relative_to(self._home)) if interpreter else ""
        status = "succeeded" if interpreter else "failed"
        sync_file_system(self._home)
        self._table.update(build.id, status=status, interpreter=place, finished_at=self._clock())
        self._tell(build)

    def _mend(self, build: Build, log: IO[bytes]) -> None:
        """Makes source and environment of a successful build anew; whatever comes of it, it stays that."""
        log.write(b"files of this build are missing; making them again\n")
        interpreter = self._try(build, log)
        if interpreter is not None:
            self._table.update(build.id, interpreter=str(interpreter.relative_to(self._home)))
            self._tell(build)

    def _tell(self, build: Build) -> None:
        for listener in self._listeners:
            listener(build.algorithm_id)

    def _try(self, build: Build, log: IO[bytes]) -> Path | None:
        """The Python that runs the build; None when it failed, with the reason in the log."""
        try:
            interpreter = self._steps(build, log)
        except (BuildStepFailed, CommandStopped, WrapgenError) as error:
            log.write(f"build failed: {error}\n".encode())
        except Exception as error:  # a fault of ours must end the build, not hang those who wait
            log.write(f"build failed inside the platform: {error!r}\n".encode())
        else:
            log.write(b"build succeeded\n")
            return interpreter
        return None

    def _steps(self, build: Build, log: IO[bytes]) -> Path:
        environment = self._environments.named(build.environment)
        log.write(f"building {build.git_hash} with Python {environment.version}\n".encode())
        source = self.source(build)
        remove(source)
        source.mkdir(parents=True)
        self._repositories.export(build.algorithm_id, build.git_hash, source)
        for warning in absent(source):
            log.write(f"warning: {warning}\n".encode())
        main = main_module(source)
        run = BuildRun(self._commands, environment.interpreter, self._folder(build) / "tmp", log)
        wanted = Requirements.read((read_file(source, "requirements.txt") or b"").decode("utf-8", "replace"))
        salt = f"{build.algorithm_id}\n{build.git_hash}"
        python, cached = self._virtualenvs.find_or_make(environment.interpreter, wanted, source, salt, run)
        if python is None:
            for setting in self._installers.ignored:
                log.write(f"note: this setting of pip is not used in builds: {setting}\n".encode())
            seen = " (in the sandbox, which sees no more than `wrapgen serve --readable DIR` shows)"
            raise BuildStepFailed(
                "requirements.txt could not be installed; the lines above say why"
                + (seen if self._commands.sandbox else "")
            )
        if cached:
            log.write(b"requirements: already installed by an earlier build\n")
        said = run.check([str(python), "-I", "-c", _CHECK, main], source, python.parent.parent)
        if said is None:
            return python
        if _INVALID in said:
            raise BuildStepFailed(
                f"{main} is not valid Python {environment.version}; the lines above say where"
            )
        raise BuildStepFailed(f"{main} could not be compiled: the lines above say why; build it again")

    def _all(self, **equal: str) -> list[Build]:
        return [self._placed(each) for each in self._table.all(**equal)]

    def _placed(self, build: Build) -> Build:
        return replace(build, interpreter=self._home / build.interpreter)

    def _folder(self, build: Build) -> Path:
        return self._root / build.id

    def _log_file(self, build: Build) -> IO[bytes]:
        path = self._folder(build) / "log.txt"
        path.parent.mkdir(exist_ok=True)
        return open(path, "a+b", buffering=0, opener=no_follow)
