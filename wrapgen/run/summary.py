"""How a run stands and how it ended: numbers, names and exit codes. No I/O."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any


class EndState(Enum):
    """How a run ended; each has an exit code of its own."""

    OK = "ok"
    ERRORS = "finished-with-errors"
    BUDGET = "stopped-by-budget"
    INCOMPLETE = "incomplete"


EXIT_CODES = {EndState.OK: 0, EndState.ERRORS: 10, EndState.BUDGET: 11, EndState.INCOMPLETE: 12}
"""What the command exits with; BUDGET and INCOMPLETE can be resumed."""


@dataclass
class Counts:
    """What a session of a run did; items count in the run as a whole.

    Args:
        items: all of the run.
        succeeded, failed: items that are finished, earlier sessions included.
        calls: sends of chunks in this session.
        resent: items sent once more in this session.
        lost: sends that brought no outcomes.
        throttled: 429s, of the calls and of the wrapper's own.
        target_calls: calls of the target as the wrapper counts them.
    """

    items: int = 0
    succeeded: int = 0
    failed: int = 0
    calls: int = 0
    resent: int = 0
    lost: int = 0
    throttled: int = 0
    target_calls: int = 0

    @property
    def finished(self) -> int:
        """Items that have a final outcome."""
        return self.succeeded + self.failed


@dataclass(frozen=True)
class Wait:
    """What is waited for, in the platform's words, and the seconds after which waiting ends at the latest."""

    reason: str
    left: float

    def __str__(self) -> str:
        return f"waiting, {self.left:,.0f} s at most: {self.reason}"


@dataclass(frozen=True)
class Progress:
    """One moment of a run: its counts, calls open and allowed, the size of a chunk, what is waited for."""

    counts: Counts
    open: int
    concurrency: int
    chunk: int
    wait: Wait | None = None


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
