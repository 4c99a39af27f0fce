"""Wrappers are typed: their annotations hold under mypy, whatever the spec asks for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from wrapgen.build import generate
from wrapgen.spec import load

ROOT = Path(__file__).resolve().parents[2]
EVERYTHING = ROOT / "tests" / "golden" / "everything"  # copies, credentials, ids, redaction, sub-batches
WRAPPERS = [*sorted(path for path in (ROOT / "generated").iterdir() if path.is_dir()), EVERYTHING]


@pytest.fixture(scope="module")
def cache(tmp_path_factory) -> str:
    """What mypy knows of the standard library, for all of them."""
    return str(tmp_path_factory.mktemp("mypy"))


@pytest.mark.parametrize("wrapper", WRAPPERS, ids=lambda path: path.name)
def test_a_wrapper_is_typed(wrapper, tmp_path, cache):
    """mypy, checking every function body, finds nothing."""
    if wrapper is EVERYTHING:
        wrapper = tmp_path / "wrapper"
        generate(load(EVERYTHING / "spec.yaml"), None, frozenset({"container"})).write(wrapper)
    words = [
        "--config-file=",
        "--check-untyped-defs",
        "--ignore-missing-imports",
        "--cache-dir",
        cache,
    ]
    modules = [
        "-p",
        "src",
        "-p",
        "tests",
        *["-p", "serving", "-m", "serve"] * (wrapper / "serve.py").exists(),
    ]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *words, *modules],
        cwd=wrapper,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
