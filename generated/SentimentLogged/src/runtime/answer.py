"""The answer of a call: results in the order of the items, kept under the size cap, and the summary."""

from __future__ import annotations

import collections
import heapq
from typing import Any

from .items import Items
from .protocol import BATCH, ITEM, Failure, dumps

SLOWEST = 10  # items that the summary names as the slowest
RETRIED = 10_000  # items whose attempts it tells, so that it stays small
ENVELOPE = 512  # bytes that the ADK and the platform add around a reply


def write(items: Items, limits: dict[str, int], files: Any, deadline: Any, summary: dict[str, Any]) -> Any:
    """The reply to each form of call; what is too large for it goes to a file. Raises ``Failure``."""
    request, outcomes = items.request, items.outcomes()
    failures = [failure for _, _, failure in items.failures()] if items.raises else []
    if failures:
        raise min(failures, key=lambda failure: failure.untried)  # the first that was tried, if any was
    size = ENVELOPE + sum(outcome.size + 2 for outcome in outcomes) + len(dumps(summary))
    if request.output is None and size <= limits["response_bytes"]:
        results: Any = [outcome.wire for outcome in outcomes]
        if request.form == ITEM:
            return outcomes[0].value
    else:
        results = files.write(request.output, (outcome.encoded() for outcome in outcomes), deadline)
        if request.form != BATCH:
            call = 'Call with {"$batch": [...]} to get such a URL as the answer, or with fewer items'
            message = f"the results are too large for a response; they are at {results}. {call}"
            raise Failure("TooLargeError", message)
    return {"$results": results, "$summary": summary} if request.form == BATCH else results


def summary_of(items: Items, engine: Any, recorder: Any) -> dict[str, Any]:
    """The ``$summary`` of a call."""
    work, outcomes = engine.work, items.outcomes()
    stopped = engine.stopped if isinstance(engine.stopped, Failure) else None
    once = [(item.position, item.outcome) for item in items.once() if item.outcome is not None]
    failures = [outcome.failure for outcome in outcomes if outcome.failure is not None]
    untried = sum(failure.untried for failure in failures)
    retried = [[place, one.attempts] for place, one in once if one.attempts > 1 and one.failure is None]
    slowest = heapq.nlargest(SLOWEST, ((one.seconds, place) for place, one in once if one.seconds))
    durations = sorted(work.durations) or [0.0]
    return {
        "items": len(outcomes),
        "succeeded": len(outcomes) - len(failures),
        "failed": len(failures) - untried,
        "untried": untried,
        "errors": dict(collections.Counter(failure.error_type for failure in failures)),
        "attempts": sum(one.attempts for _, one in once),
        "bytes_in": sum(item.sent for item in items.listed),
        "bytes_out": sum(item.received for item in items.listed),
        "retried": retried[:RETRIED],
        "slowest": [[place, int(seconds * 1000)] for seconds, place in slowest],
        "calls": work.count,
        "throttled": work.throttled,
        "stopped": stopped and {"type": stopped.error_type, "message": stopped.message},
        "duration_ms": int((work.deadline.clock() - work.deadline.start) * 1000),
        "p50_ms": int(1000 * durations[len(durations) // 2]),
        "p99_ms": int(1000 * durations[len(durations) * 99 // 100]),
        **work.usage,
        **(recorder.counts if recorder else {}),
    }
