"""The seam between a run and where its outcomes go. `memory` is its simplest form."""

from __future__ import annotations

from typing import Protocol

from wrapgen.run.output.layouts import LaidOut


class Sink(Protocol):
    """Takes the outcomes of a finished run. Made before the run, so that what it lacks is told in time."""

    def write(self, outcomes: LaidOut) -> None:
        """Writes every outcome in run order, whole or not at all, in constant memory.

        Raises:
            RunError: the input can't be joined with the outcomes.
            OSError: it can't be written.
        """
