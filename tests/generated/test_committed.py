"""The wrappers under generated/ as they are committed: their own tests, and a call, on every interpreter."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from adk_worker import run_adk
from programs import run
from standins import Platform, Reply, result

KEYS = {"WRAPPER_DATA_KEY": "the key of the owner", "WRAPPER_ID_KEY": "a secret"}
ROOT = Path(__file__).resolve().parents[2]
COMMITTED = sorted(path for path in (ROOT / "generated").iterdir() if path.is_dir())


@pytest.fixture(params=COMMITTED, ids=lambda path: path.name)
def wrapper(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A copy of a committed wrapper, so that no cache of an old Python is left beside it."""
    return Path(shutil.copytree(request.param, tmp_path / "wrapper"))


def test_its_own_tests_pass(python: Path, wrapper: Path) -> None:
    """The tests that come with the wrapper pass without a network."""
    done = run(python, wrapper, module="unittest")
    assert done.returncode == 0, done.stderr
    assert "\nOK" in done.stderr and "Ran 0 tests" not in done.stderr


def test_it_answers_a_batch(python: Path, wrapper: Path, platform: Platform) -> None:
    """Loaded by the vendor's ADK, it describes itself and sends a batch to its target, be it an endpoint."""
    platform.target = lambda value: result(
        [{"of": item} for item in value] if isinstance(value, list) else [value]
    )
    platform.data = lambda _, path: Reply(body={"label": "positive"}) if path == "/score" else None
    calls = [{"$batch": []}, {"$batch": ["a", "b"]}]
    proxy = {"http_proxy": platform.address, "no_proxy": "127.0.0.1"}  # an endpoint is reached through it
    described, answered = run_adk(python, wrapper, platform, calls, **KEYS, **proxy)
    assert described["result"]["$summary"]["wrapper"]["protocol"] == 1
    assert len(answered["result"]["$results"]) == 2
    assert answered["result"]["$summary"]["succeeded"] == 2
