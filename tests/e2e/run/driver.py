"""A runner in a process of its own whose clock runs fast, so that a test of many kills need not wait.

python driver.py ADDRESS INPUT OUTPUT
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from random import Random
from typing import Any

from wrapgen.client import Client, Connection
from wrapgen.run.connectors.files import find
from wrapgen.run.finish import run_to_files
from wrapgen.run.folder import folder_for
from wrapgen.run.items import Selected, Selection
from wrapgen.run.lanes import Returned, ThreadLanes
from wrapgen.run.layouts import Layout
from wrapgen.run.options import Options, World, Wrapper
from wrapgen.run.session import Session
from wrapgen.run.wrappers import describe

FASTER = 1000.0


class FastLanes(ThreadLanes):
    """Waits a thousandth of what it is asked to."""

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back."""
        return super().wait(None if seconds is None else seconds / FASTER)


def main(address: str, source: str, output: Path) -> int:
    """One session; the exit code of its end state."""
    client = Client(Connection(address, "simABCDEFGHIJKLMNOPQRSTUVWXY", "the test"), pool=8)

    def call(body: bytes, timeout: float) -> bytes:
        return client.call_body("acme/SentimentBatch/1.1.0", body, timeout=timeout)

    def clock() -> float:
        return time.monotonic() * FASTER

    wrapper = Wrapper("acme/SentimentBatch/1.1.0", describe(call, "acme/SentimentBatch/1.1.0"), call)
    items: Any = Selected(find(source), Selection())
    # Whoever watches is patient: seconds pass a thousand times as fast here.
    options = Options(attempts=9, budget=1.0, run="killed", patience=600 * FASTER, timeout=3000)
    world = World(lanes=FastLanes, clock=clock, random=Random(0))
    with Session(folder_for(output), items, wrapper, options, world) as session:
        return run_to_files(session, items, output, Layout(), lambda _: None, clock).exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
