"""The runtime modules of `templates/`, importable as the package `runtime`, and a platform to call."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "templates" / "algorithm" / "src" / "runtime"
sys.path.insert(0, str(Path(__file__).parent))  # stand-ins shared by the tests of this folder


def _make_importable() -> None:
    spec = importlib.util.spec_from_file_location(
        "runtime", SOURCE / "__init__.py", submodule_search_locations=[str(SOURCE)]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["runtime"] = module
    spec.loader.exec_module(module)


_make_importable()

from standins import Platform  # noqa: E402


@pytest.fixture
def platform() -> Iterator[Platform]:
    """A server on a free port that speaks the call and data APIs; tests say what the target answers."""
    with Platform() as server:
        yield server
