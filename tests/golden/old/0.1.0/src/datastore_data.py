"""Records in a data URL: an object store without append, so every piece is a new object of JSON Lines.

An object is named from run, first index, a digest of its ids and what became of them, try and piece. So the
same write repeated replaces itself, and no write replaces one that says something else. Only a collection's
owner may write to it.
"""

import gzip
import hashlib
import os
from typing import Any  # noqa: F401 - for the type comments

from .data_api import DataApi, DataFailed
from .protocol import dumps
from .records import Refused, Unavailable

REFUSING = (400, 413, 415, 422)  # statuses that find fault with what is written


class Datastore:
    """Writes pieces of records as objects under a URL."""

    def __init__(self, client, settings):
        # type: (Any, dict) -> None
        """``settings``: the ``url`` of a collection or a connector's folder, whether to ``gzip``, and a key.

        Without ``key_env`` the caller's rights decide, and only the owner's own calls are recorded.
        """
        key_env = settings["key_env"]
        if key_env and not os.environ.get(key_env, "").strip():
            raise ValueError("the variable {} with the datastore's key is not set".format(key_env))
        self._url = settings["url"].rstrip("/")
        self._zips = settings["gzip"]
        self._writer = "written with {}".format(key_env or "the caller's rights, as the spec has no key_env")
        self._data_api = DataApi(client, os.environ[key_env].strip() if key_env else None)

    def write(self, records, piece):
        # type: (list, int) -> None
        """Store one piece. Raises ``Refused`` or ``Unavailable``."""
        url = "{}/{}".format(self._url, object_name(records, piece))
        body = "".join(record.line + "\n" for record in records).encode("ascii")
        if self._zips:
            url, body = url + ".gz", gzip.compress(body)
        try:
            try:
                self._data_api.put(url, body)
            except DataFailed as failed:
                if failed.status != 404 or not self._url.startswith("data://"):
                    raise
                self._data_api.make_collection(self._url)
                self._data_api.put(url, body)
        except DataFailed as failed:
            if failed.status in REFUSING:
                raise Refused(str(failed)) from None
            if failed.is_down:
                raise Unavailable(str(failed)) from None
            # Whatever the records: no right to write, no such place, a redirection. Waiting mends none.
            raise Unavailable("{}; {}".format(failed, self._writer), lasting=True) from None


def object_name(records, piece):
    # type: (list, int) -> str
    """Sorts by run and index; the reader takes the union of a run's objects."""
    fields = records[0].fields
    content = dumps([fields["run"], [[record.fields["id"], record.rank] for record in records]])
    return "{}-{:012d}-{}-t{}-p{}.jsonl".format(
        "none" if fields["run"] is None else fields["run"],
        min(record.fields["index"] for record in records),
        hashlib.sha256(content.encode("ascii")).hexdigest()[:12],
        fields["try"],
        piece,
    )
