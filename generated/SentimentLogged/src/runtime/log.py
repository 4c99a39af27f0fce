"""Structured logging: a line of JSON on standard output for a call or a failed item; never their data."""

from __future__ import annotations

import json
import sys
from typing import Any

from .answer import Answer
from .protocol import Failure, Request


class Log:
    """Writes what the level asks for: ``off``, ``errors`` (items and calls that failed), or ``all`` calls."""

    def __init__(self, level: str) -> None:
        self._level = level

    def call(self, request: Request, answer: Answer, summary: dict[str, Any], error: Failure | None) -> None:
        """One call has ended, with that ``error`` or else with an answer."""
        if self._level == "off":
            return
        run = answer.items.run
        for item, outcome in answer.failures.values():
            if outcome.failure is not None and not outcome.failure.untried:
                facts = {"run": run, "id": item.id, "index": item.index, "try": request.try_number}
                facts.update(error=outcome.failure.error_type, attempts=outcome.attempts)
                self._write(dict(facts, log="item", ms=int(outcome.seconds * 1000)))
        if self._level == "all" or error or any(summary[key] for key in ("failed", "stopped")):
            told = {
                key: summary[key]
                for key in ("items", "succeeded", "failed", "untried", "throttled", "attempts")
            }
            told.update({"error": error and error.error_type, "stopped": summary["stopped"]})
            self._write(
                {"log": "call", "run": run, "try": request.try_number, **told, "ms": summary["duration_ms"]}
            )

    @staticmethod
    def _write(facts: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
