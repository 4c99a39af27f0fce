"""Wrappers of endpoints: built from a spec, loaded as a package, and run against a small real HTTP server."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from model import ModelServer, wrapper_of


@pytest.fixture
def model() -> Iterator[ModelServer]:
    """A server on a free port; tests say what it answers."""
    with ModelServer() as server:
        yield server


@pytest.fixture
def build(tmp_path: Path, model: ModelServer) -> Callable[..., Any]:
    """Builds the wrapper of a target's YAML, with `URL` as the server's address, and gives its `call`."""

    def made(target: str, files: dict[str, str] | None = None, **sections: str) -> Any:
        return wrapper_of(tmp_path, target.replace("URL", model.url), files or {}, sections)

    return made
