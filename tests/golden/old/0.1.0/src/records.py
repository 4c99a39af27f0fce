"""Records: one JSON object per item, written in pieces while the work goes on.

Here live what a record says, its key and rank, and writing pieces so that one refused record costs no other
and a datastore that is away for a moment costs nothing. How a datastore stores them is its own module's.
"""

import functools
import threading
import time
from typing import Any  # noqa: F401 - for the type comments

from .deadline import TimeUp, within
from .items import Outcome, content_id
from .protocol import Failure, dumps, to_wire

PIECE_SECONDS, PIECE_RECORDS, PIECE_BYTES = 60.0, 1000, 8_000_000
RESULT, FINAL_ERROR, RETRYABLE_ERROR = 2, 1, 0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0


class Refused(Exception):
    """A datastore does not take these records; at least one of them is at fault.

    Where the datastore knows which, they are ``records``, and it has stored all others.
    """

    def __init__(self, message, records=()):
        # type: (str, list | tuple) -> None
        super().__init__(message)
        self.records = records


class Unavailable(Exception):
    """A datastore can't be written to now, whatever the records; ``lasting`` if waiting won't help."""

    def __init__(self, message, lasting=False):
        # type: (str, bool) -> None
        super().__init__(message)
        self.lasting = lasting


class Record:
    """One record: its fields, its JSON line, and its rank: result, final error, retryable error."""

    __slots__ = ("fields", "line", "position", "rank")

    def __init__(self, fields, position):
        # type: (dict, int) -> None
        self.fields = fields
        self.position = position
        self.line = dumps(fields)
        error = fields.get("error")
        self.rank = RESULT if error is None else RETRYABLE_ERROR if error["retryable"] else FINAL_ERROR

    @property
    def key(self):
        # type: () -> tuple
        """What a record is known by."""
        return self.fields["run"], self.fields["id"]


def best_of_each(records):
    # type: (list) -> list
    """Each key once: the record of the highest rank, then of the higher try, then the earlier."""
    best = {}  # type: dict
    for record in records:
        known = best.get(record.key)
        if known is None or (record.rank, record.fields["try"]) > (known.rank, known.fields["try"]):
            best[record.key] = record
    return list(best.values())


class Recorder:
    """Buffers the records of one call and writes them in pieces."""

    def __init__(self, datastore, items, settings, deadline, answer):
        # type: (Any, Any, dict, Any, Any) -> None
        """``settings`` says target and wrapper, and what is kept of an input.

        Outcomes go on to the ``answer``, which also hears of items whose record was refused.
        """
        self._datastore = datastore
        self._items = items
        self.settings = settings
        self._deadline = deadline
        self._answer = answer
        self._answer.summary["recorded"] = 0
        self._settled = {}  # type: dict
        self._buffer = []  # type: list
        self._bytes = 0
        self._piece = 0
        self._since = deadline.clock()

    def put(self, item, outcome):
        # type: (Any, Outcome) -> None
        """Keep and record what became of an item; not being tried is nobody's outcome."""
        self._answer.put(item, outcome)
        if not item.recordable or (outcome.failure is not None and outcome.failure.untried):
            return
        try:
            record = self._record(item, outcome)
        except ValueError as error:  # JSON can't say it, which is not to cost the batch
            outcome = self._unrecordable(item, outcome, error)
            record = self._record(item, outcome, bare=True)
        if self._buffer and self._bytes + len(record.line) > PIECE_BYTES:
            self.flush()
        if not self._buffer:
            self._since = self._deadline.clock()
        self._buffer.append(record)
        self._settled[item.position] = (item, outcome)
        self._bytes += len(record.line) + 1
        if len(self._buffer) >= PIECE_RECORDS:
            self.flush()

    def flush_if_due(self):
        # type: () -> None
        """Write the piece that has waited long enough."""
        if self._buffer and self._deadline.clock() - self._since >= PIECE_SECONDS:
            self.flush()

    def flush(self):
        # type: () -> None
        """Write what is buffered. Raises ``Failure`` of type DatastoreError when the datastore stays away."""
        records, self._buffer, self._bytes = self._buffer, [], 0
        if records:
            self._write(records)
            self._settled.clear()

    def payload(self, value):
        # type: (Any) -> Any
        """What is recorded of an item or a result."""
        return value

    def _unrecordable(self, item, outcome, error):
        """A result becomes a final RecordError, a failure stays what it was."""
        if outcome.failure is not None:
            return outcome
        return self._without_record(item, outcome, "the record can't be written as JSON: {}".format(error))

    def _without_record(self, item, outcome, words):
        """The final RecordError that an item has instead of its outcome, which the answer hears of."""
        failure = Failure("RecordError", words, False, outcome.attempts)
        replaced = Outcome.of_failure(failure, outcome.started_at, outcome.seconds)
        self._answer.put(item, replaced)
        return replaced

    def _record(self, item, outcome, bare=False):
        """What is recorded of an item; ``bare`` leaves the input out."""
        policy = "drop" if bare else self.settings["input"]
        fields = {"run": self._items.run, "id": item.id, "index": item.index, "try": self._items.send}
        if policy == "keep":
            fields["input"] = to_wire(self.payload(item.value))
        elif policy == "hash":
            fields["input"] = {"$sha256": content_id(item.value)}
        if outcome.failure is None:
            fields["result"] = to_wire(self.payload(outcome.value))
        else:
            fields["error"] = error_field(outcome.failure)
        fields["target"] = self.settings["target"]
        fields["wrapper"] = self.settings["wrapper"]
        fields["started_at"] = timestamp(outcome.started_at)
        fields["duration_ms"] = int(outcome.seconds * 1000)
        fields["attempts"] = outcome.attempts
        return Record(fields, item.position)

    def _write(self, records):
        try:
            self._insist(records)
            self._answer.summary["recorded"] += len(records)
        except Refused as refused:
            if refused.records:
                self._answer.summary["recorded"] += len(records) - len(refused.records)
                for record in refused.records:
                    self._check_time(refused)
                    self._give_up(record, refused)
            elif len(records) == 1:
                self._give_up(records[0], refused)
            else:
                self._check_time(refused)
                half = len(records) // 2
                self._write(records[:half])
                self._write(records[half:])

    def _check_time(self, refused):
        """Finding out which records are refused may take many writes, and ends with the call's time."""
        if self._deadline.left_for_records() <= 0:
            words = "time ran out over records that were refused: {}".format(refused)
            raise Failure("DatastoreError", words, True)

    def _insist(self, records):
        """Write one piece, again while the datastore is away, for as long as the margin allows."""
        self._piece += 1
        piece, pause = self._piece, FIRST_PAUSE
        until = None
        while True:
            try:
                return within(self._deadline.left_for_write(), self._datastore.write, records, piece)
            except (Unavailable, TimeUp) as error:  # what is still written then is right, and is sent again
                until = until or self._deadline.clock() + self._deadline.left_for_records()
                lasting = isinstance(error, TimeUp) or error.lasting
                if lasting or self._deadline.clock() + pause > until:
                    words = "records can't be written: {}".format(error)
                    raise Failure("DatastoreError", words, True) from None
                threading.Event().wait(pause)
                pause = min(LONGEST_PAUSE, pause * 2)

    def _give_up(self, record, refused):
        """The item becomes a final RecordError, recorded without its payload."""
        item, outcome = self._settled[record.position]
        if outcome.failure is not None and outcome.failure.error_type == "RecordError":
            return
        words = "the datastore refused the record: {}".format(refused)
        replaced = self._without_record(item, outcome, words)
        self._settled[record.position] = (item, replaced)
        fields = {key: value for key, value in record.fields.items() if key not in ("input", "result")}
        fields["error"] = error_field(replaced.failure)
        self._write([Record(fields, record.position)])


def error_field(failure):
    # type: (Failure) -> dict
    """A failure as a record says it."""
    return {"type": failure.error_type, "message": failure.message, "retryable": failure.retryable}


def timestamp(seconds):
    # type: (float) -> str
    """ISO 8601 in UTC with milliseconds."""
    return "{}.{:03d}Z".format(_second(int(seconds)), int(seconds % 1 * 1000))


@functools.lru_cache(maxsize=8)
def _second(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
