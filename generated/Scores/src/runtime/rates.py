"""Requests and tokens per minute, and the money that one call of the wrapper may spend."""

from __future__ import annotations

import threading
import time
from typing import Any, Callable

BURST = 1.0  # seconds of a rate that may be used at once after a pause


class Rates:
    """What all calls of this process share; the runner may grant a call less than the spec allows."""

    def __init__(self, limits: dict[str, Any], clock: Callable[[], float] = time.monotonic) -> None:
        """``limits`` are ``rpm`` and ``tpm``, each None without one."""
        self._limits = limits
        self._clock = clock
        self._lock = threading.Lock()
        self._levels: dict[str, float] = {}  # what is left of each rate
        self._filled = clock()
        self._average = 0.0  # tokens of a request
        self._reserved = threading.local()  # the tokens that the request of a thread was counted with

    def wait(self, grant: dict[str, Any]) -> float:
        """Seconds until a request may start; at 0 it counts as started, with the tokens of an average one."""
        rates = {name: _least(self._limits.get(name), grant.get(name)) for name in ("rpm", "tpm")}
        with self._lock:
            now = self._clock()
            passed, self._filled = now - self._filled, now
            pauses = [self._pause(name, rate, passed) for name, rate in rates.items() if rate is not None]
            pause = max(pauses, default=0.0)
            if pause <= 0:
                self._reserved.tokens = self._average
                for name, used in (("rpm", 1.0), ("tpm", self._average)):
                    self._levels[name] = self._levels.get(name, 0.0) - used
            return pause

    def _pause(self, name: str, rate: float, passed: float) -> float:
        most = max(1.0, rate * BURST / 60)
        level = min(most, self._levels.get(name, most) + passed * rate / 60)
        self._levels[name] = level
        missing = (1.0 if name == "rpm" else 0.0) - level
        return missing * 60 / rate if missing > 1e-9 else 0.0

    def settle(self, tokens: int) -> None:
        """Count the tokens that the request which this thread started really took."""
        with self._lock:
            self._levels["tpm"] = self._levels.get("tpm", 0.0) - tokens + self._reserved.tokens
            self._average = 0.8 * self._average + 0.2 * tokens if self._average else float(tokens)


def _least(limit: Any, granted: Any) -> Any:
    both = [one for one in (limit, granted) if one is not None]
    return min(both) if both else None
