"""The seam to where bytes are kept: what a folder of ours and other storage such as S3 have in common."""

from __future__ import annotations

import base64
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.data_path import refuse_control

PART = 1024 * 1024
"""Bytes that are read or written at a time: memory stays flat whatever a file's size."""

Parts = Generator[bytes, None, None]
"""The bytes of a file, part by part; close it if they are not all read."""

PAGE = 1000
"""Entries of one page, which is also S3's own limit."""


@dataclass(frozen=True)
class ConnectorPath:
    """A path in other storage.

    Args:
        connector: its name: `s3`, or `s3+LABEL` for a further one of the same kind.
        path: what follows `://`, without slashes at the ends.
    """

    connector: str
    path: str

    def __str__(self) -> str:
        return f"{self.connector}://{self.path}"


@dataclass(frozen=True)
class StoredObject:
    """A file in a store: its name, size in bytes and epoch seconds of its last change."""

    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class ObjectPage:
    """One page of a directory; `marker` asks for the next one, None on the last."""

    folders: tuple[str, ...] = ()
    files: Sequence[StoredObject] = ()
    marker: str | None = None


class ObjectWrite(Protocol):
    """A file being written: nothing is visible before `commit`, and `abandon` leaves no trace."""

    def append(self, chunk: bytes) -> None:
        """Adds bytes."""

    def commit(self) -> str:
        """Makes the file appear, whole; its full URL."""

    def abandon(self) -> None:
        """Throws away what was written; after `commit` it does nothing."""


class ObjectStore(Protocol):
    """Files by path; a path is words with slashes between them, and what is above a file is a directory.

    Every method may raise NotFound, NotAuthorized or ServerFault.
    """

    def find(self, path: str) -> StoredObject | None:
        """The file at a path; None if there is a directory instead. Raises NotFound if there is neither."""

    def read(self, path: str) -> tuple[Parts, int]:
        """The bytes of a file, part by part, and how many there are."""

    def write(self, path: str, url: str = "") -> ObjectWrite:
        """Starts making or replacing a file; its full URL, unless the store knows that."""

    def page(self, path: str, marker: str | None) -> ObjectPage:
        """One page of a directory, by name."""

    def delete_file(self, path: str) -> None:
        """Removes a file."""

    def delete_directory(self, path: str, *, force: bool) -> int:
        """Removes what is below a path; how many files. Raises Conflict if there are some and not `force`."""


class DirectoryStore(ObjectStore, Protocol):
    """A store whose directories are there once they were made: hosted data's."""

    def page(
        self, path: str, marker: str | None, *, limit: int = PAGE, prefix: str = "", oldest: float = 0.0
    ) -> ObjectPage:
        """As for `ObjectStore`: at most `limit` files, named so, written at `oldest` (epoch s) or later."""

    def make_directory(self, path: str) -> None:
        """Makes a directory, and those above it; it may be there."""

    def has_directory(self, path: str) -> bool:
        """Whether a directory was made."""

    def count(self, path: str) -> int:
        """How many files a directory holds."""

    def empty(self, path: str) -> None:
        """Removes all that is in a directory, which is there afterwards."""

    def keep_only(self, path: str, names: set[str]) -> None:
        """Removes the directories of a directory but some."""

    def remove_old(self, pattern: str, gone: Callable[[float], bool]) -> int:
        """Removes files whose last change, in epoch seconds, is so; how many."""


def make_marker(name: str) -> str:
    """What asks for the page behind a name."""
    return base64.urlsafe_b64encode(name.encode()).decode("ascii")


def read_marker(marker: str | None) -> str:
    """The name that a marker means; empty where there is none.

    Raises:
        BadRequest: it is not one of ours.
    """
    try:
        return base64.urlsafe_b64decode((marker or "").encode("ascii")).decode("utf-8")
    except ValueError as error:
        raise BadRequest("unknown marker", reason="unknown-marker") from error


def split(path: ConnectorPath) -> tuple[str, str]:
    """The first word of a path and the rest.

    Raises:
        BadRequest: the path is empty, climbs, or has a control character.
    """
    refuse_control(str(path))
    words = path.path.split("/")
    if not words[0] or any(word in ("", ".", "..") for word in words):
        raise BadRequest(f"{path} is not a path")
    return words[0], "/".join(words[1:])
