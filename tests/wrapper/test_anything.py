"""Calls over random targets, outages and deadlines: what holds for each, whatever happens on the way."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

from flow import Clock, Kept, Wrapper, failed
from hypothesis import given, settings
from hypothesis import strategies as st

FATES = st.sampled_from(
    ["ok", "ok", "ok", "InputError", "ServerError", "TimeoutError", "Unreachable", "TooManyRequests", "gone"]
)


class World:
    """A target on a virtual clock: each call of an item takes its time and meets its next fate."""

    def __init__(self, fates: list[list[str]], takes: float, outage: tuple[float, float]) -> None:
        self.fates, self.takes, self.outage = [list(one) for one in fates], takes, outage
        self.clock = Clock()
        self.reached: Counter[int] = Counter()
        self.answered: dict[int, float] = {}
        self.lock = threading.Lock()

    def call(self, value: Any, seconds: float) -> Any:
        together = value if isinstance(value, list) else [value]
        with self.lock:
            now = self.clock.now - 1000.0
            if self.outage[0] <= now < self.outage[1]:
                raise failed("Unreachable")
            fates = [self.fates[item].pop(0) if self.fates[item] else "ok" for item in together]
            worst = next((fate for fate in fates if fate != "ok"), "ok")
            if worst in ("Unreachable", "TooManyRequests"):
                raise failed(worst, retry_after=None if worst == "Unreachable" else 1.0)
            if worst == "gone":
                raise failed("PaymentRequiredError")
            self.clock.now += self.takes
            if worst == "ok" or len(together) == 1:
                self.reached.update(together)
            if worst != "ok":
                raise failed(worst)
            self.answered.update(dict.fromkeys(together, self.clock.now))
        return value


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.lists(FATES, max_size=4), min_size=1, max_size=12),
    st.floats(0.01, 20),
    st.tuples(st.floats(0, 60), st.floats(0, 120)),
    st.floats(0.5, 200),
    st.sampled_from([1, 3]),
    st.integers(1, 3),
    st.integers(1000, 4000),
    st.integers(1, 2),
)
def test_each_item_has_one_place_and_nothing_paid_is_lost(
    fates: list[list[str]],
    takes: float,
    outage: tuple[float, float],
    timeout: float,
    batch_size: int,
    parallel: int,
    cap: int,
    send: int,
) -> None:
    """Each item once, in order, under the size and the limit; answers before the hard stop count."""
    world, kept, stored = World(fates, takes, outage), Kept(), []

    class Files:
        def write(self, url: Any, lines: Any, until: Any) -> str:
            stored.extend(json.loads(line) for line in lines)
            return "data://stored"

    wrapper = Wrapper(
        world.call,
        datastore=kept,
        files=Files(),
        clock=world.clock,
        wait=world.clock.wait,
        chance=lambda: 0.5,
        batch_size=batch_size,
        parallel=parallel,
        response_bytes=cap,
    )
    items = list(range(len(fates)))
    reply = wrapper({"$batch": items, "$run": "r", "$timeout": timeout, "$try": send})
    results = stored if reply["$results"] == "data://stored" else reply["$results"]
    assert len(json.dumps({"result": reply})) <= cap
    assert len(results) == len(items)
    summary = reply["$summary"]
    assert summary["items"] == summary["succeeded"] + summary["failed"] + summary["untried"] == len(items)
    errors = {item: got["$error"] for item, got in enumerate(results) if isinstance(got, dict)}
    assert all(results[item] == item for item in items if item not in errors)
    assert summary["errors"] == Counter(one["type"] for one in errors.values())
    limit = 3 if send == 1 else 1
    assert all(one["attempts"] <= limit for one in errors.values())
    if batch_size == 1:
        assert all(world.reached[item] <= limit for item in items)
        assert all(one["attempts"] <= world.reached[item] for item, one in errors.items())
    reserve = min(max(timeout / 10, 0.5), 300, timeout / 2)
    hard_stop = 1000.0 + timeout - reserve
    lost = {item for item, moment in world.answered.items() if moment < hard_stop} & set(errors)
    assert not lost, "an answer that came before the hard stop was dropped"
    recorded = {int(one["id"]): one for one in kept.fields}
    tried = {
        item
        for item in items
        if item not in errors or errors[item]["attempts"] or not errors[item]["retryable"]
    }
    assert set(recorded) == tried and len(kept.fields) == len(tried)
