"""Outages and overload, as gateways tell of them: both engines wait them out, within patience."""

from __future__ import annotations

import json
from random import Random

import pytest

from wrapgen.errors import PlatformError, ServerFault, Throttled, Unreachable
from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.description import DESCRIBE
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.replies import Fate, LossKind
from wrapgen.run.summary import EndState

OUTAGES = {
    "502": ServerFault("bad gateway", status=502),
    "503": ServerFault("away", status=503),
    "503 with Retry-After": ServerFault("busy", status=503, retry_after=5.0),
    "504": ServerFault("gateway timeout", status=504),
    "408": PlatformError("timeout", status=408),
    "421": PlatformError("another server's", status=421),
    "499": PlatformError("the client left", status=499),
    "425": PlatformError("too early", status=425),
    "429": Throttled("slow down", status=429),
    "refused": Unreachable("no connection"),
    "a page": b"<html>\n<h1>Be back soon</h1>",
    "nothing": b"",
}

BREAKS = {
    "500": ServerFault("internal error", status=500),
    "520": ServerFault("unknown", status=520),
    "reset": Unreachable("reset"),
}
"""What may be a chunk's own fault, or the platform's."""


def outage(wrapper, clock, kind, seconds):
    """The wrapper, behind a gateway that fails all calls for a while; the description gets through."""
    began, real = clock.now, wrapper.call

    def call(body, timeout):
        describing = body == DESCRIBE and kind != "refused"
        if describing or clock.now >= began + seconds:
            return real(body, timeout)
        call.refused += 1
        met = {**OUTAGES, **BREAKS}[kind]
        if isinstance(met, bytes):
            return met
        raise met

    call.refused = 0
    wrapper.call = call
    return call


@pytest.mark.parametrize("kind", OUTAGES)
def test_a_run_waits_an_outage_out(bench, memory_wrapper, kind):
    """Whatever stands for "not now" costs no item an attempt, is asked seldom, and is over in the end."""
    wrapper = memory_wrapper()
    described = wrapper.call
    call = outage(wrapper, bench.clock, kind, 120)
    wrapper.call, failing = described, call

    def first_described(body, timeout):
        return described(body, timeout) if body == DESCRIBE and not call.refused else failing(body, timeout)

    wrapper.call = first_described
    summary = bench.run(wrapper, list(range(300)))
    assert summary.state is EndState.OK and len(bench.lines()) == 300
    assert 0 < call.refused < 100
    assert set(wrapper.attempts.values()) == {1}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_short_break_gives_no_item_up(bench, memory_wrapper, kind):
    """Errors that could be a chunk's own, for as long as nobody else is answered, fail no item in 25 s."""
    wrapper = memory_wrapper()
    call = outage(wrapper, bench.clock, kind, 25)
    summary = bench.run(wrapper, list(range(300)))
    assert summary.state is EndState.OK and set(wrapper.attempts.values()) == {1}
    assert 0 < call.refused < 300


@pytest.mark.parametrize("kind", OUTAGES)
def test_a_task_waits_an_outage_out(bench, memory_wrapper, kind):
    """The engine of Spark, Lambda and SQS decides the same."""
    wrapper, clock = memory_wrapper(), bench.clock
    call = outage(wrapper, clock, kind, 120)

    def wait(seconds):
        clock.now += seconds
        return False

    random = Random(3)
    items = [Entry(at, b"%d" % at, None) for at in range(50)]
    send = ChunkCall(MemoryHost(call), Terms("r1", 330, 3, 1_000_000, clock))
    sender = EngineDelivery(send, 3, SharedBackoff(random), clock, wait, random)
    delivered = sender.deliver(items, size=50)
    assert {outcome.fate for outcome in delivered.outcomes.values()} == {Fate.OK} and delivered.stop is None
    assert 0 < call.refused < 40


@pytest.mark.parametrize("kind", [kind for kind in OUTAGES if kind != "refused"])
def test_every_wait_counts_against_patience(bench, memory_wrapper, kind):
    """A service that never comes back leaves the run incomplete once the patience is over."""
    wrapper = memory_wrapper()
    outage(wrapper, bench.clock, kind, 10_000)
    began = bench.clock.now
    summary = bench.run(wrapper, list(range(50)), patience=100)
    assert summary.state is EndState.INCOMPLETE and "nothing worked for 100 s" in summary.reason
    assert summary.counts.failed == 0
    assert 100 <= bench.clock.now - began < 105


@pytest.mark.parametrize("kind", ["500", "reset", "502", "504", "a page"])
def test_one_item_neither_stalls_nor_stops_a_run(bench, memory_wrapper, kind):
    """An item that alone gets what looks like an outage has failed; all others have results."""
    wrapper = memory_wrapper()
    real = wrapper.call

    def call(body, timeout):
        if 7 in json.loads(body)["$batch"]:
            met = {**OUTAGES, **BREAKS}[kind]
            if isinstance(met, bytes):
                return met
            raise met
        return real(body, timeout)

    wrapper.call = call
    summary = bench.run(wrapper, list(range(400)), budget=1.0)
    assert summary.state is EndState.ERRORS and summary.counts.failed == 1
    assert [line["index"] for line in bench.lines() if "error" in line] == [7]


def test_what_is_waited_for_is_told(bench, memory_wrapper):
    """While nothing works, progress says what is waited for, and for how long at most."""
    from wrapgen.run.finish import run_to_files
    from wrapgen.run.input.items import Selected, Selection
    from wrapgen.run.input.memory import MemorySource
    from wrapgen.run.ledger.folder import Folder
    from wrapgen.run.output.layouts import Layout
    from wrapgen.run.session import Session
    from wrapgen.run.settings import Options

    wrapper, seen = memory_wrapper(), []
    outage(wrapper, bench.clock, "503 with Retry-After", 20)
    called = MemoryHost(wrapper.call, "acme/B/1.0.0")
    items = Selected(MemorySource([1, 2]), Selection())
    with Session(Folder(bench.folder / "s"), items, called, Options(patience=60), bench.world()) as session:
        run_to_files(session, bench.output, Layout(), lambda p: seen.append(p.wait), bench.clock)
    waits = [str(wait) for wait in seen if wait]
    assert waits[0] == "waiting, 60 s at most: ServerError: busy"
    assert seen[-1] is None


def test_no_wait_is_longer_than_the_patience():
    """However long a server asks to wait, and also where a call that is open works after the patience."""
    backoff = SharedBackoff(Random(1), patience=3.0)
    assert backoff.hold(100.0, LossKind.THROTTLED, 4000.0) and backoff.until == 103.0
    assert not backoff.hold(103.5, LossKind.THROTTLED, 4000.0)
    backoff.worked()
    assert backoff.until <= 107.0
    assert backoff.hold(107.0, LossKind.THROTTLED, 4000.0) and backoff.until == 110.0
