"""Items that the datastore already has a result for: it is returned, and the target is not called."""

from __future__ import annotations

import json
from itertools import islice
from typing import Any, Iterator

from .answer import RETRIED
from .items import Item, Items, Outcome
from .protocol import Failure, Unavailable, from_wire
from .records import Recorder
from .timeouts import TimeUp, call_with_timeout

CHUNK = 1000  # items that are looked up at once


def known(items: Items, datastore: Any, recorder: Recorder) -> Iterator[Item]:
    """The items, each with its outcome where one is recorded. Raises ``Failure`` of type DatastoreError."""
    listed, found = iter(items), recorder.counts.setdefault("already", {"items": 0, "places": []})
    for chunk in iter(lambda: list(islice(listed, CHUNK)), []):
        results = _look_up(items, datastore, recorder, [item.id for item in chunk if item.failure is None])
        for item in chunk:
            if item.failure is None and item.id in results:
                value = from_wire(json.loads(results[item.id]))
                item.known, item.recordable = Outcome(value, None, 0.0, 0), False
                found["items"] += 1
                found["places"] += [item.position][: RETRIED - len(found["places"])]
            yield item


def _look_up(items: Items, datastore: Any, recorder: Recorder, ids: list[str]) -> dict[str, str]:
    """The recorded results, as JSON, by id."""
    if not items.has_lasting_ids or not ids:
        return {}
    try:
        return call_with_timeout(recorder.deadline.left(), datastore.results, items.run, ids)
    except (TimeUp, Unavailable) as error:
        if recorder.settings["on_failure"] == "ignore":
            return {}
        raise Failure("DatastoreError", f"records can't be read: {error}", True) from None
