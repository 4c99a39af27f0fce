"""What holds for all tests."""

from __future__ import annotations

import os
from typing import Any

os.environ.pop("PYTHONUNBUFFERED", None)  # commands that tests start write to pipes as they do for users


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Names cases of bytes by their number: packed ones differ in every process, which xdist refuses."""
    return argname if isinstance(val, bytes) else None
