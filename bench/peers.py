"""Virtual environments of the peers, each of its own, with the pinned versions of `peers/<name>.txt`."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from bench.measure import Failed

HERE = Path(__file__).resolve().parent
CACHE = HERE.parent / ".cache" / "bench"


def python(name: str) -> Path:
    """The interpreter of a peer's environment, which is made on first use and after a change of its versions.

    Raises:
        Failed: it can't be installed.
    """
    wanted = HERE / "peers" / f"{name}.txt"
    return environment(CACHE / "peers" / name, name, ["--requirement", str(wanted)], wanted.read_bytes())


def environment(folder: Path, name: str, wanted: list[str], state: bytes) -> Path:
    """The interpreter of a virtual environment, made anew when what is asked for differs from last time.

    Args:
        folder: where it is.
        name: for messages.
        wanted: what pip installs, as words of its command line.
        state: what these words mean: the text of the files that they name.

    Raises:
        Failed: it can't be installed.
    """
    digest = hashlib.sha256("\0".join([*wanted, sys.version]).encode() + state).hexdigest()
    ready = folder / "ready"
    if not (ready.exists() and ready.read_text() == digest):
        print(f"  installing {name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _call([sys.executable, "-m", "venv", str(folder)], name)
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
        _call([*pip, "--disable-pip-version-check", *wanted], name)
        ready.write_text(digest)
    return folder / "bin" / "python"


def pinned(name: str) -> dict[str, str]:
    """Names and versions of what a peer's environment is asked for: the lines before the first empty one."""
    lines = (HERE / "peers" / f"{name}.txt").read_text().split("\n\n")[0].splitlines()
    wanted = [line.partition("==") for line in lines if "==" in line and not line.startswith("#")]
    return {name: version for name, _, version in wanted}


def wrk(*, install: bool = True) -> str:
    """The load generator; if that may be, installed from the system's packages.

    Raises:
        Failed: it is missing.
    """
    if install and shutil.which("wrk") is None and os.getuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "update", "-qq"], capture_output=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], capture_output=True)
    found = shutil.which("wrk")
    if found is None:
        raise Failed("wrk is missing (apt-get install wrk)")
    return found


def _call(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Failed(f"{name} could not be installed: {lines[-1][:120] if lines else done.returncode}")
