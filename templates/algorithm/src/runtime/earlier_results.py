"""Items that the datastore already has a result for: it is returned, and the target is not called."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Iterator

from .answer import RETRIED
from .items import Item, Outcome
from .keys import KeyedItems
from .protocol import Failure, from_wire
from .records import Recorder
from .timeouts import call_with_timeout

CHUNK = 1000  # items that are looked up at once


def unknown(items: KeyedItems, datastore: Any, recorder: Recorder) -> Iterator[Item]:
    """The items without a recorded result; the others get theirs. Raises ``Failure`` (DatastoreError)."""
    listed, found = iter(items.once()), recorder.counts.setdefault("already", {"items": 0, "places": []})
    for chunk in iter(lambda: list(islice(listed, CHUNK)), []):
        results = _look_up(items, datastore, recorder, [item.id for item in chunk if item.failure is None])
        for item in chunk:
            if item.failure is None and item.id in results:
                item.outcome = Outcome(from_wire(json.loads(results[item.id])), None, 0.0, 0)
                found["items"] += 1
                found["places"] += [item.position][: RETRIED - len(found["places"])]
            else:
                yield item


def _look_up(items: KeyedItems, datastore: Any, recorder: Recorder, ids: list[str]) -> dict[str, str]:
    """The recorded results, as JSON, by id."""
    if not items.has_lasting_ids or not ids:
        return {}
    try:
        return call_with_timeout(recorder.deadline.left(), datastore.results, items.run, ids)
    except Failure as error:
        if recorder.settings["on_failure"] == "ignore":
            return {}
        raise Failure("DatastoreError", f"records can't be read: {error}", True) from None
