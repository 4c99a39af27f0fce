"""The stores that the suite runs over: a folder, and one in this process, which is a pattern for others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from wrapgen.errors import RunError
from wrapgen.run.bucket import Bucket
from wrapgen.run.ledger.bucket_folder import BucketFolder
from wrapgen.run.ledger.bucket_log import NumberedObjects
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.ledger.store import StateStore


class MemoryLog:
    """A log in memory; closing keeps it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._data = bytearray()

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return len(self._data)

    def append(self, data: bytes) -> int:
        """Adds bytes."""
        offset = len(self._data)
        self._data += data
        return offset

    def sync(self) -> None:
        """Nothing: memory is all that there is."""

    def read(self, offset: int, length: int) -> bytes:
        """A stretch."""
        return bytes(self._data[offset : offset + length])

    def cut(self, size: int) -> None:
        """Takes away everything from here on."""
        del self._data[size:]

    def close(self) -> None:
        """Nothing is held."""


class MemoryStore:
    """A `StateStore` that is gone with the process.

    Args:
        scratch: a folder for what is derived.
    """

    name = "memory"
    writes_behind = False

    def __init__(self, scratch: Path) -> None:
        self.scratch = scratch
        self._logs: dict[str, MemoryLog] = {}
        self._busy = False

    def open(self, log: str, *, write: bool = False) -> MemoryLog:
        """One of the logs."""
        found = self._logs.get(log) or MemoryLog(log)
        if write:
            self._logs[log] = found
        return found

    def has(self, log: str) -> bool:
        """Whether there is such a log."""
        return log in self._logs

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps every other runner away."""
        if self._busy:
            raise RunError("another runner is at work in memory", hint="wait for it to end")
        self._busy = True
        try:
            yield
        finally:
            self._busy = False

    def confirm(self) -> None:
        """It is never lost."""

    def busy(self) -> bool:
        """Whether a runner is at work."""
        return self._busy

    @contextmanager
    def provisional(self) -> Iterator[None]:
        """Where the block ends with an error before a run has begun, nothing of it is left."""
        try:
            yield
        except BaseException:
            if not self._busy and not self.open("ledger").size:
                self.clear()
            raise

    def clear(self) -> None:
        """Removes every log."""
        self._logs.clear()


def in_bucket(tmp_path: Path) -> BucketFolder:
    """A store in a bucket that is gone with the process; no thread of another test writes there."""
    bucket = Bucket(f"memory://states/{uuid4().hex}", MemoryFileSystem())
    return BucketFolder(tmp_path, NumberedObjects(bucket, tmp_path, lease=0.4))


@pytest.fixture(params=[Folder, MemoryStore, in_bucket])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> StateStore:
    """A store that holds nothing yet."""
    return request.param(tmp_path)
