"""Credentials in a private JSON file on the platform, for clusters that have no secret store.

The file is one object: names of variables and their values, such as those that the datastore is opened with.
Whoever makes the first call must be allowed to read it.
"""

import io
import json
import os
from typing import Any  # noqa: F401 - for the type comments

from .data_api import DataApi, DataFailed


def use(client, url):
    # type: (Any, str) -> Any
    """The client, once the file's variables are in the environment; what is set there already stays.

    Raises ``ValueError``, which never shows a value.
    """
    file = io.BytesIO()
    try:
        DataApi(client).get(url, into=file)
    except DataFailed as failed:
        raise ValueError("the credentials can't be read: {}".format(failed)) from None
    try:
        variables = json.loads(file.getvalue().decode("utf-8"))
    except ValueError:
        variables = None
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise ValueError("{} must be one JSON object of variables and their texts".format(url))
    for name, value in variables.items():
        os.environ.setdefault(name, value)
    return client
