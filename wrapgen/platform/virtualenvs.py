"""Virtual environments for builds, made once per set of requirements and interpreter.

uv makes them where it works, because it is several times quicker; whatever uv can't do pip is asked to do,
and pip's verdict decides. Which index is used is the user's own setting of these tools.

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

Run = Callable[[list[str], Path], bool]
"""Runs a command in a folder, its output going to the build's log; whether it succeeded."""

_UV_INDEX = ("UV_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX", "UV_CONFIG_FILE", "UV_OFFLINE", "UV_NO_INDEX")


_PASSED = re.compile(
    r"(PIP|UV|XDG|LC|SSL|CURL|GIT)_.*|PATH|HOME|USER|LOGNAME|LANG|TMPDIR|NETRC|REQUESTS_CA_BUNDLE"
    r"|(https?|all|no)_proxy|CC|CXX|(C|CPP|CXX|LD)FLAGS|LD_LIBRARY_PATH|PKG_CONFIG_PATH",
    re.IGNORECASE,
)
"""What installers and compilers need to know. Requirements run code of strangers: they get nothing else."""


def build_variables(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables that a build may see, out of the server's own."""
    return {name: value for name, value in variables.items() if _PASSED.fullmatch(name)}


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
        python = str(target / "bin" / "python")
        uv = self._uv()
        if uv and self._with_uv(uv, target, interpreter, requirements, run, cwd):
            return True
        shutil.rmtree(target, ignore_errors=True)
        if not run([str(interpreter), "-m", "venv", str(target)], cwd):
            return False
        pip = [
            python,
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--no-input",
            "--progress-bar=off",
        ]
        return requirements is None or run([*pip, "-r", str(requirements)], cwd)

    def _with_uv(
        self, uv: str, target: Path, interpreter: Path, requirements: Path | None, run: Run, cwd: Path
    ) -> bool:
        if not run([uv, "venv", "--quiet", "--python", str(interpreter), str(target)], cwd):
            return False
        install = [
            uv,
            "pip",
            "install",
            "--no-progress",
            "--compile-bytecode",
            "--python",
            f"{target}/bin/python",
        ]
        return requirements is None or run([*install, "-r", str(requirements)], cwd)

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
        return None if self._pip_has_own_index() else found

    def _pip_has_own_index(self) -> bool:
        if any(self._variables.get(name) for name in ("PIP_INDEX_URL", "PIP_NO_INDEX")):
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
            if names & {"index-url", "no-index", "global.index-url"}:
                return True
        return False


def _digest(interpreter: Path, requirements: str, salt: str) -> str:
    """Equal for requirements that ask for the same: comments, blank lines and order of options apart."""
    lines = [line.split(" #", 1)[0].strip() for line in requirements.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    local = any(line.startswith(("-", ".", "/")) or "file:" in line or line.endswith("\\") for line in kept)
    real = interpreter.resolve()
    facts = [str(real), str(real.stat().st_mtime_ns), *kept, salt if local else ""]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:32]
