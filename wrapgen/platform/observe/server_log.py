"""The server's own log: one JSON object per line in HOME/logs, with request ids; written in the background.

Lines are collected for a moment and written together, so that logging costs a call next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec

from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.observe.background import going_on
from wrapgen.platform.observe.call_record import CallRecord

NAME = "platform.jsonl"
FLUSH_SECONDS = 0.25
LARGEST = 64 << 20
"""Bytes after which the file is put aside; one older file is kept."""

_encode = msgspec.json.Encoder().encode


class ServerLog:
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
        self._file = _LogFile(self.path, maxBytes=LARGEST, backupCount=1, encoding="utf-8", delay=True)
        self._file.namer = lambda _: str(self.path.with_suffix(".1.jsonl"))
        self._clock = clock
        self._lines: list[bytes] = []
        self._bounds = bounds or Bounds()
        self._share, self._shared, self._untold = float(self._bounds.stranger_log_bytes), clock(), 0

    def add(self, record: CallRecord) -> None:
        """Adds the line of a call that has ended.

        It is encoded at once: thousands at a time, in the background, would delay one call in a hundred.
        """
        self._lines.append(_call_line(record))

    def note(self, event: str, **facts: Any) -> None:
        """Adds one line.

        Args:
            event: what happened, one word.
            facts: JSON values.
        """
        self._lines.append(self._line(event, facts))

    def note_stranger(self, event: str, **facts: Any) -> None:
        """Adds one line about somebody without a key, as long as all of theirs are within their share.

        Of others only their number is told, as `untold` of the next that is within.
        """
        now, bounds = self._clock(), self._bounds
        grown = self._share + max(0.0, now - self._shared) * bounds.stranger_log_rate
        self._share, self._shared = min(float(bounds.stranger_log_bytes), grown), now
        if self._untold:
            facts["untold"] = self._untold
        line = self._line(event, facts)
        if len(line) > self._share:
            self._untold += 1
            return
        self._share -= len(line)
        self._untold = 0
        self._lines.append(line)

    def flush(self) -> None:
        """Writes what was noted; a full disk costs lines, never a call."""
        lines, self._lines = self._lines, []
        if lines:
            text = b"\n".join(lines).decode()
            self._file.handle(logging.makeLogRecord({"msg": text, "lines": len(lines)}))
            self._file.close()  # it may be moved away meanwhile; the next lines open it again

    async def tend(self) -> None:
        """Writes every now and then until cancelled."""
        try:
            while True:
                await asyncio.sleep(FLUSH_SECONDS)
                if self._lines:
                    with going_on("writing the log"):
                        await asyncio.to_thread(self.flush)
        finally:
            with going_on("writing the log"):
                self.flush()

    def _line(self, event: str, facts: dict[str, Any]) -> bytes:
        return _encode({"time": round(self._clock(), 3), "event": event, **facts})


class _LogFile(RotatingFileHandler):
    """The file, with what is too much of it put aside."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Says how many lines could not be written."""
        error = sys.exc_info()[1]
        sys.stderr.write(f"warning: {getattr(record, 'lines', 1)} log lines are lost: {error}\n")


class _CallLine(msgspec.Struct, tag="call", tag_field="event", omit_defaults=True):
    """The line of a call; never its input or result. `algorithm` is with its version."""

    time: float
    request_id: str
    session: str
    account: str
    algorithm: str
    seconds: float
    total: float
    bytes: int
    error_type: str = ""
    worker: int = 0
    run: str = ""


def _call_line(record: CallRecord) -> bytes:
    return _encode(
        _CallLine(
            round(record.ended, 3),
            record.id,
            record.root,
            record.account,
            record.reference,
            record.worked,
            record.seconds,
            record.received,
            record.error_type,
            record.worker,
            record.run,
        )
    )
