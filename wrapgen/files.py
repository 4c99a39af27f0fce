"""Files and folders: atomic, durable and private writes, and bounded reads of files that others may write."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from stat import S_IMODE
from typing import IO, Any
from urllib.parse import quote, unquote

from wrapgen.errors import UsageError

IGNORED_FOLDERS = frozenset(
    {".git", ".hg", ".svn", ".venv", "venv", ".tox", "node_modules", "__pycache__", ".mypy_cache"}
    | {".pytest_cache", ".ruff_cache", ".idea", ".vscode", ".wrapgen"}
)
"""Folders of version control, environments, caches, editors and platforms: never part of an algorithm."""

COMPILED = (".pyc", ".pyo")
"""Endings of files that Python makes from others."""

MANIFEST = ".wrapgen.json"
"""The file of a generated wrapper that lists what was generated."""

INLINE_FOLDER = "inline"
"""Where a wrapper keeps its copy of an inline target's folder."""

CLIENT = ("algorithmia>=2.0.5,<3", "algorithmia-adk>=1.2.4,<2", "requests>=2.20")
"""What a wrapper requires to call a platform.

The ADK imports the client without declaring it (platform contract, section 10), so both are named.
"""

PRIVATE, PRIVATE_FOLDER = 0o600, 0o700
"""Modes of files and folders that hold a user's data."""


def sync_folder(folder: Path) -> None:
    """Forces a folder's entries to disk: files that were made in it, renamed or removed."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file_system(folder: Path) -> None:
    """Forces all that was written to a folder's file system to disk: for what other programs made in it."""
    import ctypes  # few commands need it

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        sync = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None)  # Linux has it
        if sync is None:
            os.sync()
        elif sync(descriptor) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(folder))
    finally:
        os.close(descriptor)


def make_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Makes a folder, with those above it, unless it is there.

    Raises:
        OSError: it can't be made.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        new.mkdir(mode=mode, exist_ok=True)
        sync_folder(new.parent)


def open_file(path: Path, flags: int, mode: int = PRIVATE) -> int:
    """Opens a file as `os.open` does; the descriptor. One that has to be made is there after a power cut.

    Raises:
        OSError: it can't be opened.
    """
    made = bool(flags & os.O_CREAT) and not path.exists()
    descriptor = os.open(path, flags, mode)
    if made:
        sync_folder(path.parent)
    return descriptor


def rename(path: Path, to: Path) -> None:
    """Gives a file another name, replacing a file of that name."""
    path.replace(to)
    sync_folder(to.parent)


def part_of(path: Path) -> Path:
    """The name of a file until it is complete."""
    return path.with_name(path.name + ".part")


@contextmanager
def whole(path: Path, mode: int | None = None, *, durable: bool = True) -> Iterator[IO[bytes]]:
    """A file that appears under its name only when the block has ended without an error.

    Args:
        path: the file.
        mode: of it; None: private, and one that is there keeps its mode.
        durable: False leaves it to the system when it reaches the disk, as for what can be made again.

    Raises:
        OSError: it can't be written; what was there stays.
    """
    part = part_of(path)
    if mode is None:
        mode = S_IMODE(path.stat().st_mode) if path.exists() else PRIVATE
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode)
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            os.fchmod(descriptor, mode)
            yield file
            file.flush()
            if durable:
                os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(path.parent)


def public_mode(*, program: bool = False) -> int:
    """The mode of a file, or of a program, that this user makes for others to read."""
    mask = os.umask(0)
    os.umask(mask)
    return (0o777 if program else 0o666) & ~mask


def read_regular(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Args:
        path: the file; a link is followed.
        most: bytes; a larger one is refused before it is read.

    Raises:
        FileNotFoundError: there is none.
        UsageError: it is a device, a pipe or a folder, it is too large, or it can't be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UsageError(f"can't read {path}: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise UsageError(f"can't read {path}: it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise UsageError(f"can't read {path}: it has more than {most} bytes")
    return content


def read_json(path: Path, most: int) -> Any:
    """What a file of JSON holds.

    Args:
        path: the file; a link is followed.
        most: bytes; a larger one is refused before it is read.

    Raises:
        FileNotFoundError: there is none.
        UsageError: as `read_regular`, or it is not JSON.
    """
    try:
        return json.loads(read_regular(path, most))
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error


def absolute(url: str, beside: Path) -> str:
    """A datastore's URL, where a folder's is made complete: it may be relative to the spec's folder."""
    return (
        f"file://{quote(os.path.normpath(beside.absolute() / unquote(url)))}" if url.startswith(".") else url
    )


def path_of_folder(url: str) -> Path:
    """The path in a `file://` URL."""
    return Path(unquote(url.removeprefix("file://")))
