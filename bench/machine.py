"""What was measured on: processors, memory, kernel, Python, versions. Measures nothing."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


def facts() -> dict[str, Any]:
    """The machine in words for a table, and the commit that is measured."""
    cpu = re.search(r"model name\s*:\s*(.+)", _read("/proc/cpuinfo"))
    memory = re.search(r"MemTotal:\s+(\d+)", _read("/proc/meminfo"))
    return {
        "processors": len(os.sched_getaffinity(0)),
        "processor": cpu[1].strip() if cpu else platform.processor(),
        "memory_gb": round(int(memory[1]) / 1_000_000, 1) if memory else None,
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "commit": _commit(),
    }


def load() -> float:
    """Processes that want to run, over the last minute: above 0.5 the machine is not quiet."""
    return round(os.getloadavg()[0], 2)


def versions(python: Path | str, names: list[str]) -> dict[str, str]:
    """Which versions of some distributions an interpreter has."""
    program = (
        "import importlib.metadata as m, json, sys\n"
        "have = {}\n"
        "for name in sys.argv[1:]:\n"
        "    try:\n"
        "        have[name] = m.version(name)\n"
        "    except m.PackageNotFoundError:\n"
        "        pass\n"
        "print(json.dumps(have))"
    )
    command = [str(python), "-c", program, *names]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def wrapgen_version(python: Path) -> dict[str, str]:
    """Ours."""
    return versions(python, ["wrapgen", "Algorithmia"])


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    return done.stdout.strip()


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""
