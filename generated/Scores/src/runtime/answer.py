"""The answer of a call: results in the order of the items, kept under the size cap, and the summary."""

from __future__ import annotations

import collections
import heapq
from typing import Any, Callable, Iterator

from .items import Item, Items, Outcome
from .protocol import BATCH, ITEM, Failure, dumps

SLOWEST = 10  # items that the summary names as the slowest
RETRIED = 10_000  # items whose attempts it tells, so that it stays small
ENVELOPE = 512  # bytes that the ADK and the platform add around a reply


class Answer:
    """Keeps the outcomes of one call."""

    def __init__(self, items: Items, cap: int, raises: bool = False) -> None:
        """``cap`` is the most bytes that a response may have; ``raises``: a failure ends the call."""
        self.items = items
        self.raises = raises
        self._cap = cap - ENVELOPE
        self._outcomes: dict[int, Outcome] = {}
        self._failed: dict[int, Item] = {}
        self._sent = self._received = 0  # bytes

    def put(self, item: Item, outcome: Outcome) -> None:
        """Keep what became of an item; a later outcome of the same item replaces it."""
        self._outcomes[item.position] = outcome
        if outcome.failure is not None:
            self._failed[item.position] = item
        self._sent, self._received = self._sent + item.sent, self._received + item.received
        item.sent = item.received = 0

    def failures(self) -> Iterator[tuple[Item, Outcome, Failure]]:
        """The items that failed or were not tried."""
        for place, item in self._failed.items():
            failure = self._outcomes[place].failure
            assert failure is not None
            yield item, self._outcomes[place], failure

    def first_failure(self) -> Failure | None:
        """The failure of the foremost item that was tried and failed, else of the foremost."""
        found = sorted((failure.untried, item.position) for item, _, failure in self.failures())
        return self._outcomes[found[0][1]].failure if found else None

    def write(self, store: Callable[..., str], deadline: Any, summary: dict[str, Any]) -> Any:
        """The reply to each form of call; ``store`` puts what is too large at a URL. Raises ``Failure``."""
        request, outcomes = self.items.request, self._all()
        size = sum(outcome.size + 2 for outcome in outcomes) + len(dumps(summary))
        if request.output is None and size <= self._cap:
            results: Any = [outcome.wire for outcome in outcomes]
            if request.form == ITEM:
                return outcomes[0].value
        else:
            results = store(request.output, (outcome.encoded() for outcome in outcomes), deadline)
            if request.form != BATCH:
                call = 'Call with {"$batch": [...]} to get such a URL as the answer, or with fewer items'
                message = f"the results are too large for a response; they are at {results}. {call}"
                raise Failure("TooLargeError", message)
        return {"$results": results, "$summary": summary} if request.form == BATCH else results

    def summary(self) -> dict[str, Any]:
        """What ``$summary`` tells of the items."""
        once, outcomes = sorted(self._outcomes.items()), self._all()
        failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
        untried = sum(failure.untried for failure in failures)
        retried = [[place, one.attempts] for place, one in once if one.attempts > 1 and one.failure is None]
        slowest = heapq.nlargest(SLOWEST, ((one.seconds, place) for place, one in once if one.seconds))
        return {
            "items": len(outcomes),
            "succeeded": len(outcomes) - len(failures),
            "failed": len(failures) - untried,
            "untried": untried,
            "errors": dict(collections.Counter(failure.error_type for failure in failures)),
            "attempts": sum(one.attempts for _, one in once),
            "bytes_in": self._sent,
            "bytes_out": self._received,
            "retried": retried[:RETRIED],
            "slowest": [[place, int(seconds * 1000)] for seconds, place in slowest],
        }

    def _all(self) -> list[Outcome]:
        """The outcome of each item: its own, or that of the item which it repeats."""
        places = (self.items.repeats.get(place, place) for place in range(self.items.count))
        return [self._outcomes[place] for place in places if place in self._outcomes]
