"""The real interpreters of this machine, and an environment for each with what a wrapper requires.

Environments are kept under `.cache/interpreters`, named for the interpreter and what is in them, and made by
uv or, where that can't, by venv and pip.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "interpreters"
VERSIONS = ("3.7", "3.8", "3.9", "3.10", "3.11", "3.12", "3.13")
REQUIREMENTS = (
    "algorithmia>=2.0.5,<3",
    "algorithmia-adk>=1.2.4,<2",
    "SQLAlchemy>=2.0,<3",
    "boto3>=1.26",
    "psycopg2-binary>=2.9",
    "PyMySQL>=1.0",
)


class Missing(Exception):
    """There is no such interpreter here, or no environment can be made for it; says which and why."""


@functools.cache
def find(version: str) -> Path:
    """The executable of an interpreter that really runs. Raises Missing."""
    candidates = [shutil.which(f"python{version}")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python3"))]
    for candidate in candidates:
        if candidate and _version_of(candidate) == version:
            return Path(candidate)
    raise Missing(f"no Python {version} on this machine")


def _version_of(candidate: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([candidate, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


@functools.cache
def environment(version: str) -> Path:
    """The Python of an environment with the vendor's client and ADK. Raises Missing."""
    interpreter = find(version)
    digest = hashlib.sha256(repr((str(interpreter), REQUIREMENTS)).encode()).hexdigest()[:12]
    folder = CACHE / f"{version}-{digest}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        attempt = CACHE / f"{version}-{digest}.{os.getpid()}"
        shutil.rmtree(attempt, ignore_errors=True)
        problem = _make(interpreter, attempt)
        if problem:
            shutil.rmtree(attempt, ignore_errors=True)
            raise Missing(f"no environment for Python {version}: {problem}")
        (attempt / "ready").touch()
        try:
            attempt.rename(folder)
        except OSError:  # another test process was quicker
            shutil.rmtree(attempt, ignore_errors=True)
    return python


def _make(interpreter: Path, folder: Path) -> str:
    """Makes an environment; the end of what went wrong, or an empty text."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = str(folder / "bin" / "python")
    uv = [sys.executable, "-m", "uv"]
    ways = [
        (
            [*uv, "venv", "-q", "--python", str(interpreter), str(folder)],
            [*uv, "pip", "install", "-q", "--python", python],
        ),
        ([str(interpreter), "-m", "venv", str(folder)], [python, "-m", "pip", "install", "-q"]),
    ]
    variables = {"UV_SYSTEM_CERTS": "true", **os.environ}
    said = ""
    for make, install in ways:
        shutil.rmtree(folder, ignore_errors=True)
        for command in (make, [*install, *REQUIREMENTS]):
            done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
            if done.returncode != 0:
                said = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
                break
        else:
            return ""
    return said
