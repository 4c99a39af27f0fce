"""What a look at a run found, and the comparison of its outcomes with their records. Knows no ledger.

A check ends as ok, as faulty with what is wrong, or as not checked with the reason; never as ok unlooked-at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

OK, FAULTY, UNKNOWN = "ok", "faulty", "not checked"


_BLANK = "[redacted]"
"""What a wrapper records in place of what is not to be recorded."""

SAMPLES = 5
"""Faults of one kind that are told in full."""


@dataclass
class Check:
    """One thing that was looked at.

    Args:
        name: input, ledger, items, output, errors or records.
        state: ok, faulty or not checked.
        detail: what was found, or why it was not checked.
        faults: kind to how many.
        samples: some of the faults, each one sentence.
    """

    name: str
    state: str = OK
    detail: str = ""
    faults: dict[str, int] = field(default_factory=dict)
    samples: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether it was checked, and nothing was wrong."""
        return self.state == OK

    def fault(self, kind: str, what: str) -> None:
        """Notes a fault."""
        self.state = FAULTY
        self.faults[kind] = self.faults.get(kind, 0) + 1
        if self.faults[kind] <= SAMPLES:
            self.samples.append(f"{kind}: {what}")

    def unknown(self, reason: str) -> Check:
        """Says that it could not be checked."""
        self.state, self.detail = UNKNOWN, reason
        return self


class Records(Protocol):
    """A run's records, each key once; `wrapgen.records` makes it."""

    def get(self, run: str | None, key: str) -> dict[str, Any] | None:
        """The best record of one key."""

    def runs(self) -> dict[str | None, int]:
        """How many keys each run has."""


_EQUAL = "fewer than items: equal items were sent once"


class RecordComparison:
    """Compares the outcomes of a run with their records, one by one.

    Args:
        check: gets the faults.
        records: of the run.
        run: its id.
        target, spec: of the wrapper, as it described itself.
        unrecorded: why a failed item has no record, by its index and id; notes a fault where it should.

    Attributes:
        seen: outcomes that have a record.
        noted: how many are special, by what they are.
    """

    def __init__(
        self,
        check: Check,
        records: Records,
        run: str,
        target: str,
        spec: str,
        unrecorded: Callable[[int, str], str],
    ) -> None:
        self.seen = 0
        self.noted: Counter[str] = Counter()
        self._check = check
        self._records = records
        self._run = run
        self._target = target
        self._spec = spec.removeprefix("sha256:")[:12]
        self._unrecorded = unrecorded

    def compare(self, index: int, outcome: dict[str, Any], tries: int | None) -> None:
        """Compares one outcome with its record.

        Args:
            index: of the item.
            outcome: its `id`, and `result` or `error`.
            tries: the send that brought it; None where that is not known.
        """
        record, failed = self._records.get(self._run, outcome["id"]), "error" in outcome
        self.seen += record is not None
        if record is None and failed:
            self.noted[self._unrecorded(index, outcome["id"])] += 1
        elif record and failed and "result" in record and (tries is None or record["try"] > tries):
            self.noted["of failed items that were corrected since"] += 1  # by a run of this one's errors file
            return
        if _match(self._check, outcome, record, tries):
            self.noted["with redacted parts, which can't be checked"] += 1
        if record is not None:
            self._of_this_version(record)

    def equal(self, item: str) -> None:
        """Notes an item that was answered with an equal one's outcome, which need not be recorded."""
        found = self._records.get(self._run, item) is not None
        self.seen += found
        self.noted[_EQUAL] += not found

    def told(self) -> str:
        """What was noted, as the end of a sentence."""
        return "".join(f", {count:,} {what}" for what, count in self.noted.items() if count)

    def _of_this_version(self, record: dict[str, Any]) -> None:
        wrapper = str(record.get("wrapper") or "")
        if record.get("target") != self._target or not wrapper.endswith(self._spec):
            what = f"recorded by {wrapper} of {record.get('target')}"
            self._check.fault("other version", f"item {record['id']} was {what}")


def _match(check: Check, outcome: dict[str, Any], record: dict[str, Any] | None, tries: int | None) -> bool:
    """Notes in what a record differs from its outcome; returns whether parts of it are redacted."""
    name, succeeded = f"item {outcome['id']}", "error" not in outcome
    if record is None:
        if succeeded:
            check.fault("missing", f"{name} succeeded and has no record")
    elif succeeded and "result" not in record:
        check.fault("altered", f"{name} succeeded and is recorded as {record.get('error')}")
    elif succeeded:
        if not _same(record["result"], outcome["result"]):
            if _same(record["result"], _redacted(outcome["result"], record["result"])):
                return True
            check.fault("altered", f"{name} is recorded with another result")
    elif "result" in record:
        # The answer of that call was lost on its way, its record was not.
        check.fault("better", f"{name} failed here and is recorded with a result")
    elif record["try"] == tries and not _same_error(record["error"], outcome["error"]):
        check.fault("altered", f"{name} failed with {outcome['error']}, recorded is {record['error']}")
    return False


def _redacted(value: Any, recorded: Any) -> Any:
    """A result with blanks where its record has them, as the spec's `datastore.redact` makes them."""
    if recorded == _BLANK:
        return _BLANK
    if isinstance(value, dict) and isinstance(recorded, dict):
        return {name: _redacted(part, recorded.get(name)) for name, part in value.items()}
    if isinstance(value, list) and isinstance(recorded, list) and len(value) == len(recorded):
        return [_redacted(part, blanked) for part, blanked in zip(value, recorded, strict=True)]
    return value


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON; for Python 1 is True."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _same_error(recorded: Any, told: dict[str, Any]) -> bool:
    """Whether a record has the error of its own send; a run that gave up says why in words of its own."""
    gave_up = not told["retryable"] and isinstance(recorded, dict) and recorded.get("retryable") is True
    return gave_up or _same(recorded, told)
