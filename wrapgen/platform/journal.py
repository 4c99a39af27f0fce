"""The server's own log: one JSON object per line in HOME/logs, with request ids; written in the background.

Lines are collected for a moment and written together, so that logging costs a call next to nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

NAME = "platform.jsonl"
FLUSH_SECONDS = 0.25
LARGEST = 64 << 20
"""Bytes after which the file is put aside; one older file is kept."""

_encode = msgspec.json.Encoder().encode


class CallEntry(msgspec.Struct, tag="call", tag_field="event", omit_defaults=True):
    """The line of one call that ended.

    Args:
        time: epoch seconds.
        request_id, session: of the call, and of the call from outside that it belongs to.
        account, algorithm: who called what, with its version.
        seconds, total: the algorithm's time, and that with all waiting.
        bytes: of the input.
        error_type: None for a result.
        worker: process id.
        run: id of the run that the call carries.
    """

    time: float
    request_id: str
    session: str
    account: str
    algorithm: str
    seconds: float
    total: float
    bytes: int
    error_type: str | None = None
    worker: int | None = None
    run: str = ""


class Journal:
    """The log of one home.

    Args:
        folder: where the file is; made when missing.
        clock: gives epoch seconds.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / NAME
        self._clock = clock
        self._lines: list[bytes] = []

    def now(self) -> float:
        """Epoch seconds, to the millisecond."""
        return round(self._clock(), 3)

    def add(self, entry: CallEntry) -> None:
        """Adds the line of a call."""
        self._lines.append(_encode(entry))

    def note(self, event: str, **facts: Any) -> None:
        """Adds one line.

        Args:
            event: what happened, one word.
            facts: JSON values.
        """
        self._lines.append(_encode({"time": self.now(), "event": event, **facts}))

    def flush(self) -> None:
        """Writes what was noted; a full disk costs lines, never a call."""
        lines, self._lines = self._lines, []
        if not lines:
            return
        try:
            if self.path.exists() and self.path.stat().st_size > LARGEST:
                self.path.replace(self.path.with_suffix(".1.jsonl"))
            with self.path.open("ab") as file:
                file.write(b"\n".join([*lines, b""]))
        except OSError as error:
            sys.stderr.write(f"warning: {len(lines)} log lines are lost: {error}\n")

    async def tend(self) -> None:
        """Writes every now and then until cancelled."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                if self._lines:
                    await asyncio.to_thread(self.flush)
        finally:
            self.flush()
