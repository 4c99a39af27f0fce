"""Outcomes kept as lines in memory: for tests, and as a pattern for other sinks."""

from __future__ import annotations

from wrapgen.run.output.layouts import LaidOut


class MemorySink:
    """Lines of JSON.

    Attributes:
        lines: of every outcome; none before they are all there.
    """

    def __init__(self) -> None:
        self.lines: list[bytes] = []

    def write(self, outcomes: LaidOut) -> None:
        """Replaces the lines; see `Sink`."""
        self.lines = b"".join(outcomes.lines()).splitlines(keepends=True)
