"""Calls of what may never return: copies of the records, and look-ups in a datastore."""

from __future__ import annotations

import threading
from typing import Any, Callable

from .protocol import Failure


def call_with_timeout(seconds: float, do: Callable[..., Any], *arguments: Any) -> Any:
    """Do something in a thread that is left alone when it takes longer than that many seconds.

    Returns or raises what it does, else raises ``Failure``.
    """
    ended: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            ended.append((do(*arguments), None))
        except BaseException as error:
            ended.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    try:
        thread.start()
        thread.join(seconds)
    except RuntimeError:  # the system starts no more threads
        run()
    if not ended:
        raise Failure("TimeoutError", f"no answer within the {seconds:.0f} s there were")
    result, error = ended[0]
    if error is not None:
        raise error
    return result
