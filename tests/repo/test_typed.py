"""Committed wrappers are typed: their annotations hold under mypy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WRAPPERS = sorted(path for path in (ROOT / "generated").iterdir() if path.is_dir())


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda path: path.name)
def test_a_committed_wrapper_is_typed(wrapper, tmp_path):
    """mypy, checking every function body, finds nothing."""
    words = [
        "--config-file=",
        "--check-untyped-defs",
        "--ignore-missing-imports",
        "--cache-dir",
        str(tmp_path),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, "-p", "src", "-p", "tests"],
        cwd=wrapper,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
