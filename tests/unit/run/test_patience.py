"""Starting a run while its platform is away: the same patience as later in the run."""

from __future__ import annotations

from random import Random

import pytest

from wrapgen.errors import NotAuthorized, PlatformError, RunError, ServerFault, Throttled, Unreachable
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.hosts.patience import Patience


def patience(clock, seconds=600.0, told=None):
    """Patience on a clock that only waiting moves."""

    def wait(left):
        clock.now += left

    return Patience(seconds, ([] if told is None else told).append, clock, wait, Random(5))


def answers(*said):
    """A question that is answered by these in turn, and by the last forever."""
    left = list(said)

    def ask(*_):
        found = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(found, Exception):
            raise found
        return found

    return ask


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("no connection"),
        ServerFault("restarting", status=503, retry_after=3),
        ServerFault("bad gateway", status=502),
        Throttled("slow down", status=429),
        PlatformError("timeout", status=408),
    ],
)
def test_a_platform_that_is_away_is_waited_for(bench, error):
    """What passes is asked again, and told with the longest time that it can take."""
    told = []
    assert patience(bench.clock, told=told).ask(answers(error, error, "here")) == "here"
    assert str(told[0]) == f"waiting, 600 s at most: {error.message}" and len(told) == 2


@pytest.mark.parametrize("error", [NotAuthorized("who", status=401), RunError("no wrapper")])
def test_what_waiting_does_not_help_is_told_at_once(bench, error):
    """A wrong key or something that is no wrapper ends the start without a wait."""
    began = bench.clock.now
    with pytest.raises(type(error)):
        patience(bench.clock).ask(answers(error))
    assert bench.clock.now == began


def test_patience_ends(bench):
    """After so many seconds the error is the user's."""
    began = bench.clock.now
    with pytest.raises(Unreachable):
        patience(bench.clock, 60).ask(answers(Unreachable("gone")))
    assert 60 <= bench.clock.now - began < 61


@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"error_type":"LoadingError","message":"killed by signal 9 while loading"}}',
        b'{"error":{"error_type":"SystemExit","message":"killed by signal 9"}}',
        b"<html>be back soon</html>",
        b"",
    ],
)
def test_a_wrapper_whose_worker_was_killed_is_asked_again(bench, memory_wrapper, body):
    """A worker that is killed while it loads, or a page in the platform's place, does not end a start."""
    call = answers(body, body, memory_wrapper().answer([], {"wrapper": memory_wrapper().describe()}))
    about = patience(bench.clock).ask(MemoryHost(call, "acme/B/1.0.0").describe)
    assert about.mode == "both"
