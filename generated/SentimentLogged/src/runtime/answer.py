"""The answer of a call: results in the order of the items, kept under the size cap, and the summary."""

from __future__ import annotations

import collections
import heapq
import tempfile
from typing import IO, Any, Callable, Iterator

from .items import Item, Items, Outcome
from .protocol import BATCH, ITEM, Failure, dumps

SLOWEST = 10  # items that the summary names as the slowest
RETRIED = 10_000  # items whose attempts it tells, so that it stays small
ENVELOPE = 512  # bytes that the ADK and the platform add around a reply


class Answer:
    """Keeps the outcomes of one call, in memory while they fit a response, and on disk beyond that."""

    def __init__(self, items: Items, cap: int, raises: bool = False) -> None:
        """``cap`` is the most bytes that a response may have; ``raises``: a failure ends the call."""
        self.items = items
        self.raises = raises
        self.failed: dict[int, Item] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._room = cap - ENVELOPE
        self._file: IO[bytes] | None = None
        self._lines: dict[int, tuple[int, int]] = {}  # by position: start and length in the file
        self._bytes = [0, 0]  # to the target and from it
        if items.request.output is not None:
            self._move_to_file()

    def put(self, item: Item, outcome: Outcome) -> None:
        """Keep what became of an item; a later outcome of the same item replaces it."""
        place, earlier = item.position, self._outcomes.get(item.position)
        if earlier is not None:
            self._room += earlier.size + 2
            self.failed.pop(place, None)
        self._outcomes[place] = outcome
        self._room -= outcome.size + 2
        if outcome.failure is not None:
            self.failed[place] = item
        self._bytes[0] += item.sent
        self._bytes[1] += item.received
        item.sent = item.received = 0
        if self._file is not None:
            self._store(place)
        elif self._room < 0:
            self._move_to_file()

    def failures(self) -> Iterator[tuple[Item, Outcome, Failure]]:
        """The items that failed or were not tried."""
        for place, item in self.failed.items():
            outcome = self._outcomes[place]
            assert outcome.failure is not None
            yield item, outcome, outcome.failure

    def first_failure(self) -> Failure:
        """The failure of the foremost item that was tried and failed, else of the foremost."""
        return min(self.failures(), key=lambda one: (one[2].untried, one[0].position))[2]

    def write(self, store: Callable[..., str], deadline: Any, summary: dict[str, Any]) -> Any:
        """The reply to each form of call; ``store`` puts what is too large at a URL. Raises ``Failure``."""
        request, places = self.items.request, self._places()
        repeated = sum(self._outcomes[place].size + 2 for place in self.items.repeats.values())
        if self._file is None and self._room < repeated + len(dumps(summary)):
            self._move_to_file()
        if self._file is None and request.form == ITEM:
            return self._outcomes[0].value
        results: Any = [self._outcomes[place].wire for place in places]
        if self._file is not None:
            with self._file as file:
                results = store(request.output, self._read(file, places), deadline)
        if request.form == BATCH:
            return {"$results": results, "$summary": summary}
        if isinstance(results, str):
            raise Failure(
                "TooLargeError",
                f"the results are too large for a response; they are at {results}. Call with "
                '{"$batch": [...]} to get such a URL as the answer, or with fewer items',
            )
        return results

    def summary(self) -> dict[str, Any]:
        """What ``$summary`` tells of the items."""
        outcomes = [(place, self._outcomes[place]) for place in self._places()]
        failures = [outcome.failure for _, outcome in outcomes if outcome.failure is not None]
        untried = sum(failure.untried for failure in failures)
        once = sorted(self._outcomes.items())
        retried = [[place, one.attempts] for place, one in once if one.attempts > 1 and one.failure is None]
        slowest = heapq.nlargest(SLOWEST, ((one.seconds, place) for place, one in once if one.seconds))
        return {
            "items": len(outcomes),
            "succeeded": len(outcomes) - len(failures),
            "failed": len(failures) - untried,
            "untried": untried,
            "errors": dict(collections.Counter(failure.error_type for failure in failures)),
            "attempts": sum(one.attempts for _, one in once),
            "bytes_in": self._bytes[0],
            "bytes_out": self._bytes[1],
            "retried": retried[:RETRIED],
            "slowest": [[place, int(seconds * 1000)] for seconds, place in slowest],
        }

    def _places(self) -> list[int]:
        """Where each item's outcome is: its own place, or that of the item which it repeats."""
        return [self.items.repeats.get(place, place) for place in range(self.items.count)]

    def _move_to_file(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed when the answer is written
        for place in self._outcomes:
            self._store(place)

    def _store(self, place: int) -> None:
        outcome, file = self._outcomes[place], self._file
        assert file is not None
        self._lines[place] = file.seek(0, 2), file.write(outcome.encoded().encode("ascii"))
        outcome.drop_value()

    def _read(self, file: IO[bytes], places: list[int]) -> Iterator[bytes]:
        for start, length in map(self._lines.__getitem__, places):
            file.seek(start)
            yield file.read(length) + b"\n"
