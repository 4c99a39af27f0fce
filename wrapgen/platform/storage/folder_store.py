"""The object store in a folder: files written whole or not at all, listed and found by name."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from heapq import nsmallest
from pathlib import Path
from typing import IO

from wrapgen.errors import Conflict, NotFound
from wrapgen.files import make_folder, sync_folder
from wrapgen.platform.storage.objects import (
    PAGE,
    PART,
    ObjectPage,
    Parts,
    StoredObject,
    make_marker,
    read_marker,
)


@dataclass(frozen=True)
class StoredFile(StoredObject):
    """A file that is there, and its place on disk."""

    path: Path


class FileWrite:
    """A file being written; see `ObjectWrite`.

    Args:
        incoming: a folder on the same file system for what is not finished.
        target: where the file will be.
        url: its full URL.
    """

    def __init__(self, incoming: Path, target: Path, url: str) -> None:
        self._url = url
        self._target = target
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
            sync_folder(self._target.parent)
        except FileNotFoundError as error:
            raise NotFound(f"the directory of {self._url} is gone") from error
        return self._url

    def abandon(self) -> None:
        """Throws away what was written; after `commit` it does nothing."""
        self._file.close()
        self._part.unlink(missing_ok=True)


class FolderStore:
    """A `DirectoryStore` on disk; the words of directories are harmless names.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.incoming = root / "incoming"
        self.empty("incoming")  # whatever is still coming in belongs to a server that is no more

    def find(self, path: str) -> StoredFile | None:
        """See `ObjectStore.find`."""
        place = self._file(path)
        try:
            facts = place.stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            if self.has_directory(path):
                return None
            raise NotFound(f"{path} not found") from error
        return StoredFile(place.name[1:], facts.st_size, facts.st_mtime, place)

    def read(self, path: str) -> tuple[Parts, int]:
        """See `ObjectStore.read`; the size is that of just what was opened."""
        try:
            stream = self._file(path).open("rb", buffering=0)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise NotFound(f"{path} not found") from error
        return _parts(stream), os.fstat(stream.fileno()).st_size

    def write(self, path: str, url: str = "") -> FileWrite:
        """See `ObjectStore.write`."""
        return FileWrite(self.incoming, self._file(path), url or path)

    def page(
        self, path: str, marker: str | None, *, limit: int = PAGE, prefix: str = "", oldest: float = 0.0
    ) -> ObjectPage:
        """See `ObjectStore.page`; a directory that is not there holds nothing.

        Args:
            path, marker: of the directory, and of the page before.
            limit: at most so many files.
            prefix: only names that start with it.
            oldest: only files written at this moment (epoch seconds) or later.
        """
        folder, files = self._root / path, list[StoredFile]()
        folders = () if marker else tuple(sorted(name for name in names_in(folder) if name[0] != "_"))
        for name in _names(folder, read_marker(marker), prefix, limit + 1):
            try:
                found = self.find(f"{path}/{name}")
            except NotFound:  # removed since
                continue
            if found is None or found.modified < oldest:
                continue
            if len(files) == limit:
                return ObjectPage(folders, tuple(files), make_marker(files[-1].name))
            files.append(found)
        return ObjectPage(folders, tuple(files))

    def delete_file(self, path: str) -> None:
        """See `ObjectStore.delete_file`."""
        place = self._file(path)
        place.unlink(missing_ok=True)
        sync_folder(place.parent)

    def delete_directory(self, path: str, *, force: bool) -> int:
        """See `ObjectStore.delete_directory`: gone at once for readers, whatever it held."""
        folder = self._root / path
        count = len(names_in(folder))
        if not force and not remove_empty(folder):  # a file may have come since the count
            raise Conflict(f"{path} is not empty: {max(1, count)} files", hint="delete it with force=true")
        if force:
            remove_folder(folder, self.incoming)
        return count

    # -- what only a folder can ------------------------------------------------------------------------

    def make_directory(self, path: str) -> None:
        """Makes a directory, and those above it; it may be there."""
        make_folder(self._root / path)

    def has_directory(self, path: str) -> bool:
        """Whether a directory was made."""
        return (self._root / path).is_dir()

    def count(self, path: str) -> int:
        """How many files a directory holds."""
        return len(names_in(self._root / path))

    def empty(self, path: str) -> None:
        """Removes all that is in a directory, which is there afterwards."""
        shutil.rmtree(self._root / path, ignore_errors=True)
        (self._root / path).mkdir(parents=True)

    def keep_only(self, path: str, names: set[str]) -> None:
        """Removes the directories of a directory but some."""
        for name in set(names_in(self._root / path)) - names:
            shutil.rmtree(self._root / path / name, ignore_errors=True)

    def remove_old(self, pattern: str, gone: Callable[[float], bool]) -> int:
        """Removes files whose last change, in epoch seconds, is so; how many."""
        removed = 0
        for file in self._root.glob(pattern):
            if gone(file.stat().st_mtime):
                file.unlink(missing_ok=True)
                removed += 1
        return removed

    def _file(self, path: str) -> Path:
        """Where a file of any name is kept: the prefix makes every name harmless, dots included."""
        folder, _, name = path.rpartition("/")
        return self._root / folder / f"_{name}"


def names_in(folder: Path) -> list[str]:
    """The names on disk of what a folder holds; none if it does not exist."""
    try:
        return os.listdir(folder)  # noqa: PTH208 - a Path for each of many thousand files is slow
    except FileNotFoundError:
        return []


def remove_empty(folder: Path) -> bool:
    """Removes a folder if it holds nothing; whether it is gone."""
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def remove_folder(folder: Path, incoming: Path) -> None:
    """Removes a folder: gone at once for readers, whatever it held."""
    trash = incoming / f"trash-{uuid.uuid4().hex}"
    try:
        folder.rename(trash)
    except FileNotFoundError:
        return
    shutil.rmtree(trash, ignore_errors=True)


def _parts(stream: IO[bytes]) -> Parts:
    with stream:
        while part := stream.read(PART):
            yield part


def _names(folder: Path, after: str, prefix: str, count: int) -> Iterator[str]:
    """Names of files in order; a folder of a million is not sorted for the first few of them."""
    while True:
        names = (name[1:] for name in names_in(folder) if name[0] == "_")
        found = nsmallest(count, (name for name in names if name > after and name.startswith(prefix)))
        yield from found
        if len(found) < count:
            return
        after, count = found[-1], 4 * count
