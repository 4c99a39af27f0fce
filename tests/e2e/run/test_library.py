"""`from wrapgen import run`: outcomes one by one, sync and async, resumable with a state folder."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wrapgen import run
from wrapgen.client import Client, Connection
from wrapgen.errors import RunError
from wrapgen.run.items import Selection
from wrapgen.run.options import Options
from wrapgen.run.summary import EndState

REF = "acme/SentimentBatch"


@pytest.fixture
def client(platform):
    """The platform's client."""
    with Client(Connection(platform.address, "simABCDEFGHIJKLMNOPQRSTUVWXY", "the test")) as client:
        yield client


def test_outcomes_come_in_order_as_values(platform, client):
    """Any iterable goes in; decoded results and typed errors come out, in the order of the input."""
    platform.wrapper.faults = {"2": ["InputError"]}
    outcomes = list(run(REF, (value for value in ["a", b"\x00", {"$error": 1}, None, 5]), client=client))
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3, 4]
    assert [outcome.ok for outcome in outcomes] == [True, True, False, True, True]
    assert outcomes[0].result == {"seen": "a"} and outcomes[1].result == {"seen": {"$binary": "AA=="}}
    assert outcomes[2].error.type == "InputError" and outcomes[2].result is None


def test_outcomes_come_while_the_run_goes_on(platform, client):
    """The first outcomes can be had while later calls are still open."""
    go_on = threading.Event()
    platform.gate = lambda number: go_on.wait(30) if number > 2 else None
    outcomes = run(REF, range(200), client=client, options=Options(chunk=16, workers=1))
    assert [next(outcomes).index for _ in range(16)] == list(range(16))
    assert outcomes.state is None
    go_on.set()
    assert len(list(outcomes)) == 184 and outcomes.state is EndState.OK


def test_leaving_early_stops_and_goes_on_later(platform, client, tmp_path):
    """What a loop left behind is kept in the state folder, and the same call goes on from there."""
    options = Options(chunk=16, workers=1)
    with run(REF, range(100), client=client, state=tmp_path / "state", options=options) as outcomes:
        assert next(outcomes).index == 0
    before = sum(len(call["$batch"]) for call in platform.wrapper.calls)
    assert before < 100
    again = list(run(REF, range(100), client=client, state=tmp_path / "state", options=options))
    assert [outcome.result["seen"] for outcome in again] == list(range(100))
    assert sum(len(call["$batch"]) for call in platform.wrapper.calls) == 100
    assert "every item succeeded" in (tmp_path / "state" / "report.html").read_text("utf-8")


def test_a_stopped_run_raises_where_the_outcomes_end(platform, client):
    """A run that stops early gives what it has and then says why."""
    platform.wrapper.faults = {str(n): ["InputError"] for n in range(0, 2000, 3)}
    got = []
    with pytest.raises(RunError, match="stopped-by-budget"):
        got.extend(outcome.index for outcome in run(REF, range(2000), client=client))


def test_outcomes_can_be_awaited(platform, client, tmp_path):
    """`async for` does not hold up the event loop."""
    path = tmp_path / "in.csv"
    path.write_text("key,text\nk1,a\nk2,b\n")

    async def collect():
        ticks = 0

        async def tick():
            nonlocal ticks
            while True:
                ticks += 1
                await asyncio.sleep(0)

        ticking = asyncio.create_task(tick())
        found = [
            (outcome.id, outcome.result["seen"])
            async for outcome in run(REF, path, client=client, selection=Selection(field="text", id="key"))
        ]
        ticking.cancel()
        return found, ticks

    found, ticks = asyncio.run(collect())
    assert found == [("k1", "a"), ("k2", "b")] and ticks > 1


def test_what_is_not_json_is_refused(client):
    """An item that can't travel is named before anything is sent."""
    with pytest.raises(RunError, match="item 1 is not JSON"):
        run(REF, [1, {1, 2}], client=client)
