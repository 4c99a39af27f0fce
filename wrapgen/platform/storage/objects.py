"""What a connector can do: the seam between the data API and other storage."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Protocol

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.data_path import refuse_control


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
class Item:
    """A file in a listing: its name, size in bytes and epoch seconds of its last change."""

    name: str
    size: int
    modified: float


@dataclass(frozen=True)
class Page:
    """One page of a directory; `marker` asks for the next one, None on the last."""

    folders: tuple[str, ...] = ()
    files: tuple[Item, ...] = ()
    marker: str | None = None


class Connector(Protocol):
    """Other storage, as an account configured it.

    Every method may raise NotFound, NotAuthorized or ServerFault.
    """

    def find(self, path: str) -> Item | None:
        """The file at a path; None if there is a directory instead. Raises NotFound if there is neither."""

    def read(self, path: str) -> tuple[Iterator[bytes], int]:
        """The bytes of a file, piece by piece, and how many there are."""

    def write(self, path: str, content: IO[bytes]) -> None:
        """Makes or replaces a file as a whole."""

    def page(self, path: str, marker: str | None) -> Page:
        """One page of a directory."""

    def delete_file(self, path: str) -> None:
        """Removes a file."""

    def delete_directory(self, path: str, *, force: bool) -> int:
        """Removes what is below a path; how many files. Raises Conflict if there are some and not `force`."""


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
