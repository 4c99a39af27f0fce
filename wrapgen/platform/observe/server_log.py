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

from wrapgen.platform.domain.bounds import Bounds

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
        bounds: how much of it strangers may fill.
    """

    def __init__(
        self, folder: Path, clock: Callable[[], float] = time.time, bounds: Bounds | None = None
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.path = folder / NAME
        self._clock = clock
        self._lines: list[bytes] = []
        self._bounds = bounds or Bounds()
        self._share, self._shared, self._untold = float(self._bounds.stranger_log_bytes), clock(), 0

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

    def note_stranger(self, event: str, **facts: Any) -> None:
        """Adds one line about somebody without a key, as long as all of theirs are within their share.

        Of others only their number is told, as `untold` of the next that is within.
        """
        now, bounds = self._clock(), self._bounds
        grown = self._share + max(0.0, now - self._shared) * bounds.stranger_log_rate
        self._share, self._shared = min(float(bounds.stranger_log_bytes), grown), now
        if self._untold:
            facts["untold"] = self._untold
        line = _encode({"time": self.now(), "event": event, **facts})
        if len(line) > self._share:
            self._untold += 1
            return
        self._share -= len(line)
        self._untold = 0
        self._lines.append(line)

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
