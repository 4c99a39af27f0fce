"""One worker process: the vendor's ADK runs a wrapper under some interpreter, and answers requests."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path
from typing import Any

from programs import run
from standins import KEY, Platform

# What the platform's runner does: it makes the pipe, then imports the algorithm. All of the machine share one
# pipe, so here what is written to it is printed.
START = """
import builtins, importlib, os, sys
PIPE = "/tmp/algoout"
exists, open_file = os.path.exists, builtins.open
os.path.exists = lambda path: path == PIPE or exists(path)
builtins.open = lambda file, *how, **more: (
    open_file(os.dup(1), "w") if file == PIPE else open_file(file, *how, **more)
)
importlib.import_module("src." + sys.argv[1])
"""

LONG = "a number of 5,000 digits"
"""Stands in a request for such a number, which this Python may not be able to write either."""


def run_adk(
    python: Path, folder: Path, platform: Platform, requests: list[Any], **variables: str
) -> list[Any]:
    """Sends requests to a wrapper, one after the other in one worker process; its answers.

    A request is JSON, or bytes. The process must end by itself when there are no more, with exit code 0.
    """
    name = json.loads((folder / "algorithmia.conf").read_text())["algoname"]
    lines = "".join(json.dumps(_request(value)) + "\n" for value in requests)
    lines = lines.replace(json.dumps(LONG), "-" + "7" * 5000)
    settings = {"ALGORITHMIA_API": platform.address, "ALGORITHMIA_API_KEY": KEY}
    done = run(
        python,
        folder,
        name,
        program=START,
        lines=lines,
        environment={**os.environ, **settings, **variables},
    )
    assert done.returncode == 0, done.stderr
    first, *answers = done.stdout.splitlines()
    assert first == "PIPE_INIT_COMPLETE"
    told = map(json.loads, answers)
    return [answer for answer in told if "log" not in answer]  # the log of calls goes to standard output too


def _request(value: Any) -> dict[str, Any]:
    if isinstance(value, bytes):
        return {"content_type": "binary", "data": base64.b64encode(value).decode()}
    return {"content_type": "text" if isinstance(value, str) and value != LONG else "json", "data": value}
