"""Fixtures of the records' tests."""

from __future__ import annotations

import pytest
from recorded import Memory


@pytest.fixture
def store() -> Memory:
    """An empty data service."""
    return Memory()
