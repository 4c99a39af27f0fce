"""The answer of a batch: results in the order of the items, kept under the size cap, and the summary.

What a body would weigh on the wire is counted as results come in; where they go when it is too much, or
when the caller named a place, is passed in.
"""

import heapq
import tempfile
from typing import Any  # noqa: F401 - for the type comments

from .protocol import BATCH, ITEM, Failure, dumps

COUNTS = ("items", "succeeded", "failed", "untried", "calls", "throttled", "duration_ms")
SLOWEST = 10  # items that the summary names as the slowest
RETRIED = 10_000  # items whose attempts it tells, so that it stays small
ENVELOPE = 512  # bytes that the ADK and the platform add around a reply


class Results:
    """Results by position: in memory while they fit a response, in a file on disk beyond that."""

    def __init__(self, cap, to_file):
        # type: (int, bool) -> None
        """``cap`` in bytes on the wire; ``to_file`` keeps them on disk from the start."""
        self._cap = cap - ENVELOPE
        self._size = 0
        self._kept = {}  # type: dict  # outcomes; start and length of each one's line once there is a file
        self._file = new_file() if to_file else None  # type: Any

    def put(self, position, outcome):
        # type: (int, Any) -> None
        """Keep an outcome; a later one for the same position replaces it."""
        if self._file is not None:
            self._kept[position] = self._write(outcome)
            return
        if position in self._kept:
            self._size -= len(self._kept[position].encoded) + 2
        self._kept[position] = outcome
        self._size += len(outcome.encoded) + 2
        if self._size > self._cap:
            self._spill()

    def values(self, places, around):
        # type: (list, int) -> list | None
        """The results at these positions, or None where they and so many bytes more do not fit a response."""
        if self._file is not None:
            return None
        outcomes = [self._kept[place] for place in places]
        if around + sum([len(outcome.encoded) + 2 for outcome in outcomes]) > self._cap:
            self._spill()
            return None
        return [outcome.wire for outcome in outcomes]

    def store(self, places, write):
        # type: (list, Any) -> str
        """Write the results at these positions, one JSON line each, where ``write(lines)`` takes them."""
        with self._file:
            return write(self._read(place) for place in places)

    def _read(self, place):
        start, length = self._kept[place]
        self._file.seek(start)
        return self._file.read(length) + b"\n"

    def _spill(self):
        self._file = new_file()
        for position, outcome in self._kept.items():
            self._kept[position] = self._write(outcome)

    def _write(self, outcome):
        self._file.seek(0, 2)
        start = self._file.tell()
        self._file.write(outcome.encoded.encode("ascii"))
        return start, len(outcome.encoded)


def new_file():
    # type: () -> Any
    """A file on disk that vanishes with the last reference to it."""
    return tempfile.TemporaryFile()


class Answer:
    """Keeps the outcomes of one call and writes the reply that its form asks for."""

    def __init__(self, request, items, cap, deadline):
        # type: (Any, Any, int, Any) -> None
        """``cap`` is the most bytes that a response may have."""
        self._request = request
        self._items = items
        self._deadline = deadline
        self._results = Results(cap, request.output is not None)
        self._bare = None  # type: Any
        self.failures = {}  # type: dict
        self._retried = {}  # type: dict
        self._seconds = {}  # type: dict
        self.summary = {}  # type: dict

    def put(self, item, outcome):
        # type: (Any, Any) -> None
        """Keep what became of an item; a later outcome of the same item replaces it."""
        self._results.put(item.position, outcome)
        self._bare = outcome.value
        self._seconds[item.position] = outcome.seconds
        self._retried.pop(item.position, None)
        if outcome.failure is None:
            self.failures.pop(item.position, None)
            if outcome.attempts > 1:
                self._retried[item.position] = outcome.attempts
        else:
            self.failures[item.position] = outcome.failure

    def idle(self):
        # type: () -> None
        """Nothing is waiting to be written."""

    def first_failure(self):
        # type: () -> Failure
        """The failure of the foremost item that was tried and failed, else of the foremost."""
        tried = {position: failure for position, failure in self.failures.items() if not failure.untried}
        return min((tried or self.failures).items())[1]

    def write(self, store, attempts, stopped):
        # type: (Any, Any, Failure | None) -> Any
        """The reply: the bare result for form 1, a list for form 2, results and summary for form 3.

        ``store(url, lines, deadline)`` puts results at a URL (None: a temporary place) and returns the full
        URL. Raises ``Failure`` of type TooLargeError when a bare result or a list does not fit.
        """
        repeats = self._items.repeats
        places = [repeats.get(position, position) for position in range(self._items.count)]
        summary = self._summary(places, attempts, stopped)
        results = self._results.values(places, len(dumps(summary)))  # type: list | str | None
        if results is None:
            output, deadline = self._request.output, self._deadline
            results = self._results.store(places, lambda lines: store(output, lines, deadline))
        if self._request.form == BATCH:
            return {"$results": results, "$summary": summary}
        if isinstance(results, str):
            raise too_large(results)
        return self._bare if self._request.form == ITEM else results

    def _summary(self, places, attempts, stopped):
        failures = list(filter(None, map(self.failures.get, places)))
        untried = sum(1 for failure in failures if failure.untried)
        slowest = heapq.nlargest(SLOWEST, zip(self._seconds.values(), self._seconds))
        summary = {
            "items": len(places),
            "succeeded": len(places) - len(failures),
            "failed": len(failures) - untried,
            "untried": untried,
            "calls": attempts.calls,
            "throttled": attempts.throttled,
            "stopped": stopped and {"type": stopped.error_type, "message": stopped.message},
            "duration_ms": int((self._deadline.clock() - self._deadline.start) * 1000),
            "retried": sorted(map(list, self._retried.items()))[:RETRIED],
            "slowest": [[place, int(seconds * 1000)] for seconds, place in slowest if seconds],
        }
        return dict(summary, **self.summary)


def describe(facts, limits):
    # type: (dict, dict) -> dict
    """The answer to ``{"$batch": []}``: nothing was done, and this is who did it."""
    summary = dict(dict.fromkeys(COUNTS, 0), stopped=None, wrapper=dict(facts, limits=limits))
    return {"$results": [], "$summary": dict(summary, recorded=0) if facts["datastore"] else summary}


def too_large(url):
    # type: (str) -> Failure
    """The error for an answer that only fits a file."""
    return Failure(
        "TooLargeError",
        'the results are too large for a response; they are at {}. Call with {{"$batch": [...]}} to get '
        "such a URL as the answer, or fewer items".format(url),
    )
