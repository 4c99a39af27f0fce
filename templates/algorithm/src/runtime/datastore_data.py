"""Records in a data URL: an object store without append, so every part is a new object of JSON Lines.

An object is named from run, first index, a digest of its ids and what became of them, try and part. So the
same write repeated replaces itself, and no write replaces one that says something else.
"""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

from .exchange import Request, Server
from .object_name import object_name
from .platform import DataApi
from .protocol import Unavailable
from .records import Record, Refused

REFUSING = (400, 413, 415, 422)  # statuses that find fault with what is written


class Datastore:
    """Writes parts of records as objects under a URL."""

    def __init__(self, server: Server, settings: dict[str, Any]) -> None:
        """``settings``: a folder's ``url``, whether to ``gzip``, where the writer's key is, if anywhere."""
        key_env = settings["key_env"]
        key = os.environ.get(key_env, "").strip() if key_env else None
        if key == "":
            raise ValueError(f"the variable {key_env} with the datastore's key is not set")
        self._url = settings["url"].rstrip("/")
        self._zips = settings["gzip"]
        self._writer = key_env or "the caller's rights, as the spec has no key_env"
        self._data_api = DataApi(server, key)

    def write(self, records: list[Record], part: int) -> None:
        """Store one part. Raises ``Refused`` or ``Unavailable``."""
        url = f"{self._url}/{object_name(records, part)}"
        body = "".join(record.line + "\n" for record in records).encode("ascii")
        if self._zips:
            url, body = url + ".gz", gzip.compress(body)
        try:
            self._put(url, body)
        except Unavailable as error:
            if error.status in REFUSING:
                raise Refused(str(error)) from None
            if error.lasting:  # whatever the records: no right to write, no such place, a redirection
                raise Unavailable(f"{error}; written with {self._writer}", lasting=True) from None
            raise

    def _put(self, url: str, body: bytes) -> None:
        """Store an object; a collection that is not there is made, private to its owner."""
        try:
            self._data_api.send(Request("PUT", url, body))
        except Unavailable as error:
            if error.status != 404 or not url.startswith("data://"):
                raise
            folder, _, name = self._url.rpartition("/")
            made = json.dumps({"name": name, "acl": {"read": []}}).encode("ascii")
            try:
                self._data_api.send(Request("POST", folder, made, {"Content-Type": "application/json"}))
            except Unavailable as failed:
                if failed.status != 409:  # another process was quicker
                    raise
            self._data_api.send(Request("PUT", url, body))
