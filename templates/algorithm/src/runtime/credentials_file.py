"""Credentials in a private JSON file on the platform, for clusters that have no secret store.

The file is one object: names of variables and their values, such as those that the datastore is opened with.
The account of the first call must be allowed to read it.
"""

from __future__ import annotations

import json
import os

from .connection import Server
from .files import DataApi
from .protocol import Failure


def use(server: Server, url: str) -> Server:
    """The server, once the file's variables are in the environment; what is set there already stays.

    Raises ``ValueError``, which never shows a value.
    """
    try:
        body = DataApi(server).send("GET", url).body
    except Failure as failed:
        raise ValueError(f"the credentials can't be read: {failed}") from None
    try:
        variables = json.loads(body.decode("utf-8"))
    except ValueError:
        variables = None
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise ValueError(f"{url} must be one JSON object of variables and their texts")
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    return server
