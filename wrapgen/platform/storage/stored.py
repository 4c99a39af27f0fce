"""Files on disk: written whole or not at all, listed and found by name. Knows no owners and no rights."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import IO

from wrapgen.errors import NotFound
from wrapgen.files import sync_folder


@dataclass(frozen=True)
class StoredFile:
    """A file that is there: its name, place on disk, size in bytes and epoch seconds of its last write."""

    name: str
    path: Path
    size: int
    modified: float

    def open(self) -> tuple[IO[bytes], int]:
        """The file opened for reading, and the size of just what was opened.

        Raises:
            NotFound: it was deleted since it was found.
        """
        try:
            stream = self.path.open("rb", buffering=0)
        except FileNotFoundError as error:
            raise NotFound(f"{self.name} was deleted meanwhile") from error
        return stream, os.fstat(stream.fileno()).st_size


class Write:
    """A file being written; nothing is visible before `commit`, and `abandon` leaves no trace.

    Args:
        incoming: a folder on the same file system for what is not finished.
        folder: where the file will be.
        name: the file's name.
        url: its full URL.
    """

    def __init__(self, incoming: Path, folder: Path, name: str, url: str) -> None:
        self._url = url
        self._folder = folder
        self._target = disk_path(folder, name)
        self._part = incoming / uuid.uuid4().hex
        self._file: IO[bytes] = self._part.open("xb", buffering=0)

    def append(self, chunk: bytes) -> None:
        """Adds bytes."""
        view = memoryview(chunk)
        while view:
            view = view[self._file.write(view) :]

    def commit(self) -> str:
        """Makes the file appear, whole and on disk; its full URL.

        Raises:
            NotFound: its directory was deleted meanwhile.
        """
        os.fsync(self._file.fileno())
        self._file.close()
        try:
            self._part.replace(self._target)
            sync_folder(self._folder)
        except FileNotFoundError as error:
            raise NotFound(f"the directory of {self._url} is gone") from error
        return self._url

    def abandon(self) -> None:
        """Throws away what was written; after `commit` it does nothing."""
        self._file.close()
        self._part.unlink(missing_ok=True)


def disk_path(folder: Path, name: str) -> Path:
    """Where a file of any name is kept: the prefix makes every name harmless, dots included."""
    return folder / f"_{name}"


def find(folder: Path, name: str, oldest: float) -> StoredFile | None:
    """A file, if it is there and was written at `oldest` (epoch seconds) or later."""
    path = disk_path(folder, name)
    try:
        facts = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return StoredFile(name, path, facts.st_size, facts.st_mtime) if facts.st_mtime >= oldest else None


def page(
    folder: Path, after: str, limit: int, oldest: float, prefix: str = ""
) -> tuple[tuple[StoredFile, ...], bool]:
    """Files of a folder in order of name, from behind `after`, and whether there are more.

    Args:
        folder: need not exist; then it holds nothing.
        after: the last name of the page before; empty for the first page.
        limit: at most so many.
        oldest: as for `find`.
        prefix: only names that start with it.
    """
    files: list[StoredFile] = []
    for name in _names(folder, after, prefix, limit + 1):
        found = find(folder, name, oldest)
        if found is None:
            continue
        if len(files) == limit:
            return tuple(files), True
        files.append(found)
    return tuple(files), False


def _names(folder: Path, after: str, prefix: str, count: int) -> Iterator[str]:
    """Names of files in order; a folder of a million is not sorted for the first few of them."""
    while True:
        names = (name[1:] for name in names_in(folder))
        found = nsmallest(count, (name for name in names if name > after and name.startswith(prefix)))
        yield from found
        if len(found) < count:
            return
        after, count = found[-1], 4 * count


def names_in(folder: Path) -> list[str]:
    """The names on disk of what a folder holds; none if it does not exist."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - a Path for each of many thousand files is slow
    except FileNotFoundError:
        return []


def remove_folder(folder: Path, incoming: Path) -> None:
    """Removes a folder: gone at once for readers, whatever it held."""
    trash = incoming / f"trash-{uuid.uuid4().hex}"
    try:
        folder.rename(trash)
    except FileNotFoundError:
        return
    shutil.rmtree(trash, ignore_errors=True)


def remove_empty(folder: Path) -> bool:
    """Removes a folder if it holds nothing; whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True
