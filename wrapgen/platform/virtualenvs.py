"""Virtual environments for builds, made once per set of requirements and interpreter.

uv makes them where it works, because it is several times quicker; whatever uv can't do pip is asked to do,
and pip's verdict decides. Pip isn't asked what can't be installed by anybody: that would take seconds more.
Which index is used is the user's own setting of these tools.

Each attempt has a folder of its own and a marker file names the one that was completed: a server killed in
the middle can't leave a half-made environment that looks whole, even if its pip lives on for a while.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

Run = Callable[[list[str], Path, Path], str | None]
"""Runs a command in a folder, and lets it write to another one too, its output going to the build's log.

None, or what it said when it failed."""

_UV_INDEX = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE", "UV_OFFLINE", "UV_NO_INDEX")

_PIP_INDEX = frozenset({"index-url", "no-index"})
"""Settings of pip that name another place to look at; uv doesn't read them."""

_PIP_MORE = frozenset({"extra-index-url", "find-links"})
"""Those that name places beside the usual one."""

_HOPELESS = re.compile(
    "^error: Couldn't parse requirement|^(error| *cause): The build backend returned", re.MULTILINE
)
_UNSOLVABLE = re.compile("^error: No solution found when resolving", re.MULTILINE)
_PERHAPS = re.compile("^hint: ", re.MULTILINE)
"""How uv says what nobody can install; and that other settings might help, such as those that pip has."""

_PASSED = re.compile(
    r"(PIP|UV|XDG|LC|SSL|CURL|GIT)_.*|PATH|HOME|USER|LOGNAME|LANG|TMPDIR|NETRC|REQUESTS_CA_BUNDLE"
    r"|(https?|all|no)_proxy|CC|CXX|(C|CPP|CXX|LD)FLAGS|LD_LIBRARY_PATH|PKG_CONFIG_PATH",
    re.IGNORECASE,
)
"""What installers and compilers need to know. Requirements run code of strangers: they get nothing else."""


def build_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that a build may see, out of the server's own.

    uv trusts authorities of its own unless told to trust those of the system, where a company adds one.
    """
    passed = {name: value for name, value in variables.items() if _PASSED.fullmatch(name)}
    return {"UV_SYSTEM_CERTS": "true", **passed}


class Virtualenvs:
    """The environments of one home.

    Args:
        root: the folder that holds them.
        variables: environment variables (PATH, and the settings of uv and pip).
    """

    def __init__(self, root: Path, variables: Mapping[str, str]) -> None:
        self._root = root
        root.mkdir(exist_ok=True)
        self._variables = variables
        self._locks: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    def find_or_make(self, interpreter: Path, source: Path, salt: str, run: Run) -> tuple[Path | None, bool]:
        """The Python of an environment with what `source/requirements.txt` asks for.

        Args:
            interpreter: what it is made with.
            source: the folder of the algorithm.
            salt: identifies the source; used where requirements name files inside it.
            run: runs a command.

        Returns:
            The executable, or None when the requirements can't be installed; and whether it was there before.
        """
        requirements = source / "requirements.txt"
        text = requirements.read_text("utf-8", "replace") if requirements.is_file() else ""
        digest = _digest(interpreter, text, salt)
        folder, marker = self._root / digest, self._root / digest / "ready"
        with self._guard:
            lock = self._locks.setdefault(digest, threading.Lock())
        with lock:
            if marker.is_file():
                python = folder / marker.read_text("ascii") / "bin" / "python"
                if python.exists():
                    return python, True
            shutil.rmtree(folder, ignore_errors=True)
            attempt = folder / uuid.uuid4().hex[:8]
            attempt.parent.mkdir(parents=True)
            if not self._make(attempt, interpreter, requirements if text.strip() else None, run):
                shutil.rmtree(folder, ignore_errors=True)
                return None, False
            part = folder / "ready.part"
            part.write_text(attempt.name, "ascii")
            part.replace(marker)
            return attempt / "bin" / "python", False

    def _make(self, target: Path, interpreter: Path, requirements: Path | None, run: Run) -> bool:
        cwd = requirements.parent if requirements else target.parent
        uv = self._uv()
        if uv:
            said = _with_uv(uv, target, interpreter, requirements, run, cwd)
            if said is None or self._is_final(said):
                return said is None
        shutil.rmtree(target, ignore_errors=True)
        return _with_pip(target, interpreter, requirements, run, cwd) is None

    def _is_final(self, said: str) -> bool:
        """Whether pip would fail on what uv failed on."""
        if _HOPELESS.search(said):
            return True
        unsolvable = _UNSOLVABLE.search(said) and not _PERHAPS.search(said)
        return bool(unsolvable) and not self._pip_knows(_PIP_INDEX | _PIP_MORE)

    def _uv(self) -> str | None:
        """uv, unless pip was told to use another index and uv was not: then uv would ask the wrong one."""
        beside = Path(sys.executable).with_name("uv")
        path = self._variables.get("PATH", os.defpath)
        found = str(beside) if beside.exists() else shutil.which("uv", path=path)
        if found is None or any(self._variables.get(name) for name in _UV_INDEX):
            return found
        user = Path(
            self._variables.get("XDG_CONFIG_HOME") or Path(self._variables.get("HOME", "/"), ".config")
        )
        if any((folder / "uv" / "uv.toml").is_file() for folder in (user, Path("/etc"))):
            return found
        return None if self._pip_knows(_PIP_INDEX) else found

    def _pip_knows(self, settings: frozenset[str]) -> bool:
        """Whether pip was told one of these, by a variable or in one of its files."""
        if any(self._variables.get("PIP_" + name.upper().replace("-", "_")) for name in settings):
            return True
        home = Path(self._variables.get("HOME", "/"))
        config = Path(self._variables.get("XDG_CONFIG_HOME") or home / ".config")
        named = self._variables.get("PIP_CONFIG_FILE")
        files = [Path("/etc/pip.conf"), home / ".pip" / "pip.conf", config / "pip" / "pip.conf"]
        for file in [*files, *([Path(named)] if named else [])]:
            try:
                lines = file.read_text("utf-8", "replace").splitlines()
            except OSError:
                continue
            names = {line.partition("=")[0].strip().replace("_", "-") for line in lines}
            if settings & {name.removeprefix("global.") for name in names}:
                return True
        return False


def _with_uv(
    uv: str, target: Path, interpreter: Path, requirements: Path | None, run: Run, cwd: Path
) -> str | None:
    said = run([uv, "venv", "--quiet", "--python", str(interpreter), str(target)], cwd, target.parent)
    if said is not None or requirements is None:
        return said
    options = ["--no-progress", "--compile-bytecode", "--python", f"{target}/bin/python"]
    return run([uv, "pip", "install", *options, "-r", str(requirements)], cwd, target.parent)


def _with_pip(target: Path, interpreter: Path, requirements: Path | None, run: Run, cwd: Path) -> str | None:
    said = run([str(interpreter), "-m", "venv", str(target)], cwd, target.parent)
    if said is not None or requirements is None:
        return said
    options = ["--disable-pip-version-check", "--no-input", "--progress-bar=off"]
    python = f"{target}/bin/python"
    return run([python, "-m", "pip", "install", *options, "-r", str(requirements)], cwd, target.parent)


def _digest(interpreter: Path, requirements: str, salt: str) -> str:
    """Equal for requirements that ask for the same: comments, blank lines and order of options apart."""
    lines = [line.split(" #", 1)[0].strip() for line in requirements.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    local = any(line.startswith(("-", ".", "/")) or "file:" in line or line.endswith("\\") for line in kept)
    real = interpreter.resolve()
    facts = [str(real), str(real.stat().st_mtime_ns), *kept, salt if local else ""]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
