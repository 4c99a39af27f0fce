"""Objects at s3://, gs://, az:// and https://: the only module that imports fsspec, when one is named.

Credentials, endpoints and proxies are found as fsspec's libraries find them, such as in AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from uuid import uuid4

from wrapgen.errors import MissingExtra, UsageError, WrapgenError

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az", "https": "https", "http": "https"}
"""Scheme of a URL to the optional part of wrapgen that it needs."""

_BLOCK = 4 << 20
"""Bytes of a request when an object is read from its start to its end."""


def is_remote(name: object) -> bool:
    """Whether a name is the URL of an object, or of a prefix of objects."""
    scheme, found, _ = str(name).partition("://")
    return bool(found) and scheme.lower() in EXTRAS


def file_system(url: str) -> tuple[Any, str]:
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

        if EXTRAS[scheme] == "https":
            options["get_client"] = _web_client
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
        UsageError: the URL names no bucket.
        MissingExtra: a library is not installed.

    Every method raises OSError where the bucket can't be reached or refuses.
    """

    def __init__(self, url: str, files: Any = None) -> None:
        parts = urlsplit(url)
        self.name = url.rstrip("/")
        if files is None:
            if EXTRAS[parts.scheme] == "https" or not parts.netloc:
                raise UsageError(f"{url} is not in a bucket", hint="such as s3://bucket/runs/monday")
            self._files, self._root = file_system(self.name)
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

    def publish(self, path: Path, name: str, confirm: Callable[[], None]) -> None:
        """Writes a file's content for one of several writers, of whom one owns the object.

        Where there is none, it is written if there still is none when the upload ends. Else it waits under a
        name of its own for the proof; from there to its place it takes one request.

        Args:
            path: the file.
            name: of the object.
            confirm: raises where this writer is no longer the owner.
        """
        if not self._is_there(name):
            never = (
                {"overwrite": False} if EXTRAS.get(urlsplit(self.name).scheme) == "az" else {"mode": "create"}
            )
            try:
                with reaching():
                    self._files.put_file(str(path), self._path(name), **never)
                return
            except PermissionError:
                raise
            except OSError:  # it is there by now, or the store has no such writes
                confirm()
        waiting = f"{name}.{uuid4().hex[:12]}.part"
        try:
            self.upload(path, waiting)
            confirm()
            with reaching():
                self._files.cp_file(self._path(waiting), self._path(name))
        finally:
            with suppress(OSError):
                self.remove(waiting)

    def _is_there(self, name: str) -> bool:
        with reaching():
            return bool(self._files.exists(self._path(name)))

    def download(self, name: str, path: Path) -> None:
        """Writes an object's content to a file, streamed."""
        with reaching():
            self._files.get_file(self._path(name), str(path))

    def remove(self, name: str) -> None:
        """Removes an object; nothing where there is none."""
        with reaching(), suppress(FileNotFoundError):
            self._files.rm_file(self._path(name))

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"


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
        return io.BufferedReader(_RemoteReader(content), 1 << 20)


def _version(info: dict[str, Any]) -> str:
    names = ("ETag", "etag", "generation", "Content-MD5", "Last-Modified", "LastModified", "last_modified")
    return f"{next((info[name] for name in names if info.get(name)), '')} {info.get('size')}"


def absolute(name: str) -> str:
    """Where an input can be found again: the URL, or the path from the root of the file system."""
    return str(RemoteFile(name)) if is_remote(name) else str(Path(name).absolute())


class _RemoteReader(io.RawIOBase):
    """A file of fsspec, whose errors are all OSErrors."""

    def __init__(self, content: Any) -> None:
        self._content = content

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


_ACCESS = "see that it is there, and that the credentials of this machine may read it"


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


async def _web_client(**options: Any) -> Any:
    """A session of aiohttp that follows no redirect to where the user can't have meant."""
    import asyncio

    import aiohttp

    from wrapgen.client.proxies import is_loopback

    async def redirected(session: Any, _: Any, params: Any) -> None:
        at, to = params.url, params.url.join(type(params.url)(params.response.headers.get("Location", "")))
        if to.origin() == at.origin():
            return
        if not is_loopback(str(at)):
            found = await asyncio.get_running_loop().getaddrinfo(to.host, to.port)
            if not all(ip_address(str(place[0]).partition("%")[0]).is_global for *_, place in found):
                raise PermissionError(errno.EACCES, f"{at.host} redirects to {to.host}, inside a network")
        if to.scheme != "https" and at.scheme == "https":
            raise PermissionError(
                errno.EACCES, f"{at.host} redirects to {to.scheme}://, which is not encrypted"
            )
        if session.headers:
            raise PermissionError(errno.EACCES, f"{at.host} redirects to {to.host}, not meant by the headers")

    traced = aiohttp.TraceConfig()
    traced.on_request_redirect.append(redirected)
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
    return aiohttp.ClientSession(**{"timeout": timeout, "trust_env": True, **options}, trace_configs=[traced])
