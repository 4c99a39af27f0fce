"""Recording that breaks no service: what can't be recorded is counted, and the answer goes out."""

from __future__ import annotations

from . import records

SECONDS = 5.0  # to wait for a datastore


class Recorder(records.Recorder):
    """Records like any other, but a datastore that is unavailable only costs the records."""

    _is_down = False

    def patience(self, seconds: float) -> float:
        """Once the datastore was down, what it is asked in this call is asked once."""
        return 0.0 if self._is_down else min(seconds, SECONDS)

    def fail(self, error: Exception, count: int) -> None:
        """So many records can't be written."""
        self._is_down = True
        self.counts["unrecorded"] += count
        self.counts["datastore_error"] = str(error)
