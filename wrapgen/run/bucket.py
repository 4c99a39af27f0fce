"""Access to s3://, gs://, az:// and https://: the only module that imports fsspec, when one is named.

Credentials, endpoints and proxies are found as fsspec's libraries find them, such as in AWS_ENDPOINT_URL.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from wrapgen.errors import MissingExtra, UsageError, WrapgenError

EXTRAS = {"s3": "s3", "gs": "gs", "az": "az", "abfs": "az", "abfss": "az", "https": "https", "http": "https"}
"""Scheme of a URL to the optional part of wrapgen that it needs."""


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
        with reaching():
            there = self._files.exists(self._path(name))
        if not there:
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
