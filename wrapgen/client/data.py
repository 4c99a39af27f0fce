"""Files and collections behind data URLs (`data://owner/collection/file`, or a connector such as `s3://`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import IO, Any
from urllib.parse import quote

from wrapgen.client.transport import ANSWER_LIMIT, READ_TIMEOUT, Transport
from wrapgen.errors import NotFound, ServerFault, UsageError
from wrapgen.protocol import dumps

FILE_LIMIT = 1024**3
"""The most bytes of a file with the results of one chunk."""

_URL = re.compile(r"([a-z][a-z0-9]*(?:\+[^:/]+)?)://(.*)\Z", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class FileEntry:
    """One file of a listing: its name within the folder, and its size in bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class FolderPage:
    """One page of a folder: its files, its folders' names, and the marker of the next page or None."""

    files: list[FileEntry]
    folders: list[str]
    marker: str | None


def is_data_url(text: str) -> bool:
    """Whether the text is a URL that the platform's data service serves, hosted or through a connector."""
    match = _URL.match(text)
    return match is not None and match[1].lower().partition("+")[0] in {
        "data",
        "s3",
        "azureblob",
        "dropbox",
        "gs",
    }


def split(url: str) -> tuple[str, str]:
    """The parent's URL and the last name: `data://a/b/c` gives `data://a/b` and `c`.

    Raises:
        UsageError: the URL has no parent.
    """
    parent, _, name = url.rstrip("/").rpartition("/")
    if not name or parent.endswith(":/") or "://" not in parent:
        raise UsageError(f"{url} names no file or collection", hint="write data://owner/collection")
    return parent, name


class DataCalls:
    """The data calls. URLs as users write them. Every method raises PlatformError or a subclass."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def read(self, url: str, *, limit: int = ANSWER_LIMIT) -> bytes:
        """A whole file of at most `limit` bytes; larger ones are for `stream`.

        Raises:
            NotFound: there is none.
            TooLarge: it has more bytes.
        """
        return self._transport.request("GET", path_of(url), limit=limit)

    def stream(self, url: str, *, timeout: float = READ_TIMEOUT) -> AbstractContextManager[Iterator[bytes]]:
        """A file in parts: `with data.stream(url) as parts: ...`; for files of any size."""
        return self._transport.stream(path_of(url), timeout=timeout)

    def put(self, url: str, body: bytes | IO[bytes], *, timeout: float = READ_TIMEOUT) -> None:
        """Writes a whole file, replacing what was there; an open file is streamed.

        Raises:
            NotFound: the collection does not exist.
        """
        self._transport.request(
            "PUT", path_of(url), body=body, content_type="application/octet-stream", timeout=timeout
        )

    def exists(self, url: str) -> bool:
        """Whether there is a file or a folder that this key may see."""
        try:
            self._transport.request("HEAD", path_of(url))
        except NotFound:
            return False
        return True

    def files(self, url: str) -> Iterator[FileEntry]:
        """Every file of a folder, in the platform's order; pages are fetched as they are needed.

        Raises:
            NotFound: there is no such folder.
        """
        for page in self.pages(url):
            yield from page.files

    def pages(self, url: str) -> Iterator[FolderPage]:
        """The listing of a folder, page by page."""
        marker: str | None = None
        while True:
            page = self._page(url, marker)
            yield page
            if not page.marker or page.marker == marker:
                return
            marker = page.marker

    def create(self, url: str, *, read: list[str] | None = None) -> None:
        """Makes a collection.

        Args:
            url: such as `data://acme/scores`.
            read: who may read; `[]`, the default, nobody but the owner and the owner's algorithms.

        Raises:
            Conflict, BadRequest: it exists already, or this key may not.
        """
        parent, name = split(url)
        body = dumps({"name": name, "acl": {"read": read or []}})
        self._transport.json("POST", path_of(parent), body=body, content_type="application/json")

    def delete(self, url: str) -> None:
        """Removes a file, or an empty collection.

        Raises:
            NotFound: there is none.
        """
        self._transport.json("DELETE", path_of(url))

    def account(self) -> str | None:
        """The name of the account that this key belongs to: the first folder of the root."""
        page = self._page("data://", None)
        return page.folders[0] if page.folders else None

    def acl(self, url: str) -> list[str] | None:
        """Who may read a collection, as the platform writes it; None for special collections."""
        content = self._transport.json("GET", path_of(url), query={"acl": "true"})
        acl = content.get("acl") if isinstance(content, dict) else None
        read = acl.get("read") if isinstance(acl, dict) else None
        return [str(entry) for entry in read] if isinstance(read, list) else None

    def _page(self, url: str, marker: str | None) -> FolderPage:
        content = self._transport.json("GET", path_of(url), query={"marker": marker})
        if not isinstance(content, dict):
            raise ServerFault(f"{url} is a file, not a folder, or the platform answered no listing")
        files: list[dict[str, Any]] = content.get("files") or []
        folders: list[dict[str, Any]] = content.get("folders") or []
        return FolderPage(
            files=[FileEntry(str(f["filename"]), int(f.get("size") or 0)) for f in files],
            folders=[str(f["name"]) for f in folders],
            marker=content.get("marker") or None,
        )


def path_of(url: str) -> str:
    """The API's path for a data URL: hosted data without its scheme, connectors with it (contract, 4).

    Raises:
        UsageError: it is no data URL.
    """
    if not is_data_url(url):
        raise UsageError(f"not a data URL: {url}", hint="write data://owner/collection or a connector's URL")
    scheme, _, rest = url.partition("://")
    hosted = scheme.lower() == "data"
    return "/v1/data/" + quote(rest.strip("/") if hosted else f"{scheme}://{rest}", safe="/:")
