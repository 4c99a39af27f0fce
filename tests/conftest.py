"""What holds for all tests."""

from __future__ import annotations

import os
import sys
from typing import Any

# Commands that tests start write to pipes as they do for users, and compile each module once.
for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)
sys.dont_write_bytecode = False


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Names cases of bytes by their number: packed ones differ in every process, which xdist refuses."""
    return argname if isinstance(val, bytes) else None
