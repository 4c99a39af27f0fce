"""Structured logging: a line of JSON on standard output for a call or a failed item; never their data."""

from __future__ import annotations

import contextlib
import json
import sys
from typing import Any

from .answer import Answer
from .protocol import Failure, Request

COUNTS = ("items", "succeeded", "failed", "untried", "throttled", "attempts", "unrecorded")


class Log:
    """Writes what the level asks for: ``off``, ``errors`` (items and calls that failed), or ``all`` calls."""

    def __init__(self, level: str) -> None:
        self._level = level

    def call(self, request: Request, answer: Answer, summary: dict[str, Any], error: Failure | None) -> None:
        """One call has ended, with that ``error`` or else with an answer."""
        about: dict[str, Any] = {"run": answer.items.run, "try": request.try_number}
        for item, outcome in answer.failures.values() if self._level != "off" else ():
            if outcome.failure is not None and not outcome.failure.untried:
                facts = dict(
                    about, log="item", id=item.id, index=item.index, error=outcome.failure.error_type
                )
                self._write(dict(facts, attempts=outcome.attempts, ms=int(outcome.seconds * 1000)))
        failed = error or any(summary.get(key) for key in ("failed", "stopped", "unrecorded"))
        if self._level == "all" or (self._level == "errors" and failed):
            counts = {key: summary[key] for key in COUNTS if key in summary}
            stopped = summary["stopped"] and summary["stopped"]["type"]
            facts = dict(about, log="call", error=error and error.error_type, stopped=stopped, **counts)
            self._write(dict(facts, ms=summary["duration_ms"]))

    @staticmethod
    def _write(facts: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            sys.stdout.write(json.dumps(facts) + "\n")
            sys.stdout.flush()
