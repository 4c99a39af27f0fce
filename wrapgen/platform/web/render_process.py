"""The process that turns templates and facts into pages, started by `renderer`: calls are served meanwhile.

Laying out JSON, reading tables, colouring source and drawing charts happen here, at the lowest priority, with
a limit on memory and on the processor time of each page. Ends with its standard input.

    request   length (4 bytes), then pickled: template, context, facts that every page has
    reply     length (4 bytes), status (1 byte: 1 for a page, 0 for a traceback), then text in UTF-8
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import struct
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from wrapgen.charts import stylesheet
from wrapgen.html import Environment, environment
from wrapgen.platform.web import shown
from wrapgen.platform.web.navigation import NAVIGATION
from wrapgen.platform.web.static import Static

HERE = Path(__file__).parent
LENGTH = struct.Struct(">I")
MEMORY = 1 << 30
"""Bytes of address space; what a page takes beyond it fails that page."""

SECONDS = 10
"""Processor seconds of one page; one that takes longer ends this process."""

Context = Mapping[str, Any] | Callable[[], Mapping[str, Any]]
"""What a template is filled with, or what makes that here: a `partial` of a function of a module."""


def static_files() -> Static:
    """Style sheets, scripts and pictures."""
    return Static(HERE / "static", {"charts.css": stylesheet()})


def templates() -> Environment:
    """What renders the pages."""
    found = environment(HERE / "templates")
    found.filters.update(shown.FILTERS)
    found.globals.update(navigation=NAVIGATION, asset=static_files().address)
    return found


def render(pages: Environment, job: bytes) -> bytes:
    """The page of one request."""
    template, context, common = pickle.loads(job)  # noqa: S301 (the server's own)
    filled = {**common, **(context() if callable(context) else context)}
    # Half a surrogate pair can come out of anybody's JSON, and has no place in UTF-8.
    return pages.get_template(template).render(filled).encode("utf-8", "replace")


def answer(pages: Environment, requests: BinaryIO, replies: BinaryIO) -> bool:
    """Answers one request; False at the end of all."""
    head = requests.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return False
    job = requests.read(LENGTH.unpack(head)[0])
    used = resource.getrusage(resource.RUSAGE_SELF)
    most = int(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
    try:
        text, good = render(pages, job), b"\1"
    except Exception:
        text, good = traceback.format_exc().encode("utf-8", "replace"), b"\0"
    replies.write(LENGTH.pack(len(text)) + good + text)
    replies.flush()
    return True


def main() -> None:
    """Answers requests on standard input, one after the other, until that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's Ctrl-C is the server's
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library might print is no reply
    pages = templates()
    os.nice(19)
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, hard))
    while answer(pages, requests, replies):
        pass


if __name__ == "__main__":
    sys.exit("started by the server only")
