"""The append-only file that makes a run resumable: JSON Lines, each in one write, synced before it counts.

Lives in the run's folder beside the spool. Nothing here knows what the lines mean, except that the first is
the run's own (`"e": "run"`); that is `resume`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Protocol

from wrapgen.errors import RunError
from wrapgen.files import open_file


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
        self._descriptor = open_file(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
        self._end = _whole(path)
        if self._end < os.fstat(self._descriptor).st_size:
            os.ftruncate(self._descriptor, self._end)

    def append(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Adds lines and syncs; returns when they are on the disk. No entries: no effect.

        Raises:
            OSError: they can't be written, as on a full disk; none of them is there then.
        """
        data = b"".join(map(_line, entries))
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


@dataclass
class Integrity:
    """What reading a ledger found of its digests.

    Args:
        checked: entries that match theirs.
        unchecked: entries without one, as wrapgen 0.1.0 wrote them.
        damaged: numbers of the lines that were left out: they do not match, or are no entries.
    """

    checked: int = 0
    unchecked: int = 0
    damaged: list[int] = field(default_factory=list)


def read_ledger(path: Path, integrity: Integrity | None = None) -> Iterator[dict[str, Any]]:
    """The entries of a ledger, oldest first. Constant memory.

    A last line that was cut off is left out, and so is one that does not match its digest: what it told of is
    not known to have happened, and is done again.

    Args:
        path: the file.
        integrity: filled with what was found.

    Raises:
        RunError: the first entry is damaged, or one of a ledger without digests, before the last.
    """
    found = integrity or Integrity()
    with path.open("rb") as file:
        damaged = 0
        for number, line in enumerate(file, start=1):
            entry, checked = _parse(line, required=found.checked > 0)
            if damaged and not found.checked:
                raise _damaged(path, damaged)
            if checked and found.unchecked == 1 and number == 2:
                raise _damaged(path, 1)  # both were written at once
            if entry is None:
                damaged = number
                if line.endswith(b"\n"):
                    found.damaged.append(number)
                continue
            found.checked += checked
            found.unchecked += not checked
            yield entry


def _damaged(path: Path, number: int) -> RunError:
    return RunError(f"{path}:{number}: the ledger is damaged", hint="restore it, or start over with --fresh")


def digest(data: bytes) -> str:
    """What tells whether bytes are still those that were written: 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file's content."""
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


_MARK = b',"d":"'
_TAIL = len(_MARK) + 32 + len(b'"}\n')
"""Each line ends with the digest of the entry without it."""


def _line(entry: Mapping[str, Any]) -> bytes:
    body = json.dumps(entry, separators=(",", ":")).encode("ascii")
    return b"".join((body[:-1], _MARK, digest(body).encode("ascii"), b'"}\n'))


def _parse(line: bytes, *, required: bool = False) -> tuple[dict[str, Any] | None, bool]:
    """An entry, or None for what is none; and whether it matches its digest, which may be required."""
    body = line[:-_TAIL] + b"}"
    checked = line[-_TAIL:].startswith(_MARK)
    if (
        not line.endswith(b"\n")
        or (required and not checked)
        or (checked and line[-35:-3] != digest(body).encode("ascii"))
    ):
        return None, False
    try:
        entry = json.loads(body if checked else line)
    except (ValueError, RecursionError):
        return None, False
    return (entry if isinstance(entry, dict) else None), checked


def _whole(path: Path) -> int:
    """Bytes up to the end of the last entry, by the reader's rule: a last line that is none is cut off."""
    with path.open("rb") as file:
        end = _line_end(file, path.stat().st_size)
        start = _line_end(file, end - 1)
        file.seek(start)
        return start if _parse(file.read(end - start))[0] is None else end


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
