"""`make test`: what fails beside other tests is run again alone, and only what fails twice fails."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).resolve().parents[1] / "suite.py"
ONCE = """\
from pathlib import Path

def test_unsteady():
    mark = Path("mark")
    had_run = mark.exists()
    mark.touch()
    assert had_run
"""
"""Fails the first time, passes the second."""
TWICE = "def test_broken():\n    assert False\n"
CRASH = "import os\n" + ONCE.replace("assert had_run", "had_run or os._exit(3)")
MANY = "import pytest\n@pytest.mark.parametrize('n', range(11))\ndef test_many(n):\n    assert False\n"
FINE = "def test_fine():\n    pass\n"


AGAIN = "running that again, alone"
PASSED = "1 test failed beside others and passed alone: test_it.py::test_unsteady\n"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs a folder's tests as `make test` does, with one tester and without plugins."""
    return subprocess.run(
        [sys.executable, str(PROGRAM), "-q", *words],
        cwd=folder,
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("text", "code", "said", "unsaid"),
    [
        (FINE, 0, "1 passed", AGAIN),
        (FINE + ONCE, 0, PASSED, "2 passed"),
        (CRASH, 0, PASSED, "2 passed"),
        (ONCE + TWICE, 1, f"2 failed beside other tests; {AGAIN}", "passed alone"),
        (MANY, 1, "11 failed", AGAIN),
        ("import nothing_of_this_name\n" + FINE, 1, "1 error", AGAIN),
    ],
    ids=["passes", "passes-alone", "crashes-once", "fails-twice", "too-many", "not-collected"],
)
def test_what_failed_is_run_again_alone(tmp_path, text, code, said, unsaid):
    """The exit code and the last line are those of the second run, where one can tell anything."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(text)
    done = run(tmp_path, "-p", "xdist", "--numprocesses", "1")
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout and unsaid not in done.stdout, done.stdout


def test_a_run_that_breaks_off_is_not_repeated(tmp_path):
    """A wrong option is an error of the run itself."""
    done = run(tmp_path, "--no-such-option")
    assert done.returncode == 4 and AGAIN not in done.stdout, done.stdout + done.stderr
