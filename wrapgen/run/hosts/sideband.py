"""Where bodies go that are too large for a call: files in a collection of the caller's, soon removed."""

from __future__ import annotations

from contextlib import suppress
from uuid import uuid4

from wrapgen.client.data import FILE_LIMIT, DataCalls
from wrapgen.errors import NotFound, PlatformError
from wrapgen.run.hosts.failures import CALL_ERRORS, lost_by
from wrapgen.run.scheduling.replies import Lost

COLLECTION = "data://.my/wrapgen_sideband"
"""The caller's own: a wrapper reads and writes it with the caller's rights."""


class DataSideband:
    """Uses the platform's data service.

    Args:
        data: the data calls of the caller's client.
        collection: where the files go; made when it is first needed.
    """

    def __init__(self, data: DataCalls, collection: str = COLLECTION) -> None:
        self._data = data
        self._collection = collection

    def upload(self, body: bytes) -> str | Lost:
        """Stores a file under a name of its own; its URL."""
        url = f"{self._collection}/{uuid4().hex}.jsonl"
        try:
            try:
                self._data.put(url, body)
            except NotFound:
                with suppress(PlatformError):
                    self._data.create(self._collection)
                self._data.put(url, body)
        except CALL_ERRORS as error:
            return lost_by(error)
        return url

    def fetch(self, url: str) -> bytes | Lost:
        """The file at a URL that a wrapper answered with."""
        try:
            return self._data.read(url, limit=FILE_LIMIT)
        except CALL_ERRORS as error:
            return lost_by(error)

    def discard(self, url: str) -> None:
        """Removes a stored file; one that can't be removed stays, which does no harm."""
        with suppress(PlatformError):
            self._data.delete(url)
