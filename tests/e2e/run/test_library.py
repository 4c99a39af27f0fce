"""`from wrapgen import run`: outcomes one by one, sync and async, resumable with a state folder."""

from __future__ import annotations

import asyncio
import json
import os
import threading

import pytest

import wrapgen
from wrapgen import run
from wrapgen.client import Client, Connection
from wrapgen.errors import RunError, UsageError
from wrapgen.run.input.inputs import given_items
from wrapgen.run.input.items import Selection
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.merge import finished_shards, merged_session
from wrapgen.run.settings import Options
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
    assert before < 100 and outcomes.state is EndState.INCOMPLETE
    assert Folder(tmp_path / "state").header()["address"] == platform.address
    again = list(run(REF, range(100), client=client, state=tmp_path / "state", options=options))
    assert [outcome.result["seen"] for outcome in again] == list(range(100))
    assert sum(len(call["$batch"]) for call in platform.wrapper.calls) == 100
    assert "every item succeeded" in (tmp_path / "state" / "report.html").read_text("utf-8")


def test_closed_outcomes_have_no_next(client):
    """After `close` the iteration is at its end, as after the last outcome."""
    outcomes = run(REF, range(40), client=client)
    assert next(outcomes).index == 0
    outcomes.close()
    outcomes.close()
    assert next(outcomes, None) is None and list(outcomes) == []


def test_a_path_is_a_path(platform, client, tmp_path, monkeypatch):
    """A text names a file or a pattern, never items; `wrapgen.run` is the same function."""
    (tmp_path / "reviews.csv").write_text("text\nfine\nbad\n")
    monkeypatch.chdir(tmp_path)
    assert wrapgen.run is run
    for named in ("reviews.csv", "rev*.csv", tmp_path / "reviews.csv", os.fspath(tmp_path / "reviews.csv")):
        outcomes = wrapgen.run(REF, named, client=client)
        assert [outcome.result for outcome in outcomes] == [
            {"seen": {"text": "fine"}},
            {"seen": {"text": "bad"}},
        ]
    with pytest.raises(UsageError, match=r"nothing.csv"):
        run(REF, "nothing.csv", client=client)


def test_one_value_is_not_a_list_of_items(client):
    """A dict, bytes, a number and a table are refused: what they iterate over is not items."""

    class DataFrame(list):
        iterrows = None

    for value in ({"text": "a"}, b"bytes", bytearray(b"x"), 5, None, DataFrame()):
        with pytest.raises(UsageError, match=r"is one value, not items|is a table, not items"):
            run(REF, value, client=client)


def test_an_errors_file_reopens_its_items(platform, client, tmp_path):
    """The path of an errors file sends its items again, as the command does: same run, ids and indexes."""
    path = tmp_path / "m.errors.jsonl"
    lines = [{"run": "r1", "index": n, "try": 2, "id": f"k{n}", "error": {}, "input": n} for n in (3, 8)]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    outcomes = run(REF, path, client=client)
    assert outcomes.run_id == "r1"
    found = [(outcome.index, outcome.id, outcome.result) for outcome in outcomes]
    assert found == [(3, "k3", {"seen": 3}), (8, "k8", {"seen": 8})]
    assert platform.wrapper.calls[0]["$try"] == 3
    with pytest.raises(UsageError, match="items that failed before"):
        run(REF, path, client=client, selection=Selection(field="input"))


def test_a_refused_run_leaves_the_first_ones_items_alone(platform, client, tmp_path):
    """Neither a second runner on a state folder nor other items for it touch what is kept there."""
    state, options = tmp_path / "state", Options(chunk=16, workers=1)
    with run(REF, range(100), client=client, state=state, options=options) as outcomes:
        assert next(outcomes).index == 0
        with pytest.raises(RunError, match="another runner is at work"):
            run(REF, ["other"], client=client, state=state)
    with pytest.raises(RunError, match="others than when this run began"):
        run(REF, ["other"], client=client, state=state)
    assert len(list(run(REF, range(100), client=client, state=state, options=options))) == 100
    fresh = run(REF, ["other"], client=client, state=state, options=Options(fresh=True))
    assert [outcome.result for outcome in fresh] == [{"seen": "other"}]


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


def test_leaving_early_can_be_awaited(platform, client):
    """`async with` lets the open calls finish without holding up the event loop."""

    async def first():
        options = Options(chunk=16, workers=1)
        async with run(REF, range(1000), client=client, options=options) as outcomes:
            return (await anext(outcomes)).index, outcomes

    index, outcomes = asyncio.run(first())
    assert index == 0 and outcomes.state is not None and next(outcomes, None) is None


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"chunk": 0}, "chunk must be at least 1 and at most 100,000, not 0"),
        ({"workers": 0}, "workers must be at least 1, not 0"),
        ({"attempts": 0}, "attempts must be at least 1, not 0"),
        ({"timeout": 1}, "timeout must be at least 2 and at most 3,000, not 1"),
        ({"budget": 5.0}, "budget must be at least 0 and at most 1, not 5.0"),
        ({"patience": float("nan")}, "patience must be at least 0, not nan"),
    ],
)
def test_options_out_of_bounds_are_refused(wrong, says):
    """A number that no run could keep to is a mistake of whoever gives it, told at once."""
    with pytest.raises(UsageError) as caught:
        Options(**wrong)
    assert caught.value.message == says


def test_what_is_not_json_is_refused(client):
    """An item that can't travel is named before anything is sent."""
    with pytest.raises(RunError, match="item 1 is not JSON"):
        run(REF, [1, {1, 2}], client=client)


def test_what_holds_itself_is_no_json(client):
    """A list within itself is named as any other value that can't travel."""
    endless = []
    endless.append(endless)
    with pytest.raises(RunError, match="item 0 is not JSON: it holds itself"):
        run(REF, [endless], client=client)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"reference": None}, "reference must be of type str, not NoneType"),
        ({"reference": 7}, "reference must be of type str, not int"),
        ({"options": {"workers": 1}}, "options must be of type Options, not dict"),
        ({"selection": "text"}, "selection must be of type Selection, not str"),
    ],
)
def test_arguments_of_wrong_types_are_refused(client, arguments, says):
    """What a program without types may give by mistake is one clear error."""
    with pytest.raises(UsageError, match=says):
        run(**{"reference": REF, "items": [1], "client": client, **arguments})


def test_shards_are_done_by_programs_too(platform, client, tmp_path):
    """Each gets its own outcomes under the indexes of the whole; merged, their states are one run."""
    exact, values, found = f"{REF}/1.0.0", [f"text {n}" for n in range(10)], []
    for index in range(3):
        given = {"client": client, "state": tmp_path / "state", "shard": (index, 3)}
        with run(exact, values, **given) as outcomes:
            found.append([(one.index, one.result) for one in outcomes])
    assert [len(part) for part in found] == [3, 3, 4]
    assert [one for part in found for one in part] == [(n, {"seen": text}) for n, text in enumerate(values)]
    assert len({call["$run"] for call in platform.wrapper.calls}) == 1
    states = [Folder(tmp_path / "state" / f"shard-{index}-of-3") for index in range(3)]
    shards = finished_shards(states)
    items = given_items(states[0], Selection())
    with merged_session(shards, Folder(tmp_path / "all"), items, fresh=False, origin={}) as session:
        assert session.work()[0] is EndState.OK and session.counts.succeeded == 10


@pytest.mark.parametrize("given", [(3, 3), (-1, 2), ("0", "2"), (0, 2, 4), 1, (True, 2), (0, 0), (0, True)])
def test_what_is_no_shard_is_refused(client, given):
    """A pair of whole numbers, the first below the second."""
    with pytest.raises(UsageError, match="shard"):
        run(f"{REF}/1.0.0", [1], client=client, shard=given)


def test_shards_of_a_wrapper_without_a_version_are_refused(client):
    """The newest one may change before the last shard starts."""
    with pytest.raises(UsageError, match="shards start at different moments"):
        run(REF, [1], client=client, shard=(0, 2))
