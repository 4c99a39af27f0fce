"""The answer of a call: results in the order of the items, kept under the size cap, and the summary."""

from __future__ import annotations

import collections
import heapq
import tempfile
from typing import IO, Any, Callable, Iterator

from .calls import Calls
from .deadline import Deadline
from .items import Item, Items, Outcome
from .protocol import BATCH, ITEM, Failure, Request, dumps

SLOWEST = 10  # items that the summary names as the slowest
RETRIED = 10_000  # items whose attempts it tells, so that it stays small
ENVELOPE = 512  # bytes that the ADK and the platform add around a reply


class Answer:
    """Keeps the outcomes of one call, in memory while they fit a response, and on disk beyond that."""

    def __init__(self, request: Request, items: Items, cap: int, deadline: Deadline) -> None:
        """``cap`` is the most bytes that a response may have."""
        self.items = items
        self.deadline = deadline
        self.failures: dict[int, tuple[Item, Outcome]] = {}
        self.raises = False  # whether the first failure ends the call
        self.counts: dict[str, Any] = {}  # what else the summary tells
        self._request = request
        self._room = cap - ENVELOPE
        self._kept: dict[int, Any] = {}  # by position: an outcome; its place and length once there is a file
        self._file = None if request.output is None else new_file()
        self._attempts: dict[int, int] = {}
        self._slowest: list[tuple[float, int]] = []
        self._bytes_in = self._bytes_out = 0
        self._bare: Any = None

    def prepare(self, item: Item, outcome: Outcome) -> Any:
        """Whatever takes time, done before the lock of the call is taken."""

    def put(self, item: Item, outcome: Outcome, _prepared: Any = None) -> None:
        """Keep what became of an item; a later outcome of the same item replaces it."""
        place = item.position
        self._bare = outcome.value
        self.failures.pop(place, None)
        if outcome.failure is not None:
            self.failures[place] = item, outcome
        self._attempts[place] = outcome.attempts
        if outcome.seconds:
            push = heapq.heappush if len(self._slowest) < SLOWEST else heapq.heappushpop
            push(self._slowest, (outcome.seconds, place))
        self._bytes_in += item.sent
        self._bytes_out += item.received
        if self._file is not None:
            self._kept[place] = self._store(self._file, outcome)
            return
        if place in self._kept:
            self._room += len(self._kept[place].encoded) + 2
        self._kept[place] = outcome
        self._room -= len(outcome.encoded) + 2
        if self._room < 0:
            self._spill()

    def has_room(self) -> bool:
        """Whether new work may start."""
        return True

    def tick(self) -> None:
        """Called every few seconds while work goes on."""

    def finish(self) -> None:
        """Called when all work has ended."""

    def first_failure(self) -> Failure:
        """The failure of the foremost item that was tried and failed, else of the foremost."""
        found = {place: one.failure for place, (_, one) in self.failures.items() if one.failure is not None}
        tried = {place: failure for place, failure in found.items() if not failure.untried}
        return min((tried or found).items())[1]

    def write(self, store: Callable[..., str], summary: dict[str, Any]) -> Any:
        """The reply: the bare result for form 1, a list for form 2, results and summary for form 3.

        ``store(url, lines, deadline)`` puts results at a URL (None: a temporary place) and returns the full
        URL. Raises ``Failure`` of type TooLargeError when a bare result or a list does not fit.
        """
        places = [self.items.repeats.get(place, place) for place in range(self.items.count)]
        if self._file is None:
            repeated = sum(len(self._kept[place].encoded) + 2 for place in self.items.repeats.values())
            if self._room < repeated + len(dumps(summary)):
                self._spill()
        if self._file is None:
            results: Any = [self._kept[place].wire for place in places]
        else:
            with self._file as file:
                results = store(self._request.output, self._lines(file, places), self.deadline)
        if self._request.form == BATCH:
            return {"$results": results, "$summary": summary}
        if isinstance(results, str):
            raise Failure(
                "TooLargeError",
                f"the results are too large for a response; they are at {results}. Call with "
                '{"$batch": [...]} to get such a URL as the answer, or with fewer items',
            )
        return self._bare if self._request.form == ITEM else results

    def summary(self, calls: Calls, stopped: Failure | None) -> dict[str, Any]:
        """The `$summary` that is returned beside the results."""
        repeats = self.items.repeats
        places = [repeats.get(place, place) for place in range(self.items.count)]
        failures = [self.failures[place][1].failure for place in places if place in self.failures]
        untried = sum(failure is not None and failure.untried for failure in failures)
        retried = {place for place, n in self._attempts.items() if n > 1 and place not in self.failures}
        seconds = sorted(calls.seconds)
        return {
            "items": len(places),
            "succeeded": len(places) - len(failures),
            "failed": len(failures) - untried,
            "untried": untried,
            "errors": dict(collections.Counter(failure.error_type for failure in failures if failure)),
            "calls": calls.count,
            "attempts": sum(self._attempts.values()),
            "throttled": calls.throttled,
            "stopped": stopped and {"type": stopped.error_type, "message": stopped.message},
            "duration_ms": int(self.deadline.elapsed() * 1000),
            "p50_ms": int(1000 * seconds[len(seconds) // 2]) if seconds else 0,
            "p99_ms": int(1000 * seconds[len(seconds) * 99 // 100]) if seconds else 0,
            "bytes_in": self._bytes_in,
            "bytes_out": self._bytes_out,
            "retried": [[place, self._attempts[place]] for place in sorted(retried)[:RETRIED]],
            "slowest": [[place, int(took * 1000)] for took, place in sorted(self._slowest, reverse=True)],
            **self.counts,
        }

    def _lines(self, file: IO[bytes], places: list[int]) -> Iterator[bytes]:
        for start, length in map(self._kept.__getitem__, places):
            file.seek(start)
            yield file.read(length) + b"\n"

    def _spill(self) -> None:
        self._file = file = new_file()
        self._kept = {place: self._store(file, outcome) for place, outcome in self._kept.items()}

    @staticmethod
    def _store(file: IO[bytes], outcome: Outcome) -> tuple[int, int]:
        start = file.seek(0, 2)
        file.write(outcome.encoded.encode("ascii"))
        return start, len(outcome.encoded)


def new_file() -> IO[bytes]:
    """A file on disk that vanishes with the last reference to it."""
    return tempfile.TemporaryFile()
