"""Wrappers generated from specs, run by the vendor's ADK under each real interpreter of this machine."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "wrapper"))

from interpreters import VERSIONS, Missing, environment
from standins import Platform


@pytest.fixture(params=VERSIONS)
def python(request: pytest.FixtureRequest) -> Path:
    """Each interpreter with the vendor's client and ADK; skips with the reason where there is none."""
    return _environment(request.param)


@pytest.fixture(params=[VERSIONS[0], VERSIONS[-1]])
def edge_python(request: pytest.FixtureRequest) -> Path:
    """The oldest and the newest of them, for what differs little between."""
    return _environment(request.param)


def _environment(version: str) -> Path:
    try:
        return environment(version)
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A server on a free port that speaks the call and data APIs; tests say what the target answers."""
    with Platform() as server:
        yield server
