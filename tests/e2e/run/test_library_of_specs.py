"""`wrapgen.run` of a spec: as the command, in processes of this machine, with no platform anywhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import wrapgen
from wrapgen.errors import NoCredentials, SpecError
from wrapgen.spec import load

SPEC = """
version: 1
target: {source: ./model}
wrapper: {name: acme/Upper, mode: both}
datastore: {url: ./records}
"""
MODEL = "def apply(text):\n    return text.upper()\n"


@pytest.fixture
def spec(tmp_path: Path, monkeypatch: Any) -> Path:
    """A spec beside its model; nothing names a platform."""
    for name in ("ALGORITHMIA_API", "ALGORITHMIA_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WRAPGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.py").write_text(MODEL)
    (tmp_path / "spec.yaml").write_text(SPEC)
    return tmp_path / "spec.yaml"


def test_a_spec_runs_by_its_path_and_as_a_value(spec):
    """A path as text or Path, a folder, and a loaded spec: the same outcomes, and records beside it."""
    for number, given in enumerate((str(spec), spec, "./spec.yaml", "./", load(spec))):
        with wrapgen.run(given, ["a", "b"], options=wrapgen.Options(run=f"r{number}")) as outcomes:
            assert [one.result for one in outcomes] == ["A", "B"]
        assert list((spec.parent / "records").glob(f"r{number}-*.jsonl"))


def test_a_run_of_a_spec_resumes(spec):
    """With a state folder the same call goes on, and what processes print is there."""
    options = wrapgen.Options(run="again", chunk=1)
    with wrapgen.run(spec, ["a", "b", "c"], state="state", options=options) as outcomes:
        assert next(outcomes).result == "A"
    with wrapgen.run(spec, ["a", "b", "c"], state="state", options=options) as outcomes:
        assert [one.result for one in outcomes] == ["A", "B", "C"]
    assert (spec.parent / "state" / "processes.log").exists()


def test_what_is_wrong_is_said_before_an_item_is_sent(spec):
    """A wrong spec, one that is not there, and a target on a platform that nothing names."""
    with pytest.raises(SpecError, match=r"none\.yaml"):
        wrapgen.run("./none.yaml", ["a"])
    (spec.parent / "wrong.yaml").write_text("version: 1\ntarget: {source: ./model}\n")
    with pytest.raises(SpecError, match="wrapper"):
        wrapgen.run("wrong.yaml", ["a"])
    (spec.parent / "far.yaml").write_text(
        "version: 1\ntarget: {algorithm: a/b/1.0.0}\nwrapper: {name: acme/Upper, mode: batch}\n"
    )
    with pytest.raises(NoCredentials):
        wrapgen.run("far.yaml", ["a"])


def test_a_program_of_three_lines(spec):
    """Outside of any test, as a user writes it; no process is left when the program ends."""
    program = "from wrapgen import run\nfor one in run('spec.yaml', ['a', 'b']):\n    print(one.result)\n"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=spec.parent, timeout=120
    )
    assert (done.stdout, done.stderr, done.returncode) == ("A\nB\n", "", 0)
