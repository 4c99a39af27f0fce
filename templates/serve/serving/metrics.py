"""Counts of the process, in Prometheus' text format. Labels have few values, and callers choose none."""

from __future__ import annotations

import threading
from typing import Any, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)  # seconds
OUTCOMES = ("succeeded", "failed", "untried")
_GAUGES = {
    "ready": "Whether calls are taken.",
    "running": "Calls that are being executed.",
    "waiting": "Calls that are read, or wait for a thread.",
}


class Metrics:
    """Counts from the start of the process on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._responses: dict[int, int] = {}
        self._items = dict.fromkeys(OUTCOMES, 0)
        self._buckets = [0] * (len(BOUNDS) + 1)
        self._seconds = 0.0

    def count_response(self, status: int) -> None:
        """One response with a status, of the few that there are."""
        with self._lock:
            self._responses[status] = self._responses.get(status, 0) + 1

    def observe_call(self, seconds: float) -> None:
        """One call that was executed, and took so long."""
        place = next((place for place, bound in enumerate(BOUNDS) if seconds <= bound), len(BOUNDS))
        with self._lock:
            self._buckets[place] += 1
            self._seconds += seconds

    def count_items(self, reply: Any, is_batch: bool, is_list: bool) -> None:
        """The items of a reply, by what became of them; an item whose call failed is not among them.

        Args:
            reply: what the wrapper returned.
            is_batch: the call had ``$batch``, so the reply has a summary.
            is_list: the call was a list of items, so the reply is one of results.
        """
        if is_batch:
            counts = [reply["$summary"].get(outcome, 0) for outcome in OUTCOMES]
        elif is_list:
            failed = sum(isinstance(one, dict) and "$error" in one for one in reply)
            counts = [len(reply) - failed, failed, 0]
        else:
            counts = [1, 0, 0]  # whatever the result of a single item looks like
        with self._lock:
            for outcome, count in zip(OUTCOMES, counts):
                self._items[outcome] += count

    def text(self, gauges: Mapping[str, int]) -> str:
        """Everything, with what is so at present: ``ready``, ``running`` and ``waiting``."""
        with self._lock:
            lines = _family("responses_total", "counter", "Responses by status.")
            lines += [
                f'wrapper_responses_total{{code="{code}"}} {n}' for code, n in sorted(self._responses.items())
            ]
            lines += _family("items_total", "counter", "Items of calls that were answered, by outcome.")
            lines += [f'wrapper_items_total{{outcome="{name}"}} {n}' for name, n in self._items.items()]
            lines += _family("call_seconds", "histogram", "Seconds that a call took, without waiting.")
            total = 0
            for bound, count in zip([*map(str, BOUNDS), "+Inf"], self._buckets):
                total += count
                lines.append(f'wrapper_call_seconds_bucket{{le="{bound}"}} {total}')
            lines += [f"wrapper_call_seconds_sum {self._seconds:.6f}", f"wrapper_call_seconds_count {total}"]
        for name, help_text in _GAUGES.items():
            lines += [*_family(name, "gauge", help_text), f"wrapper_{name} {gauges[name]}"]
        return "\n".join(lines) + "\n"


def _family(name: str, kind: str, help_text: str) -> list[str]:
    return [f"# HELP wrapper_{name} {help_text}", f"# TYPE wrapper_{name} {kind}"]
