"""Records in a folder of this machine, read and settled as those in a data URL are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from wrapgen.errors import NotFound, UsageError
from wrapgen.files import path_of_folder, sync_folder, whole

_BLOCK = 1 << 20


class FolderFile(NamedTuple):
    """A file in a listing: its name in the folder, and its size in bytes."""

    name: str
    size: int


class FolderRecords:
    """A `RecordStore` for `file://` URLs. What can't be read or written raises UsageError."""

    def files(self, url: str) -> Iterator[FolderFile]:
        """Every file of a folder; raises NotFound where there is none."""
        folder = path_of_folder(url)
        with _missing(url):
            for path in sorted(folder.iterdir()):
                with suppress(FileNotFoundError):  # settled meanwhile
                    if path.is_file():
                        yield FolderFile(path.name, path.stat().st_size)

    def read(self, url: str) -> bytes:
        """A whole file; raises NotFound."""
        with _missing(url):
            return path_of_folder(url).read_bytes()

    @contextmanager
    def stream(self, url: str) -> Iterator[Iterator[bytes]]:
        """A file in parts; raises NotFound."""
        with _missing(url), path_of_folder(url).open("rb") as file:
            yield iter(lambda: file.read(_BLOCK), b"")

    def put(self, url: str, body: bytes) -> None:
        """Writes a whole file at once, on the disk when this returns."""
        with _missing(url), whole(path_of_folder(url)) as file:
            file.write(body)

    def delete(self, url: str) -> None:
        """Removes a file; raises NotFound."""
        path = path_of_folder(url)
        with _missing(url):
            path.unlink()
            sync_folder(path.parent)


@contextmanager
def _missing(url: str) -> Iterator[None]:
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no {url}") from error
    except OSError as error:
        raise UsageError(f"{url}: {error.strerror or error}") from error
