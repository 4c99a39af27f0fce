"""Rows of Spark and Ray: what is given up is recorded all the same, and rates hold over blocks."""

from __future__ import annotations

import json
import time

import pytest

from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.integrations.table_plan import TablePlan
from wrapgen.run.scheduling.replies import Fate


class Calls:
    """A platform whose wrapper has no time for anything but to record why items failed."""

    def __init__(self, wrapper):
        self.wrapper = wrapper

    def host(self, reference):
        return MemoryHost(self.call, reference)

    def call(self, body, timeout):
        self.wrapper.largest = None if b'"$error":' in body else 0
        return self.wrapper.call(body, timeout)


@pytest.mark.parametrize("records", [True, False])
def test_given_up_rows_have_a_record(memory_wrapper, records):
    """Each row's reason is recorded under its id; a wrapper without a datastore is left alone."""
    wrapper = memory_wrapper()
    about = Description("t", "both", "s", 300, 100_000, 1, 1, "data://acme/records" if records else None)
    plan = TablePlan(
        calls=Calls(wrapper),
        reference="acme/B/1.0.0",
        about=about,
        run="r1",
        input="text",
        id="id",
        result_type=None,
        as_json=True,
        concurrency=1,
        chunk=8,
        timeout=60,
        patience=1,
    )
    outcomes = plan.score([(f"text {n}", f"id{n}") for n in range(8)], 0)
    assert {outcome.fate for outcome in outcomes} == {Fate.FAILED}
    assert sorted(wrapper.records) == ([f"id{n}" for n in range(8)] if records else [])


class RatedCalls(Calls):
    """A platform that notes when calls come, each of which uses up half a second of the rate."""

    def __init__(self, wrapper):
        super().__init__(wrapper)
        self.moments = []

    def call(self, body, timeout):
        self.moments.append(time.monotonic())
        answer = json.loads(self.wrapper.call(body, timeout))
        answer["result"]["$summary"]["calls"] = 5
        return json.dumps(answer).encode()


def test_blocks_of_a_process_share_a_rate(memory_wrapper):
    """A block of a run waits until what the one before used up is over."""
    calls, began = RatedCalls(memory_wrapper()), time.monotonic()
    about = Description("t", "both", "s", 300, 100_000, 1, 1, None, rpm=600)
    plan = TablePlan(calls, "acme/B/1.0.0", about, "r-rated", "text", "id", None, True, 1, 8, 60, 1)
    for block in range(3):
        plan.score([(f"text {n}", f"{block}-{n}") for n in range(8)], 0)
    assert calls.moments[2] - began >= 1.0
