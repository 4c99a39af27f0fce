"""Files on the platform: hosted collections and connectors, through the data API.

Which rights a request has depends on its key. Nothing here knows what the files hold.
"""

import json
import urllib.parse
from typing import Any  # noqa: F401 - for the type comments

from .transport import ConnectionFailed, Transport

TIMEOUT = 120.0


class DataFailed(Exception):
    """A file could not be read or written; ``status`` is None when no answer came."""

    def __init__(self, url, status, message):
        # type: (str, int | None, str) -> None
        reason = message if status is None else "status {} {}".format(status, message).strip()
        super().__init__("{}: {}".format(url, reason))
        self.status = status

    @property
    def is_down(self):
        # type: () -> bool
        """Whether the same request may succeed later; an error inside a successful answer tells no more."""
        status = self.status
        return status is None or status < 300 or status in (408, 409, 425, 429) or status >= 500


class DataApi:
    """Reads and writes files by URL: ``data://owner/collection/file`` or a connector's, ``s3://bucket/file``."""

    def __init__(self, client, key=None):
        # type: (Any, str | None) -> None
        """``client`` is the vendor's; ``key`` writes with other rights than the caller's."""
        self._transport = Transport(client, key)

    def get(self, url, into):
        # type: (str, Any) -> None
        """Write the file's bytes to an open file, piece by piece. Raises ``DataFailed``."""
        self._send("GET", url, url, into=into)

    def put(self, url, body, length=None):
        # type: (str, Any, int | None) -> None
        """Store bytes, or an open file of that length, under a URL. Raises ``DataFailed``."""
        headers = {"Content-Type": "application/octet-stream"}
        if length is not None:
            headers["Content-Length"] = str(length)
        self._send("PUT", url, url, body, headers)

    def make_collection(self, url):
        # type: (str) -> None
        """Make a private collection; one that exists already is fine. Raises ``DataFailed``."""
        parent, _, name = url.rpartition("/")
        body = json.dumps({"name": name, "acl": {"read": []}}).encode("ascii")
        try:
            self._send("POST", url, parent, body, {"Content-Type": "application/json"})
        except DataFailed as failed:
            if failed.status != 409:
                raise

    def _send(self, method, url, target, body=b"", headers=None, into=None):
        try:
            answer = self._transport.send(method, path_of(target), body, headers, TIMEOUT, into)
        except ConnectionFailed as error:
            raise DataFailed(url, None, str(error)) from None
        if not 200 <= answer.status < 300:
            raise DataFailed(url, answer.status, _message(answer))
        if into is None and "error" in _json(answer.body):  # the platform also reports errors with 200
            raise DataFailed(url, answer.status, _message(answer))


def path_of(url):
    # type: (str) -> str
    """Where the API has a URL: hosted data under /v1/data, connectors under /v1/connector/NAME."""
    scheme, _, rest = url.partition("://")
    root = "/v1/data/" if scheme == "data" else "/v1/connector/{}/".format(scheme)
    return root + urllib.parse.quote(rest.strip("/"), safe="/")


def _json(body):
    """The JSON object of an answer; empty for any other."""
    try:
        value = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        value = None
    return value if isinstance(value, dict) else {}


def _message(answer):
    error = _json(answer.body).get("error")
    words = error.get("message") if isinstance(error, dict) else error
    return str(words or answer.headers.get("X-Error-Message") or "")
