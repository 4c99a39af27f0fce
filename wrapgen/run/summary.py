"""How a run ended: numbers, names and exit codes. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from wrapgen.run.scheduling.progress import Counts


class EndState(Enum):
    """How a run ended; each has an exit code of its own."""

    OK = "ok"
    ERRORS = "finished-with-errors"
    BUDGET = "stopped-by-budget"
    INCOMPLETE = "incomplete"


EXIT_CODES = {EndState.OK: 0, EndState.ERRORS: 10, EndState.BUDGET: 11, EndState.INCOMPLETE: 12}
"""What the command exits with; BUDGET and INCOMPLETE can be resumed."""


@dataclass(frozen=True)
class Summary:
    """The end of a session.

    Args:
        run: the run's id.
        reference: the exact version that was called.
        state: how it ended.
        reason: why it stopped early, or empty.
        counts: what was done.
        seconds: how long this session took.
        output: the output file, or None while there is none.
        errors: the file of failed items, or None.
        folder: where the ledger lives.
        receipt: the file that says what was done, or None where it could not be written.
        report: path and facts of its report, or None where none was asked for or could be written.
        already: items that earlier sessions had finished.
        unrecorded: failed items without a record, because the wrapper gave no answer for them.
        unrecorded_why: why they could not be recorded without.
        damage: what of the run's files was damaged, and is made again; empty for nothing.
    """

    run: str
    reference: str
    state: EndState
    reason: str
    counts: Counts
    seconds: float
    output: str | None
    errors: str | None
    folder: str
    report: dict[str, Any] | None = None
    receipt: str | None = None
    already: int = 0
    damage: str = ""
    unrecorded: int = 0
    unrecorded_why: str = ""

    @property
    def rate(self) -> float:
        """Items that this session finished, per second."""
        return (self.counts.finished - self.already) / self.seconds if self.seconds else 0.0

    @property
    def target(self) -> dict[str, Any] | None:
        """What wrappers said of their calls of the target, over the whole run; None without a report."""
        return self.report["target"] if self.report else None

    @property
    def failed_by_type(self) -> dict[str, int] | None:
        """How many items of the run failed for good, by type of their error; None without a report."""
        return {one["type"]: one["count"] for one in self.report["errors"]} if self.report else None

    @property
    def exit_code(self) -> int:
        """What the command exits with."""
        return EXIT_CODES[self.state]

    def as_json(self) -> dict[str, Any]:
        """Every number and name, as `--json` prints it; of the report, where it is."""
        found = asdict(self)
        counts = found.pop("counts")
        found["state"] = self.state.value
        found["report"] = {"path": self.report["path"]} if self.report else None
        found["target"] = self.target
        found["failed_by_type"] = self.failed_by_type
        found["seconds"] = round(self.seconds, 3)
        open_items = self.counts.items - self.counts.finished
        return {**found, **counts, "open": open_items, "exit_code": self.exit_code}
