"""The append-only file that makes a run resumable: JSON Lines, each in one write, synced before it counts.

Lives in the run's folder beside the spool. Nothing here knows what the lines mean, except that the first is
the run's own (`"e": "run"`); that is `resume`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

from wrapgen.errors import RunError


class Disk(Protocol):
    """The two effects that a run's files need; tests pass one that dies at a chosen write."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Writes all of it at the end of the file."""

    def sync(self, descriptor: int) -> None:
        """Returns when the file's data is on the disk."""


class RealDisk:
    """The operating system's."""

    def write(self, descriptor: int, data: bytes) -> None:
        """Writes all of it, however many writes that takes."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """Syncs data; metadata beyond the size is not needed."""
        getattr(os, "fdatasync", os.fsync)(descriptor)


class Ledger:
    """The ledger of one run, open for appending.

    Args:
        path: the file; made if it is missing. A torn or damaged last line is cut off.
        disk: the effects.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._end = _whole(path)
        if self._end < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, self._end)

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds lines and syncs; returns when they are on the disk. No entries: no effect.

        Raises:
            OSError: they can't be written, as on a full disk; none of them is there then.
        """
        data = b"".join(json.dumps(entry, separators=(",", ":")).encode("ascii") + b"\n" for entry in entries)
        if not data:
            return
        try:
            self._disk.write(self._descriptor, data)
            self._disk.sync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(data)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._descriptor)


def read_ledger(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a ledger, oldest first; a torn or damaged last line is left out. Constant memory.

    Raises:
        RunError: a line before the last is damaged.
    """
    with path.open("rb") as file:
        torn: tuple[int, bytes] | None = None
        for number, line in enumerate(file, start=1):
            if torn is not None:
                raise RunError(
                    f"{path}:{torn[0]}: the ledger is damaged", hint="restore it, or start over with --fresh"
                )
            entry = _parse(line)
            if entry is None:
                torn = (number, line)
            else:
                yield entry


def _parse(line: bytes) -> dict[str, Any] | None:
    if not line.endswith(b"\n"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def _whole(path: Path) -> int:
    """Bytes up to the end of the last entry, by the reader's rule: a last line that is none is cut off."""
    with path.open("rb") as file:
        end = _line_end(file, path.stat().st_size)
        start = _line_end(file, end - 1)
        file.seek(start)
        return start if _parse(file.read(end - start)) is None else end


def _line_end(file: IO[bytes], end: int) -> int:
    """Bytes up to the end of the last line that ends before `end`."""
    while end > 0:
        start = max(0, end - 65536)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
