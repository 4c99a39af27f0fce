"""Records in a data URL: an object store without append, so every part is a new object of JSON Lines."""

from __future__ import annotations

import gzip
import json
import os
from typing import Any

from .connection import Server
from .files import DataApi
from .protocol import Failure
from .records import Record, Refused, object_name

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
        self._data_api = DataApi(server._replace(headers={"Authorization": key}) if key else server)

    def write(self, records: list[Record], part: int) -> None:
        """Store one part. Raises ``Refused`` for what is wrong with it, else ``Failure``."""
        url = f"{self._url}/{object_name(records, part)}"
        body = "".join(record.line + "\n" for record in records).encode("ascii")
        if self._zips:
            url, body = url + ".gz", gzip.compress(body)
        try:
            try:
                self._data_api.send("PUT", url, body)
            except Failure as failure:
                if failure.status != 404 or not url.startswith("data://"):
                    raise
                self._make_collection()
                self._data_api.send("PUT", url, body)
        except Failure as failure:
            if failure.status in REFUSING:
                raise Refused(str(failure)) from None
            if not failure.retryable:  # whatever the records: no right to write, no such place
                failure.args = (f"{failure}; written with {self._writer}",)
            raise

    def _make_collection(self) -> None:
        """Make the collection, private to its owner."""
        folder, _, name = self._url.rpartition("/")
        body = json.dumps({"name": name, "acl": {"read": []}}).encode("ascii")
        try:
            self._data_api.send("POST", folder, body, {"Content-Type": "application/json"})
        except Failure as failure:
            if failure.status != 409:  # another process was quicker
                raise
