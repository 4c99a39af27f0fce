"""What holds for all tests."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parent))  # what tests of several folders share

# Commands that tests start write to pipes as they do for users, and compile each module once.
for name in ("PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"):
    os.environ.pop(name, None)
sys.dont_write_bytecode = False

TOGETHER = {
    "a Spark cluster": r"tests/contract/engines/test_(conformance|spark|spark_columns)\.py",
    "a Ray cluster": r"tests/contract/engines/ray/",
    "a published wrapper and queues": r"tests/contract/engines/",  # all others
    "servers of databases": r"tests/contract/datastores/",
    "model servers": r"tests/peers/",
}
"""Files whose tests share what takes seconds to start: one process of `make test` gets them all."""

LONGEST = (
    "tests/docs/test_commands.py",
    "tests/contract/engines/",
    "tests/repo/test_bench.py",
)
"""Begun first, so that at the end no process waits for another."""


@pytest.fixture(autouse=True)
def credentials_of_boto3() -> Iterator[None]:
    """Drops the session that boto3 keeps for the process: the next test may have other credentials."""
    yield
    if "boto3" in sys.modules:
        sys.modules["boto3"].DEFAULT_SESSION = None  # type: ignore[attr-defined]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the longest files first."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_make_parametrize_id(config: Any, val: Any, argname: str) -> str | None:
    """Names cases of bytes by their number: packed ones differ in every process, which xdist refuses."""
    return argname if isinstance(val, bytes) else None


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: Any, log: Any) -> Any:
    """With `--dist loadfile`, files that share something expensive count as one file."""
    from xdist.scheduler.loadfile import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            shared = (what for what, files in TOGETHER.items() if re.match(files, nodeid))
            return next(shared, super()._split_scope(nodeid))

    return Scheduling(config, log) if config.getvalue("dist") == "loadfile" else None
