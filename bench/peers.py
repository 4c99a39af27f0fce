"""Virtual environments of the peers, each of its own, with the pinned versions of `peers/<name>.txt`.

`python -m bench.peers [NAME...]`, which `make peers` calls, installs those that the tests of endpoints use:
real servers and the official clients. Tests of one that can't be installed are skipped; its stand-in remains.
`python -m bench.peers bench` installs all that the bench measures, so that installing is no part of its time.
"""

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

TESTED = ("fastapi", "mlserver", "kserve", "bentoml", "mlflow", "litellm", "litserve", "openai")
"""Peers that the tests of endpoints use."""


PROGRAMS = {"nginx": "nginx-light", "wrk": "wrk"}
"""Peers that come from the system's packages."""


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
    ready, digest = folder / "ready", _digest(wanted, state)
    if not (ready.exists() and ready.read_text() == digest):
        print(f"  installing {name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        _call([sys.executable, "-m", "venv", *_WITHOUT_PIP, str(folder)], name)
        _call([*_installer(folder / "bin" / "python"), "--quiet", *wanted], name)
        ready.write_text(digest)
    return folder / "bin" / "python"


def installed(name: str) -> Path | None:
    """The interpreter of a peer's environment; None where `python` would have to make it first."""
    folder, wanted = CACHE / "peers" / name, HERE / "peers" / f"{name}.txt"
    ready = folder / "ready"
    state = _digest(["--requirement", str(wanted)], wanted.read_bytes())
    return folder / "bin" / "python" if ready.exists() and ready.read_text() == state else None


def _digest(wanted: list[str], state: bytes) -> str:
    return hashlib.sha256("\0".join([*wanted, sys.version]).encode() + state).hexdigest()


_UV = Path(sys.executable).with_name("uv")
_WITHOUT_PIP = ["--without-pip"] if _UV.exists() else []


def _installer(python: Path) -> list[str]:
    """The command that installs into an environment: uv, a second for each, where wrapgen's own has it."""
    if _UV.exists():
        return [str(_UV), "pip", "install", "--python", str(python)]
    return [str(python), "-m", "pip", "install", "--disable-pip-version-check"]


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
    return program("wrk", PROGRAMS["wrk"], install=install)


def program(name: str, package: str, *, install: bool) -> str:
    """Where a program is; if that may be, installed from the system's packages.

    Raises:
        Failed: it is missing.
    """
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))
    if install and shutil.which(name, path=path) is None and os.getuid() == 0 and shutil.which("apt-get"):
        words = ["install", "-y", "-qq", "--no-install-recommends", package]
        for command in (["update", "-qq"], words):
            variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(["apt-get", *command], capture_output=True, env=variables)
    found = shutil.which(name, path=path)
    if found is None:
        raise Failed(f"{name} is missing (apt-get install {package})")
    return found


def main() -> None:
    """Installs what is named, or all that the tests use; says what could not be."""
    wanted = sys.argv[1:] or [*TESTED, "nginx"]
    if wanted == ["bench"]:
        wanted = ["wrk", *sorted(path.stem for path in (HERE / "peers").glob("*.txt"))]
    missing = [name for name in wanted if not _install(name)]
    if missing:
        sys.exit(f"peers: could not be installed: {', '.join(missing)}")


def _install(name: str) -> bool:
    try:
        package = PROGRAMS.get(name)
        where = program(name, package, install=True) if package else str(python(name))
    except Failed as error:
        print(f"  {name}: {error}; what needs it is left out", file=sys.stderr, flush=True)
        return False
    versions = [] if package else map("==".join, pinned(name).items())
    print(" ".join([f"  {name}: {where}", *versions]), flush=True)
    return True


def _call(command: list[str], name: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        raise Failed(f"{name} could not be installed: {lines[-1][:120] if lines else done.returncode}")


if __name__ == "__main__":
    main()
