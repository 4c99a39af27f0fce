"""The Python that has what a wrapper imports: this one, or that of an environment made once in the cache."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from wrapgen.errors import RunError
from wrapgen.files import CLIENT
from wrapgen.local.cache import is_environment_kept, kept_environment

INSTALL_SECONDS = 3600
"""How long installing may take."""


def interpreter_for(folder: Path, *, vendor: bool, tell: Callable[[str], None]) -> Path:
    """The Python that executes a wrapper.

    Args:
        folder: the wrapper's.
        vendor: whether it needs `CLIENT`, to call the platform.
        tell: told what takes a while.

    Raises:
        RunError: what it requires can't be installed; says why.
        UsageError: the cache can't be written.
    """
    wanted = [line for line in _lines(folder) if vendor or line not in CLIENT]
    text = "".join(f"{line}\n" for line in wanted)
    digest = hashlib.sha256(f"{sys.executable} {sys.version}\n{folder}\n{text}".encode()).hexdigest()
    # Whether this Python has what is wanted takes 30 ms to find out; an environment of it is known at once.
    if not is_environment_kept(digest) and all(map(_is_there, wanted)):
        return Path(sys.executable)
    environment = kept_environment(digest)
    python = environment / "bin" / "python"
    with (environment / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (environment / "requirements.txt").is_file() and python.exists():
            return python
        missing = ", ".join(line for line in wanted if not _is_there(line))
        tell(f"installing {missing} for {folder.name}, once")
        _install(environment, folder, text)
        (environment / "requirements.txt").write_text(text, "utf-8")
    return python


def _lines(folder: Path) -> list[str]:
    file = folder / "requirements.txt"
    text = file.read_text("utf-8") if file.is_file() else ""
    return [line for line in map(str.strip, text.splitlines()) if line and not line.startswith("#")]


def _is_there(line: str) -> bool:
    """Whether this Python has what one line asks for; of an option or an address that is never known."""
    from importlib.metadata import PackageNotFoundError, version  # not at the top: most wrappers need nothing

    from packaging.requirements import InvalidRequirement, Requirement

    try:
        wanted = Requirement(line)
        if wanted.marker is not None and not wanted.marker.evaluate():
            return True
        return not (wanted.url or wanted.extras) and wanted.specifier.contains(version(wanted.name), True)
    except (InvalidRequirement, PackageNotFoundError):
        return False


def _install(environment: Path, folder: Path, text: str) -> None:
    """Makes the environment, with uv where that works, else with pip; both use the user's own settings.

    Raises:
        RunError: pip, or uv where that is all there is, could not; with what it said.
    """
    listed = folder / ".local-requirements.txt"  # beside what its lines may lead to
    python = str(environment / "bin" / "python")
    beside = Path(sys.executable).with_name("uv")
    uv = str(beside) if beside.exists() else shutil.which("uv")
    make = [sys.executable, "-m", "venv", str(environment)]
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    tools = [(make, install)]
    if uv:
        make = [uv, "venv", "--quiet", "--allow-existing", "--python", sys.executable, str(environment)]
        tools.insert(0, (make, [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", python]))
    try:
        listed.write_text(text, "utf-8")
        for made, installed in tools:
            said = _failure(made, folder) or _failure([*installed, "-r", listed.name], folder)
            if not said:
                return
        hint = "correct its requirements.txt, or install them beside wrapgen"
        raise RunError(f"what {folder.name} requires can't be installed: {said}", hint=hint)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RunError(f"what {folder.name} requires can't be installed: {error}") from error
    finally:
        with suppress(OSError):
            listed.unlink()


def _failure(command: list[str], folder: Path) -> str:
    """The end of what a command said that failed; empty for one that did not."""
    done = subprocess.run(
        command,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_SECONDS,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    return ((done.stderr or done.stdout).strip()[-2000:] or "it failed") if done.returncode else ""
