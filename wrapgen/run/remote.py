"""Objects at s3://, gs://, az:// and https://: the only module that imports fsspec, when one is named.

Credentials, endpoints and proxies are found as fsspec's libraries find them, such as in AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from wrapgen.errors import MissingExtra, UsageError, WrapgenError

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az", "https": "https", "http": "https"}
"""Scheme of a URL to the optional part of wrapgen that it needs."""

_BLOCK = 4 << 20
"""Bytes of a request when an object is read from its start to its end."""


def is_remote(name: object) -> bool:
    """Whether a name is the URL of an object, or of a prefix of objects."""
    scheme, found, _ = str(name).partition("://")
    return bool(found) and scheme.lower() in EXTRAS


def located(url: str) -> tuple[Any, str]:
    """What fsspec reaches a URL with, and the path that it has there.

    Raises:
        MissingExtra: a library is not installed.
    """
    scheme = url.partition("://")[0].lower()
    options: dict[str, Any] = {"use_listings_cache": False}
    if EXTRAS[scheme] == "s3":
        options["config_kwargs"] = {"connect_timeout": 10, "read_timeout": 60}
    try:
        from fsspec.core import url_to_fs

        files, path = url_to_fs(url, **options)
    except ImportError as error:
        raise MissingExtra(extra=EXTRAS[scheme], needed_for=f"{scheme}://") from error
    return files, str(path)


@contextmanager
def reaching() -> Iterator[None]:
    """Makes whatever a library raises an OSError that says what failed.

    Raises:
        FileNotFoundError, FileExistsError, PermissionError, OSError: the object could not be reached.
    """
    try:
        yield
    except (WrapgenError, FileNotFoundError, FileExistsError, PermissionError):
        raise
    except OSError as error:
        raise OSError(
            error.errno or errno.EIO, error.strerror or str(error) or type(error).__name__
        ) from error
    except Exception as error:  # each library has a tree of its own
        said = " ".join(str(error).split()) or type(error).__name__
        refused = "credential" in f"{type(error).__name__} {said}".lower()
        kind, number = (PermissionError, errno.EACCES) if refused else (OSError, errno.EIO)
        raise kind(number, said[:300]) from error


class Bucket:
    """The objects below a prefix, by their names.

    Args:
        url: of the prefix.
        files: what fsspec reaches them with; None: by the scheme of the URL.

    Raises:
        UsageError: the URL names no prefix of a bucket.
        MissingExtra: a library is not installed.

    Every method raises OSError where the bucket can't be reached or refuses.
    """

    def __init__(self, url: str, files: Any = None) -> None:
        parts = urlsplit(url)
        self.name = url.rstrip("/")
        if files is None:
            if EXTRAS[parts.scheme] == "https" or not parts.netloc or not parts.path.strip("/"):
                raise UsageError(f"{url} is no folder of a bucket", hint="such as s3://bucket/runs/monday")
            self._files, self._root = located(self.name)
        else:
            self._files, self._root = files, str(files._strip_protocol(self.name))

    def create(self, name: str, data: bytes) -> None:
        """Writes an object, whole, that is not there yet.

        Raises:
            FileExistsError: it is there.
        """
        with reaching():
            self._files.pipe_file(self._path(name), data, mode="create")

    def write(self, name: str, data: bytes) -> None:
        """Writes an object, whole, be it there or not."""
        with reaching():
            self._files.pipe_file(self._path(name), data)

    def read(self, names: Sequence[str]) -> list[bytes | None]:
        """The content of several objects, read at once; None for one that is not there."""
        paths = [self._path(name) for name in names]
        with reaching():
            found = self._files.cat_ranges(paths, None, None, on_error="return") if paths else []
            for value in found:
                if isinstance(value, Exception) and not isinstance(value, FileNotFoundError):
                    raise value
        return [value if isinstance(value, bytes) else None for value in found]

    def names(self) -> list[str]:
        """The names of all objects, in their order."""
        with reaching():
            try:
                found = self._files.ls(self._root, detail=False, refresh=True)
            except FileNotFoundError:
                return []
        return sorted(str(path).rpartition("/")[2] for path in found)

    def upload(self, path: Path, name: str) -> None:
        """Writes a file's content, streamed."""
        with reaching():
            self._files.put_file(str(path), self._path(name))

    def download(self, name: str, path: Path) -> None:
        """Writes an object's content to a file, streamed."""
        with reaching():
            self._files.get_file(self._path(name), str(path))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"
