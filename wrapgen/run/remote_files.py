"""Files at a URL, read as those of this machine: one object, or all that a pattern names."""

from __future__ import annotations

import errno
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from wrapgen.errors import UsageError
from wrapgen.run.bucket import EXTRAS, file_system, is_remote, reaching

_BLOCK = 4 << 20
"""Bytes of a request when an object is read from its start to its end."""


class Stat(NamedTuple):
    """What is known of an object beside its content."""

    st_size: int


@dataclass(frozen=True)
class RemoteFile:
    """An object that is read: as much of a `Path` as the readers of inputs need.

    Args:
        url: of the object; what follows a question mark is not shown, as it may be a signature.
        version: its ETag, or what the server says instead, when the run looked at it first.
    """

    url: str
    version: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.url.partition("?")[0] if EXTRAS[urlsplit(self.url).scheme] == "https" else self.url

    @property
    def name(self) -> str:
        """The last part of its path."""
        return str(self).rpartition("/")[2]

    def info(self) -> dict[str, Any]:
        """What the server says of it now.

        Raises:
            FileNotFoundError, OSError: it is not there, or can't be reached.
        """
        with reaching():
            files, path = file_system(self.url)
            try:
                found: dict[str, Any] = files.info(path)
            except FileNotFoundError as error:  # of the web, whatever it was
                cause = error.__cause__
                known = EXTRAS[urlsplit(self.url).scheme] != "https" or getattr(cause, "status", None) == 404
                if known or cause is None or isinstance(cause, FileNotFoundError):
                    raise
                raise cause from error
        return found

    def exists(self) -> bool:
        """Whether it is there; raises OSError where that can't be told."""
        try:
            return bool(self.info())
        except FileNotFoundError:
            return False

    def stat(self) -> Stat:
        """Its size in bytes, 0 where the server does not say."""
        return Stat(int(self.info().get("size") or 0))

    def seen(self) -> str:
        """Its version now: ETag, generation or time of change, and size."""
        return _version(self.info())

    def open(self, mode: str = "rb") -> io.BufferedReader:
        """A stream of its content, which holds some megabytes at a time.

        Raises:
            OSError: it can't be read, or is another than the run saw first.
        """
        if self.version and (now := self.seen()) != self.version:
            raise OSError(errno.ESTALE, f"it changed: it was {self.version.strip()}, now it is {now.strip()}")
        with reaching():
            files, path = file_system(self.url)
            content = files.open(path, mode, block_size=_BLOCK, cache_type="readahead")
        reader = _RemoteReader(content, lambda: files.open(path, mode, block_size=0))
        return io.BufferedReader(reader, 1 << 20)


def _version(info: dict[str, Any]) -> str:
    names = ("ETag", "etag", "generation", "Content-MD5", "Last-Modified", "LastModified", "last_modified")
    return f"{next((info[name] for name in names if info.get(name)), '')} {info.get('size')}"


def absolute(name: str) -> str:
    """Where an input can be found again: the URL, or the path from the root of the file system."""
    return str(RemoteFile(name)) if is_remote(name) else str(Path(name).absolute())


class _RemoteReader(io.RawIOBase):
    """A file of fsspec, whose errors are all OSErrors; `stream` opens it where a server gives no ranges."""

    def __init__(self, content: Any, stream: Callable[[], Any]) -> None:
        self._content, self._stream = content, stream

    def readable(self) -> bool:
        """It can be read."""
        return True

    def seekable(self) -> bool:
        """Whether the server gives parts of it."""
        return bool(self._content.seekable())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Goes on elsewhere."""
        with reaching():
            return int(self._content.seek(offset, whence))

    def tell(self) -> int:
        """Where it is read next."""
        return int(self._content.tell())

    def readinto(self, buffer: Any) -> int:
        """The next bytes; 0 at the end."""
        with reaching():
            at = self._content.tell()
            try:
                data = self._content.read(len(buffer))
            except ValueError:  # of fsspec: the server answered a range with the whole
                self._content = self._stream()
                while at and (skipped := self._content.read(min(at, _BLOCK))):
                    at -= len(skipped)
                data = self._content.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Lets go of the connection."""
        if not self.closed:
            self._content.close()
        super().close()


InputFile = Path | RemoteFile
"""What rows are read from."""

_ACCESS = "see that it is there, and that the credentials of this machine may read it"


def find_remote(name: str) -> list[RemoteFile]:
    """The objects that a URL or a pattern such as s3://bucket/in/*.csv.gz names, in the order of their names.

    Raises:
        UsageError: there is none, it is a folder, or a URL that is not read.
        RunError, MissingExtra: as `file_system`.
    """
    from wrapgen.client.proxies import is_loopback  # here, as completion needs none of it

    parts = urlsplit(name)
    if parts.username or parts.password:
        raise UsageError(
            f"the URL of {parts.hostname} holds a user or a password, which ends up in logs",
            hint="put them into ~/.netrc",
        )
    if parts.scheme == "http" and not is_loopback(name):
        raise UsageError(f"{name} is not encrypted", hint="use https://, or fetch it first")
    one = RemoteFile(name)
    try:
        info = one.info()
        return _matching(name) if info.get("type") == "directory" else [RemoteFile(name, _version(info))]
    except FileNotFoundError:
        return _matching(name)
    except OSError as error:
        raise UsageError(f"can't read {one}: {error.strerror or error}", hint=_ACCESS) from error


def _matching(name: str) -> list[RemoteFile]:
    """The objects that a pattern names."""
    from glob import has_magic

    if EXTRAS[urlsplit(name).scheme] == "https" or not has_magic(name):
        raise UsageError(f"there is no {name}", hint=f"name an object, or a pattern in quotes; {_ACCESS}")
    scheme = name.partition("://")[0]
    try:
        with reaching():
            files, path = file_system(name)
            found = files.glob(path, detail=True)
        known = [(at, info) for at, info in sorted(found.items()) if info["type"] == "file"]
        objects = [RemoteFile(f"{scheme}://{at}", _version(info)) for at, info in known]
    except OSError as error:
        raise UsageError(f"can't read {name}: {error.strerror or error}", hint=_ACCESS) from error
    if not objects:
        raise UsageError(f"there is no {name}", hint="name an object, or a pattern in quotes")
    return objects
