"""Fixtures of the records' tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # `recorded` is shared by the tests of this folder

from recorded import Memory


@pytest.fixture
def store() -> Memory:
    """An empty data service."""
    return Memory()
