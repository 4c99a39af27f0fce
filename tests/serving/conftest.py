"""Served wrappers for the tests of this folder."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `served_wrapper` is shared by the tests of this folder

from served_wrapper import Served, built, served


@pytest.fixture(scope="session")
def echo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wrapper that answers each item with itself."""
    return built(tmp_path_factory.mktemp("echo"))


@pytest.fixture(scope="module")
def echo(echo_folder: Path) -> Iterator[Served]:
    """The same, served: two calls at once and one that waits."""
    with served(echo_folder, {"WRAPPER_CALLS": "2", "WRAPPER_WAITING": "1"}) as server:
        yield server
