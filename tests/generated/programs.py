"""Programs under a real interpreter, each in a process of its own that has the vendor's client imported."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

FORKS = Path(__file__).with_name("forks.py")


@functools.cache
def _forking(python: Path) -> subprocess.Popen[str]:
    """The process of an interpreter that forks; it ends with this one."""
    process = subprocess.Popen(
        [str(python), str(FORKS)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    atexit.register(process.communicate)
    return process


def run(
    python: Path,
    folder: Path,
    *arguments: str,
    program: str = "",
    module: str = "",
    lines: str = "",
    environment: Mapping[str, str] | None = None,
    warn: tuple[tuple[str, str], ...] = (("ignore", "Warning"),),
) -> subprocess.CompletedProcess[str]:
    """Runs a program, or a module, in a folder, as `python -c` and `python -m` would; ends it after 120 s."""
    forking = _forking(python)
    assert forking.stdin is not None and forking.stdout is not None
    with tempfile.TemporaryDirectory() as streams:
        paths = {name: str(Path(streams, name)) for name in ("stdin", "stdout", "stderr")}
        for name, path in paths.items():
            Path(path).write_text(lines if name == "stdin" else "", "utf-8")
        asked = {
            "folder": str(folder),
            "program": program,
            "module": module,
            "arguments": arguments,
            "environment": dict(os.environ if environment is None else environment),
            "warnings": warn,
            **paths,
        }
        print(json.dumps(asked), file=forking.stdin, flush=True)
        code = int(forking.stdout.readline())
        said = {name: Path(paths[name]).read_text("utf-8") for name in ("stdout", "stderr")}
    return subprocess.CompletedProcess([str(python), *arguments], code, **said)
