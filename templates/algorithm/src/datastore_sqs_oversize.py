"""Records in an SQS queue, with those that are too large for a message in a data URL.

The message then has the record's key, index and try, and under ``pointer`` the URL of an object that holds
the whole record as one line of JSON.
"""

from typing import Any  # noqa: F401 - for the type comments

from . import datastore_data, datastore_sqs
from .protocol import dumps

KEY = ("run", "id", "index", "try")


class Datastore(datastore_sqs.Datastore):
    """A queue that never refuses a record for its size."""

    def __init__(self, client, settings):
        # type: (Any, dict) -> None
        """``settings``: also ``oversize``, the URL for large records, and ``key_env`` as for a data URL."""
        super().__init__(client, settings)
        self._collection = settings["oversize"].rstrip("/")
        self._large = datastore_data.Datastore(client, dict(settings, url=self._collection))

    def oversize(self, record):
        # type: (Any) -> str
        """Store the record, and point to it. Raises ``Unavailable`` or ``Refused``."""
        self._large.write([record], 1)
        pointer = {key: record.fields[key] for key in KEY}
        pointer["pointer"] = "{}/{}".format(self._collection, datastore_data.object_name([record], 1))
        return dumps(pointer)
