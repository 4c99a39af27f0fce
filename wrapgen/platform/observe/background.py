"""What the server does in the background goes on, whatever one round of it ends with."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def going_on(what: str) -> Iterator[None]:
    """Puts an error of the block into the server's log, and ends there: the next round may succeed.

    Args:
        what: is done, for the log.
    """
    try:
        yield
    except Exception:
        logging.getLogger("asyncio").exception(what + " failed")
