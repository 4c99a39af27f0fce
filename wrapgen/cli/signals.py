"""What commands that work for a long time do on SIGINT and SIGTERM."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wrapgen.cli.terminal import err


@contextmanager
def stopping(stop: Callable[[], None], message: str) -> Iterator[None]:
    """Ends the work cleanly on the first SIGINT or SIGTERM, and the process at once on a second one.

    Args:
        stop: begins the end; called in the main thread.
        message: what the user is told then.
    """
    seen: list[int] = []

    def handle(number: int, _: Any) -> None:
        if seen:
            os._exit(128 + number)
        seen.append(number)
        stop()
        err(message)

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
