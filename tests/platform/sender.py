"""An algorithm that sends the requests that its input lists: method, path, body, headers."""

import json
import os
from urllib.error import HTTPError
from urllib.request import Request, urlopen


def send(method, path, body=None, **headers):
    """The answer to one request: status, body and headers."""
    data = None if body is None else json.dumps(body).encode()
    mine = {"Authorization": os.environ["ALGORITHMIA_API_KEY"], "Content-Type": "application/json"}
    headers = dict(mine, **headers)
    try:
        answer = urlopen(Request(os.environ["ALGORITHMIA_API"] + path, data, headers, method=method))
    except HTTPError as error:
        answer = error
    found = {name.lower(): value for name, value in answer.headers.items()}
    return [answer.status, answer.read().decode(), found]


def apply(input):  # noqa: A002 - the platform's name
    """Send what the input lists."""
    return [send(*each[:3], **(each[3] if len(each) > 3 else {})) for each in input]
