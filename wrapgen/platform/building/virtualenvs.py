"""Virtual environments for builds, made once per set of requirements and interpreter.

uv makes them where it works, because it is several times quicker; whatever uv can't do pip is asked to do,
and pip's verdict decides. Pip isn't asked what can't be installed by anybody: that would take seconds more.
Which index is used is the user's own setting of these tools.

Only an environment with nothing but packages of the index is shared. In a sandbox its wheels are installed by
trusted tools alone, from a cache that no build sees, with digests; what has to be built is built by itself.

Each attempt has a folder of its own, and a marker beside it, where no build can write, names the one that was
completed: a server killed in the middle can't leave a half-made environment that looks whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path

from wrapgen.files import make_folder, sync_file_system
from wrapgen.platform.building.commands import BuildRun
from wrapgen.platform.building.installers import Installers
from wrapgen.platform.building.requirements import Requirements
from wrapgen.platform.building.sources import no_follow
from wrapgen.platform.workers.disk import held_by, remove

_UV_INDEX = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE", "UV_OFFLINE", "UV_NO_INDEX")

_PIP_INDEX = frozenset({"index-url", "no-index"})
"""Settings of pip that name another place to look at; uv doesn't read them."""

_PIP_MORE = frozenset({"extra-index-url", "find-links"})
"""Those that name places beside the usual one."""

_HOPELESS = re.compile(
    "^error: Couldn't parse requirement|^(error| *cause): (The build backend returned|failed to read from)",
    re.MULTILINE,
)
_UNSOLVABLE = re.compile("^error: No solution found when resolving", re.MULTILINE)
_PERHAPS = re.compile("^hint: ", re.MULTILINE)
"""How uv says what can be had nowhere; and that other settings might help, such as those that pip has."""


SETUPTOOLS = "setuptools<81"
"""With the module `pkg_resources`, which later ones lack."""

SMALL = 64 << 20
"""Bytes of an environment up to which one process compiles it: to start more takes as long."""


class Virtualenvs:
    """The environments of one home.

    Args:
        root: the folder that holds them.
        installers: the settings of uv and pip.
    """

    def __init__(self, root: Path, installers: Installers) -> None:
        self._root = root
        make_folder(root)
        self._installers = installers
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def find_or_make(
        self, interpreter: Path, wanted: Requirements, source: Path, salt: str, run: BuildRun
    ) -> tuple[Path | None, bool]:
        """The Python of an environment with what an algorithm requires.

        Args:
            interpreter: what it is made with.
            wanted: what `requirements.txt` asks for.
            source: the folder of the algorithm.
            salt: identifies the algorithm and its source; used where requirements mean more than the index.
            run: runs a command.

        Returns:
            The executable, or None when the requirements can't be installed; and whether it was there before.
        """
        digest = _digest(interpreter, wanted, salt)
        folder, marker = self._root / digest, self._root / digest / "ready"
        with self._guard:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            if os.path.lexists(marker):
                with open(marker, encoding="ascii", opener=no_follow) as file:
                    python = folder / file.read(64) / "bin" / "python"
                if os.path.lexists(python):
                    return python, True
            remove(folder)
            folder.mkdir(parents=True)
            attempt = _Attempt(folder, interpreter, wanted, source, run)
            if not self._make(attempt):
                remove(folder)
                return None, False
            sync_file_system(folder)  # what is marked as ready is there after a power cut
            part = folder / f"ready.{uuid.uuid4().hex}"
            with part.open("x", encoding="ascii") as file:  # never through a link that a build may have left
                file.write(attempt.target.name)
            part.replace(marker)
            return attempt.target / "bin" / "python", False

    def _make(self, attempt: _Attempt) -> bool:
        uv = self._uv()
        if attempt.wanted.plain and attempt.run.sandboxed and attempt.fetch(uv):
            return True
        if uv:
            said = attempt.with_uv(uv)
            if said is None or self._is_final(said):
                return said is None
        return attempt.with_pip() is None

    def _is_final(self, said: str) -> bool:
        """Whether pip would fail on what uv failed on."""
        if _HOPELESS.search(said):
            return True
        unsolvable = _UNSOLVABLE.search(said) and not _PERHAPS.search(said)
        return bool(unsolvable) and not self._installers.pip_knows(_PIP_INDEX | _PIP_MORE)

    def _uv(self) -> str | None:
        """uv, unless pip was told to use another index and uv was not: then uv would ask the wrong one."""
        beside = Path(sys.executable).with_name("uv")
        path = self._installers.variables.get("PATH", os.defpath)
        found = str(beside) if beside.exists() else shutil.which("uv", path=path)
        found = found and str(Path(found).resolve())
        if found is None or self._installers.uv_is_told(_UV_INDEX):
            return found
        return None if self._installers.pip_knows(_PIP_INDEX) else found


@dataclass
class _Attempt:
    """The making of one environment, in a new folder each time something is tried.

    Args:
        folder: holds the folders.
        interpreter: what the environment is made with.
        wanted: what is installed.
        source: the folder of the algorithm.
        run: runs a command.
        target: the newest folder.
    """

    folder: Path
    interpreter: Path
    wanted: Requirements
    source: Path
    run: BuildRun
    target: Path = Path()

    def fetch(self, uv: str | None) -> bool:
        """Installs wheels alone, by tools that run nothing of them; False where something has to be built."""
        self._renew()
        if uv is None:
            return self._pip("--only-binary=:all:", trusted=True) is None
        locked = "requirements.lock"
        wheels = ["--only-binary", ":all:", "--python", f"{self.target}/bin/python"]
        compiled = ["--quiet", "--no-header", "--no-annotate", "--generate-hashes", "-o", locked]
        installed = ["--no-progress", "--no-deps", "--require-hashes", "-r", locked]
        steps = [self._uv_venv(uv)]
        if self.wanted.lines:
            steps.append([uv, "pip", "compile", *wheels, *compiled, "requirements.txt"])
            steps.append([uv, "pip", "install", *wheels, *installed])
        if self._run(steps[0], trusted=True) is not None:
            return False
        self._add_setuptools([uv, "pip", "install", *wheels], trusted=True)
        if not all(self._run(each, trusted=True) is None for each in steps[1:]):
            return False
        self._compile(trusted=True)
        return True

    def with_uv(self, uv: str) -> str | None:
        """What uv said when it failed."""
        self._renew()
        said = self._run(self._uv_venv(uv), trusted=False)
        if said is not None:
            return said
        installing = [uv, "pip", "install", "--no-progress", "--python", f"{self.target}/bin/python"]
        self._add_setuptools(installing, trusted=False)
        if self.wanted.lines:
            said = self._run([*installing, "-r", "requirements.txt"], trusted=False)
        if said is None:
            self._compile(trusted=False)
        return said

    def with_pip(self) -> str | None:
        """What pip, or what makes the environment for it, said when it failed."""
        self._renew()
        return self._pip(trusted=False)

    def _uv_venv(self, uv: str) -> list[str]:
        return [
            *(uv, "venv", "--quiet", "--allow-existing"),
            *("--python", str(self.interpreter), str(self.target)),
        ]

    def _pip(self, *more: str, trusted: bool) -> str | None:
        said = self._run([str(self.interpreter), "-I", "-m", "venv", str(self.target)], trusted=trusted)
        if said is not None:
            return said
        options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off", *more]
        installing = [f"{self.target}/bin/python", "-I", "-m", "pip", "install", *options]
        self._add_setuptools(installing, trusted=trusted)
        return (
            self._run([*installing, "-r", "requirements.txt"], trusted=trusted) if self.wanted.lines else None
        )

    def _add_setuptools(self, installing: list[str], *, trusted: bool) -> None:
        """Adds what older code takes for granted; the algorithm's own wish comes later, and wins.

        Where it can't be had a build goes on: its log says so.
        """
        if not any(self.target.glob("lib/python*/site-packages/setuptools")):
            self._run([*installing, "--quiet", SETUPTOOLS], trusted=trusted)

    def _compile(self, *, trusted: bool) -> None:
        """Compiles what was asked for; uv's own option would start it, and can't do so with Python 3.6."""
        if self.wanted.lines:
            processes = (
                "1" if held_by(self.target, SMALL) <= SMALL else "0"
            )  # as many as there are processors
            compiling = [str(self.interpreter), "-I", "-S", "-m", "compileall", "-qq", "-j", processes, "-x"]
            self._run([*compiling, "/(setuptools|pkg_resources)/", str(self.target / "lib")], trusted=trusted)

    def _renew(self) -> None:
        """A new folder; with what is plain as we understood it, all else is as the algorithm has it."""
        if self.target != Path():
            remove(self.target)
        self.target = self.folder / uuid.uuid4().hex[:8]
        self.target.mkdir()
        self.target.chmod(0o755)  # whatever the server's umask is: another user runs what is in it
        if self.wanted.plain:
            (self.target / "requirements.txt").write_text("\n".join(self.wanted.lines), "ascii")

    def _run(self, words: list[str], *, trusted: bool) -> str | None:
        return self.run.install(words, self._cwd, self.target, trusted=trusted)

    @property
    def _cwd(self) -> Path:
        return self.target if self.wanted.plain else self.source


def _digest(interpreter: Path, wanted: Requirements, salt: str) -> str:
    """Equal for plain requirements that ask for the same, in any layout; else different for each source."""
    real = interpreter.resolve()
    facts = [str(real), str(real.stat().st_mtime_ns), *wanted.lines, "" if wanted.plain else salt]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
