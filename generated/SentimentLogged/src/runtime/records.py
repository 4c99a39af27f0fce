"""Records: one JSON object per item, written in parts by a thread of its own while work goes on.

Here live what a record says, its key and rank, and writing so that one refused record costs no other and a
datastore that is unavailable for a moment costs nothing. How records are stored is a datastore's own module.
"""

from __future__ import annotations

import collections
import functools
import threading
import time
from typing import Any

from .answer import Answer
from .deadline import TimeUp
from .items import Item, Outcome, digest
from .protocol import Failure, dumps, to_wire

PART_SECONDS, PART_RECORDS, PART_BYTES = 60.0, 1000, 8_000_000
MAX_PARTS = 2  # that may wait to be written before no new work starts
RESULT, FINAL_ERROR, RETRYABLE_ERROR = 2, 1, 0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0
IGNORED_SECONDS = 5.0  # to wait for a datastore whose failure the spec ignores


class Refused(Exception):
    """A datastore does not take ``records``, and has stored the others; none where it does not know which."""

    def __init__(self, message: str, records: list[Record] | None = None) -> None:
        super().__init__(message)
        self.records = records or []


class Unavailable(Exception):
    """A datastore can't be written to now, whatever the records; ``lasting`` if waiting won't help."""

    def __init__(self, message: str, lasting: bool = False) -> None:
        super().__init__(message)
        self.lasting = lasting


class Record:
    """One record: its fields, its JSON line, and its rank: result, final error, retryable error."""

    __slots__ = ("fields", "item", "line", "outcome", "rank")

    def __init__(
        self, fields: dict[str, Any], item: Item | None = None, outcome: Outcome | None = None
    ) -> None:
        self.fields = fields
        self.item = item
        self.outcome = outcome
        self.line = dumps(fields)
        error = fields.get("error")
        self.rank = RESULT if error is None else RETRYABLE_ERROR if error["retryable"] else FINAL_ERROR

    @property
    def key(self) -> tuple[str | None, str]:
        """What a record is known by."""
        return self.fields["run"], self.fields["id"]


class Recorder(Answer):
    """An answer whose items are recorded too."""

    def open(self, datastore: Any, settings: dict[str, Any], change: threading.Condition) -> None:
        """``settings`` says what is recorded; ``change`` is the lock of the call."""
        self.settings = settings
        self.ignores_datastore = settings["on_failure"] == "ignore"
        self._is_down = False
        for_call = getattr(datastore, "for_call", None)
        self._datastore = for_call(self.deadline, self.counts) if for_call else datastore
        self._change = change
        self._buffer: list[Record] = []
        self._bytes = self._part = 0
        self._since = 0.0
        self._parts: collections.deque[list[Record]] = collections.deque()
        self._writer: threading.Thread | None = None
        self._error: Exception | None = None
        self._refused: list[tuple[Item, Outcome]] = []
        self.counts.update(recorded=0, refused=0, unrecorded=0)

    def prepare(self, item: Item, outcome: Outcome) -> Record | None:
        """The record of an item; not being tried is nobody's outcome."""
        if not item.recordable or (outcome.failure is not None and outcome.failure.untried):
            return None
        try:
            return self._record(item, outcome, self.settings["input"])
        except ValueError as error:  # JSON can't say it, which is not to cost the batch
            if outcome.failure is None:
                failure = record_error(outcome, f"the record can't be written as JSON: {error}")
                outcome = Outcome.of_failure(failure, outcome.started_at, outcome.seconds)
            return self._record(item, outcome, "drop")

    def put(self, item: Item, outcome: Outcome, prepared: Record | None = None) -> None:
        """Keep and record what became of an item."""
        if prepared is None or prepared.outcome is None:
            super().put(item, outcome)
            return
        super().put(item, prepared.outcome)
        if self._request.trial:  # as a test of a build: nothing of it stays in the datastore
            return
        if self._buffer and self._bytes + len(prepared.line) > PART_BYTES:
            self._hand_over()
        self._since = self._since if self._buffer else self.deadline.clock()
        self._buffer.append(prepared)
        self._bytes += len(prepared.line) + 1
        if len(self._buffer) >= PART_RECORDS:
            self._hand_over()

    def has_room(self) -> bool:
        """A datastore that is slow slows down new work, never a finished answer."""
        return len(self._parts) < MAX_PARTS

    def tick(self) -> None:
        """Write the part that has waited long enough."""
        if self._error is not None:
            raise self._error
        if self._buffer and self.deadline.clock() - self._since >= PART_SECONDS:
            self._hand_over()

    def finish(self) -> None:
        """Write the rest, and wait for it. Raises ``Failure`` of type DatastoreError."""
        with self._change:
            self._hand_over()
            patience = max(1.0, self.deadline.left_to_answer())
            if self.ignores_datastore:
                patience = min(patience, IGNORED_SECONDS)
            self._change.wait_for(lambda: not self._parts or self._error, patience)
            if self._parts and self._error is None:
                count = sum(map(len, self._parts))
                self._fail(TimeUp(f"no answer within the {patience:.0f} s there were"), count)
            for item, outcome in self._refused:
                super().put(item, outcome)
        if self._error is not None:
            raise self._error

    def _hand_over(self) -> None:
        if self._buffer:
            self._parts.append(self._buffer)
            self._buffer, self._bytes = [], 0
            if self._writer is None:
                self._writer = threading.Thread(target=self._write_parts, daemon=True)
                try:
                    self._writer.start()
                except RuntimeError:  # the system starts no more threads
                    self._write_parts()
            self._change.notify_all()

    def payload(self, value: Any) -> Any:
        """What is recorded of an item or a result."""
        return value

    def message(self, _item: Item, message: str) -> str:
        """What is recorded of an error's message."""
        return message

    def _record(self, item: Item, outcome: Outcome, policy: str) -> Record:
        fields: dict[str, Any] = {"run": self.items.run, "id": item.id, "index": item.index}
        fields["try"] = self.items.try_number
        if policy == "keep":
            fields["input"] = to_wire(self.payload(item.value))
        elif policy == "hash":
            fields["input"] = {"$sha256": digest(to_wire(self.payload(item.value)))}
        if outcome.failure is None:
            fields["result"] = to_wire(self.payload(outcome.value))
        else:
            fields["error"] = self._error_of(item, outcome.failure)
        fields["target"], fields["wrapper"] = self.settings["target"], self.settings["wrapper"]
        fields["started_at"] = timestamp(outcome.started_at or time.time())
        fields["duration_ms"], fields["attempts"] = int(outcome.seconds * 1000), outcome.attempts
        return Record(fields, item, outcome)

    def _error_of(self, item: Item, failure: Failure) -> dict[str, Any]:
        return dict(failure.facts(), message=self.message(item, failure.message))

    def _write_parts(self) -> None:
        """What the writing thread does: write every part that waits, then end."""
        while True:
            with self._change:
                if not self._parts or self._error is not None:
                    self._writer = None
                    return
            try:
                self._write(self._parts[0])
            except Exception as error:  # not even a driver's own fault may leave the caller waiting
                self._fail(error, len(self._parts[0]))
            with self._change:
                self._parts.popleft()
                self._change.notify_all()

    def _fail(self, error: Exception, count: int) -> None:
        """Records can't be written: the call fails, unless the spec says to go on without them."""
        if self.ignores_datastore:
            self.counts["unrecorded"] += count
            self.counts["datastore_error"] = str(error)
            self._is_down = True
        elif isinstance(error, Failure):
            self._error = error
        else:
            self._error = Failure("DatastoreError", f"records can't be written: {error}", True)

    def _write(self, records: list[Record]) -> None:
        try:
            self._write_with_retry(records)
            self.counts["recorded"] += len(records)
        except Refused as refused:
            if self.deadline.left_to_answer() <= 0:  # finding the records at fault may take many writes
                message = f"time ran out over records that were refused: {refused}"
                raise Failure("DatastoreError", message, True) from None
            at_fault = records if len(records) == 1 else refused.records
            if not at_fault:
                half = len(records) // 2
                self._write(records[:half])
                self._write(records[half:])
            self.counts["recorded"] += len(records) - len(at_fault) if at_fault else 0
            for record in at_fault:
                self._replace_with_record_error(record, refused)

    def _write_with_retry(self, records: list[Record]) -> None:
        """Write one part, again while the datastore is unavailable and there is time."""
        self._part += 1
        part, pause, until = self._part, FIRST_PAUSE, 0.0
        while True:
            try:
                return self._datastore.write(records, part)
            except Unavailable as error:
                patience = IGNORED_SECONDS if self.ignores_datastore else self.deadline.left_to_record()
                until = until or self.deadline.clock() + patience
                if error.lasting or self._is_down or self.deadline.clock() + pause > until:
                    raise Failure("DatastoreError", f"records can't be written: {error}", True) from None
                time.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _replace_with_record_error(self, record: Record, refused: Refused) -> None:
        """The item becomes a final RecordError, recorded without its payload."""
        item, outcome = record.item, record.outcome
        if item is None or outcome is None or "RecordError" in (record.fields.get("error") or {}).values():
            return
        failure = record_error(outcome, f"the datastore refused the record: {refused}")
        replaced = Outcome.of_failure(failure, outcome.started_at, outcome.seconds)
        self._refused.append((item, replaced))
        self.counts["refused"] += 1
        fields = {key: value for key, value in record.fields.items() if key not in ("input", "result")}
        fields["error"] = self._error_of(item, failure)
        self._write([Record(fields, item, replaced)])


def record_error(outcome: Outcome, message: str) -> Failure:
    """The final RecordError that an item has instead of its outcome."""
    return Failure("RecordError", message, False, outcome.attempts)


def timestamp(seconds: float) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}Z"


@functools.lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
