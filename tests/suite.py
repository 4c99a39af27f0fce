"""Runs the tests side by side, as pytest's arguments say; what failed there is run once more, alone.

A test that passes alone is too sensitive to how busy the machine is: that is printed, and no reason to fail.
A test that fails twice fails; so does every run that could not collect its tests, broke off, or in which more
than a few failed, without a second one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

MOST = 10
"""Failures that may be an effect of the load; more of them are not."""


def run_pytest(cache: Path, *words: str) -> tuple[int, list[str]]:
    """Runs pytest: its exit code, and what failed according to this cache, as node ids or files."""
    code = subprocess.run([sys.executable, "-m", "pytest", "-o", f"cache_dir={cache}", *words], check=False)
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
