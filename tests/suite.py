"""Runs the tests side by side, as pytest's arguments say; what failed there is run once more, alone.

A test that passes alone is too sensitive to how busy the machine is: that is printed, and no reason to fail.
A test that fails twice fails; so does every run that could not collect its tests, broke off, or in which more
than a few failed, without a second one.

Where this process may mount, and memory is free, temporary files are in memory: a ledger is synced at each
write, and of a run of thousands of tests that was a third of the time. They are gone when the tests have
ended. The tests of power cuts mount file systems of their own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 10
"""Failures that may be an effect of the load; more of them are not."""

MEMORY_FREE = 10 << 30
"""Bytes of memory that have to be free for temporary files in it, of which they may fill half."""

MOUNTED = f'mount -t tmpfs -o size={MEMORY_FREE // 2},mode=1777 wrapgen-tests "$0" && exec "$@"'


def memory_available() -> int:
    """The bytes of memory that programs may still take; 0 where the system does not say."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text("utf-8").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def in_memory(folder: Path) -> list[str]:
    """The command that begins others, for which this folder is in memory; empty where that can't be.

    The mount is in a namespace of its own, and ends with the last process in it.
    """
    command = ["unshare", "--mount", "sh", "-c", MOUNTED, str(folder)]
    if memory_available() < MEMORY_FREE or not all(map(shutil.which, ("unshare", "mount"))):
        return []
    tried = subprocess.run([*command, "true"], capture_output=True, check=False)
    return [] if tried.returncode else command


def run_pytest(cache: Path, *words: str) -> tuple[int, list[str]]:
    """Runs pytest: its exit code, and what failed according to this cache, as node ids or files."""
    with tempfile.TemporaryDirectory(prefix="wg-") as folder:  # short: names of sockets have 107 bytes
        begin = in_memory(Path(folder))
        environment = {**os.environ, "TMPDIR": folder} if begin else None
        command = [*begin, sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *words]
        code = subprocess.run(command, env=environment, check=False)
    noted = cache / "v" / "cache" / "lastfailed"
    return code.returncode, list(json.loads(noted.read_text("utf-8"))) if noted.exists() else []


def main(*words: str) -> int:
    """Runs everything, then what failed; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="wrapgen-tests-") as folder:
        cache = Path(folder)
        code, failed = run_pytest(cache, *words)
        # 1 is pytest's code for tests that failed, with xdist for files that can't be collected too.
        if code != 1 or not 0 < len(failed) <= MOST or not all("::" in name for name in failed):
            return code
        print(f"\n{len(failed)} failed beside other tests; running that again, alone", flush=True)
        code, still = run_pytest(cache, "--last-failed", "--last-failed-no-failures", "none")
    if code or still:
        return code or 1
    tests = "1 test" if len(failed) == 1 else f"{len(failed)} tests"
    print(f"{tests} failed beside others and passed alone: {', '.join(failed)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
