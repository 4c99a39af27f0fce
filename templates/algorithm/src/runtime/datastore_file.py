"""Records in a folder: every part is a new file of JSON Lines, named as in a data URL.

A file is there whole or not at all; readers take the union of a run's. A relative folder is beside the spec.
"""

from __future__ import annotations

import errno
import gzip
import os
import urllib.parse
import uuid
from pathlib import Path
from typing import Any

from .datastore_folder import kept_place
from .protocol import Failure
from .records import Record, object_name

PASSING = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ESTALE)


class Datastore:
    """Writes parts of records as files in a folder, which is made when it is missing."""

    def __init__(self, settings: dict[str, Any]) -> None:
        """``settings``: the folder's ``url``, and whether to ``gzip``. Raises ``ValueError``."""
        self._folder = folder_of(settings["url"])
        _require_usable(self._folder)
        self._zips = settings["gzip"]

    def write(self, records: list[Record], part: int) -> None:
        """Store one part. Raises ``Failure``."""
        name = object_name(records, part)
        body = "".join(record.line + "\n" for record in records).encode("ascii")
        if self._zips:
            name, body = name + ".gz", gzip.compress(body)
        try:
            if not self._folder.is_dir():
                self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                _sync(self._folder.parent)
            _write(self._folder / name, body)
        except OSError as error:
            may_pass = error.errno in PASSING  # unlike a right that lacks, or a file in the folder's place
            raise Failure("DatastoreError", f"{self._folder}: {error.strerror}", may_pass) from None


def folder_of(url: str) -> Path:
    """The folder that a URL names: ``file:///folder``, or a path that starts with a dot."""
    return kept_place(urllib.parse.unquote(url[len("file://") :] if url.startswith("file://") else url))


def _require_usable(folder: Path) -> None:
    """Raises ``ValueError`` where no folder can be or be written, before an item costs anything."""
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(str(place)))
    if not there.is_dir():
        raise ValueError(f"no records can be in {folder}: {there} is not a folder")
    if not os.access(str(there), os.W_OK | os.X_OK):
        raise ValueError(f"no records can be in {folder}: {there} can't be written to")
    try:
        (folder / ("x" * 200)).stat()  # no name of a file in it is longer
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"no records can be in {folder}: {error.strerror}") from None


def _write(path: Path, body: bytes) -> None:
    """A file that appears under its name when all of it is on the disk."""
    part = path.with_name(f".{uuid.uuid4().hex}.part")
    descriptor = os.open(str(part), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        part.replace(path)
    except BaseException:
        part.unlink()
        raise
    _sync(path.parent)


def _sync(folder: Path) -> None:
    descriptor = os.open(str(folder), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
