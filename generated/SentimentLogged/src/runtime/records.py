"""Records: one JSON object per item, written in parts by a thread of its own while work goes on.

Here live what a record says, its key and rank, and writing so that one refused record costs no other and a
datastore that is unavailable for a moment costs nothing. How records are stored is a datastore's own module.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import threading
import time
from typing import Any

from .items import Item, Outcome
from .keys import KeyedItems, digest
from .protocol import Failure, dumps, to_wire

PART_SECONDS, PART_RECORDS, PART_BYTES = 60.0, 1000, 8_000_000
MAX_PARTS = 2  # that may wait to be written before no new work starts
RESULT, FINAL_ERROR, RETRYABLE_ERROR = 2, 1, 0


class Refused(Exception):
    """A datastore does not take ``records``, and has stored the others; none where it does not know which."""

    def __init__(self, message: str, records: list[Record] | None = None) -> None:
        super().__init__(message)
        self.records = records or []


class Record:
    """One record: its fields, its JSON line, and its rank: result, final error, retryable error."""

    refusals = 0  # of the records that it is in place of

    def __init__(
        self, fields: dict[str, Any], item: Any = None, outcome: Any = None, line: str = "", texts: Any = None
    ) -> None:
        """``line`` says the same as ``fields``, ``texts`` the same as the payloads among them, as JSON.

        Raises ``ValueError`` for what has no JSON.
        """
        self.fields = fields
        self.texts: dict[str, str] = texts or {}
        self.item = item
        self.outcome = outcome
        self.line = line or dumps(fields)
        error = fields.get("error")
        self.rank = RESULT if error is None else RETRYABLE_ERROR if error["retryable"] else FINAL_ERROR

    @property
    def key(self) -> tuple[str | None, str]:
        """What a record is known by."""
        return self.fields["run"], self.fields["id"]


class Recorder:
    """Records the items of one call."""

    items = KeyedItems

    def __init__(self, datastore: Any, settings: dict[str, Any], items: KeyedItems, deadline: Any) -> None:
        """``settings`` says what is recorded."""
        self.change = threading.Condition()  # the lock of the call
        self.counts: dict[str, Any] = {"recorded": 0, "refused": 0, "unrecorded": 0}
        self.settings = settings
        self.deadline = deadline
        for_call = getattr(datastore, "for_call", None)
        self._datastore = for_call(deadline, self.counts) if for_call else datastore
        self._items = items
        self._head = f'{{"run": {dumps(items.run)}, "id": '
        self._tail = ", " + dumps({name: settings[name] for name in ("target", "wrapper")})[1:-1]
        self._buffer: list[Record] = []
        self._bytes = self._part = 0
        self._since = 0.0  # when the first record in the buffer came
        self._parts: collections.deque[list[Record]] = collections.deque()  # the first is being written
        self._error: Exception | None = None

    def prepare(self, item: Item, outcome: Outcome) -> Outcome:
        """The outcome with its record; an item that was not tried has none."""
        if not item.recordable or (outcome.failure is not None and outcome.failure.untried):
            return outcome
        try:
            outcome.record = self._record(item, outcome, self.settings["input"])
        except (ValueError, RecursionError) as error:  # JSON can't say it, which is not to cost the batch
            if outcome.failure is None:
                message = f"the record can't be written as JSON: {error}"
                outcome = outcome.replaced(Failure("RecordError", message))
            outcome.record = self._record(item, outcome, "drop")
        return outcome

    def add(self, record: Record | None) -> None:
        """Have a record written, with others."""
        if record is None or self._items.request.trial:  # of a test of a build nothing stays in the datastore
            return
        if self._buffer and self._bytes + len(record.line) > PART_BYTES:
            self._hand_over()
        self._since = self._since if self._buffer else self.deadline.clock()
        self._buffer.append(record)
        self._bytes += len(record.line) + 1
        if len(self._buffer) >= PART_RECORDS:
            self._hand_over()

    def has_room(self) -> bool:
        """A datastore that is slow slows down new work, never a finished answer."""
        return len(self._parts) < MAX_PARTS

    def tick(self) -> bool:
        """Write the part that has waited long enough; False once nothing can be written any more."""
        if self._buffer and self.deadline.clock() - self._since >= PART_SECONDS:
            self._hand_over()
        return self._error is None

    def finish(self) -> None:
        """Write the rest. Raises ``Failure`` if that can't be done."""
        with self.change:
            if self._buffer:
                self._hand_over()
            patience = self.patience(max(1.0, self.deadline.left_to_answer()))
            self.change.wait_for(lambda: not self._parts or self._error, patience)
            if self._parts and self._error is None:
                late = f"records can't be written: no answer within the {patience:.0f} s there were"
                self.fail(Failure("DatastoreError", late, True), sum(map(len, self._parts)))
        if self._error is not None:
            raise self._error

    def patience(self, seconds: float) -> float:
        """How long to wait for the datastore, of the seconds that there are."""
        return seconds

    def fail(self, error: Exception, _count: int) -> None:
        """So many records can't be written: the call fails."""
        self._error = error

    def _record(self, item: Item, outcome: Outcome, policy: str) -> Record:
        """The record, as fields and as a line; what was encoded for a call or an answer is used again."""
        value, result, redaction = item.value, outcome.value, self.settings.get("redaction")
        error = outcome.failure and outcome.failure.facts()
        if redaction:
            value, result = redaction.payload(value), redaction.payload(result)
            error = error and dict(error, message=redaction.message(item, outcome.failure))
        number, attempts, ms = self._items.request.try_number, outcome.attempts, int(outcome.seconds * 1000)
        fields: dict[str, Any] = {"run": self._items.run, "id": item.id, "index": item.index, "try": number}
        line, texts = f'{self._head}{dumps(item.id)}, "index": {item.index}, "try": {number}', {}
        if policy != "drop":
            wire = to_wire(value)
            fields["input"] = wire if policy == "keep" else {"$sha256": digest(wire)}
            text = item.encoded if wire is item.value and policy == "keep" else ""
            texts["input"] = text = text or dumps(fields["input"])
            line += f', "input": {text}'
        if error:
            fields["error"] = error
            texts["error"] = text = dumps(error)
            line += f', "error": {text}'
        else:
            is_whole = result is outcome.value
            fields["result"] = outcome.wire if is_whole else to_wire(result)
            texts["result"] = text = outcome.encoded() if is_whole else dumps(fields["result"])
            line += f', "result": {text}'
        fields["target"], fields["wrapper"] = self.settings["target"], self.settings["wrapper"]
        moment = outcome.started_at or time.time()
        fields["started_at"] = started = f"{_second(int(moment))}.{int(moment % 1 * 1000):03d}Z"
        fields["duration_ms"], fields["attempts"] = ms, attempts
        if item.version:
            fields["version"] = item.version
            line += f', "version": {dumps(item.version)}'
        line += f'{self._tail}, "started_at": "{started}", "duration_ms": {ms}, "attempts": {attempts}}}'
        return Record(fields, item, outcome, line, texts)

    def _hand_over(self) -> None:
        """Have the buffer written, by a thread that ends when no part waits."""
        self._parts.append(self._buffer)
        self._buffer, self._bytes = [], 0
        if len(self._parts) == 1:
            try:
                threading.Thread(target=self._write_parts, daemon=True).start()
            except RuntimeError:  # the system starts no more threads
                self._write_parts()

    def _write_parts(self) -> None:
        with self.change:
            part = self._parts[0]
        while part:
            failure = None
            try:
                self._write(part)
            except Exception as error:  # not even a driver's own fault may leave the caller waiting
                failure = Failure("DatastoreError", f"records can't be written: {error}", True)
            with self.change:
                if failure is not None:
                    self.fail(failure, len(part))
                self._parts.popleft()
                self.change.notify_all()
                part = self._parts[0] if self._parts and self._error is None else []

    def _write(self, records: list[Record]) -> None:
        """Write one part, halved until the records that are refused are found."""
        self._part += 1
        part, seconds = self._part, self.patience(0.9 * self.deadline.left_to_answer())
        try:
            self.deadline.retry(lambda: self._datastore.write(records, part), seconds)
            self.counts["recorded"] += len(records)
        except Refused as refused:
            if self.deadline.left_to_answer() <= 0:  # finding them may take many writes
                late = f"time ran out over records that were refused: {refused}"
                raise Failure("DatastoreError", late, True) from None
            if len(records) > 1 and not refused.records:
                half = len(records) // 2
                self._write(records[:half])
                self._write(records[half:])
                return
            bad = refused.records or records
            self.counts["recorded"] += len(records) - len(bad)
            for record in bad:
                self._replace_with_record_error(record, refused)

    def _replace_with_record_error(self, record: Record, refused: Refused) -> None:
        """The item becomes a final RecordError, recorded without its payload, at last without the reason."""
        if record.item is None:
            return
        if record.refusals == 2:
            self.counts["unrecorded"] += 1
            return
        self.counts["refused"] += record.refusals == 0
        message = "the datastore refused the record" + (f": {refused}" if record.refusals == 0 else "")
        record.item.outcome = outcome = record.outcome.replaced(Failure("RecordError", message))
        instead = self._record(record.item, outcome, "drop")
        instead.refusals = record.refusals + 1
        self._write([instead])


def object_name(records: list[Record], part: int) -> str:
    """A file's name for a part; sorts by run and index. A write repeated replaces itself, and no other."""
    fields = records[0].fields
    content = dumps([fields["run"], [[record.fields["id"], record.rank] for record in records]])
    run = "none" if fields["run"] is None else fields["run"]
    index = min(record.fields["index"] for record in records)
    name = hashlib.sha256(content.encode("ascii")).hexdigest()[:12]
    return f"{run}-{index:012d}-{name}-t{fields['try']}-p{part}.jsonl"


@functools.lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
