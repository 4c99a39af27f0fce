"""A runner in a process of its own whose clock runs fast, so that a test of many kills need not wait.

python driver.py ADDRESS REFERENCE INPUT OUTPUT [SHARD], with the key in ALGORITHMIA_API_KEY; the run is
called after its output.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

from wrapgen.client import Client, Connection
from wrapgen.errors import WrapgenError
from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.call_threads import CallThreads, Returned
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.files import find
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.shards import Shard
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options, World

FASTER = 1000.0


class FastCalls(CallThreads):
    """Waits a thousandth of what it is asked to."""

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back."""
        return super().wait(None if seconds is None else seconds / FASTER)


def patiently(ask: Callable[[], Description]) -> Description:
    """What a wrapper says of itself, once its platform is back."""
    for _ in range(1000):
        with suppress(WrapgenError):
            return ask()
        threading.Event().wait(0.05)
    return ask()


def main(address: str, reference: str, source: str, output: Path, shard: Shard | None = None) -> int:
    """One session; the exit code of its end state."""
    client = Client(Connection(address, os.environ["ALGORITHMIA_API_KEY"], "the test"), pool=8)

    def call(body: bytes, timeout: float) -> bytes:
        return client.call_body(reference, body, timeout=timeout)

    def clock() -> float:
        return time.monotonic() * FASTER

    host = MemoryHost(call, reference)
    patiently(host.describe)
    items: Any = Selected(find(source), Selection())
    # Whoever watches is patient: seconds pass a thousand times as fast here.
    told = {"run": output.stem, "timeout": 3000, "chunk": 16, "patience": 600 * FASTER}
    options = Options(attempts=9, budget=1.0, shard=shard, **told)
    output = shard.output(output) if shard else output
    world = World(calls=FastCalls, clock=clock, random=Random(0))
    with Session(Folder(folder_for(output)), items, host, options, world) as session:
        summary = run_to_files(session, output, Layout(), lambda _: None, clock)
    print(summary, file=sys.stderr)
    return summary.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4], Path(sys.argv[4]), *map(Shard.parse, sys.argv[5:])))
