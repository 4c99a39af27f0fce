"""One send of one chunk: what each kind of answer and failure means for its items."""

from __future__ import annotations

import json

import pytest

from wrapgen.errors import (
    AlgorithmFailed,
    BadRequest,
    NotAuthorized,
    NotFound,
    PaymentRequired,
    PlatformError,
    ServerFault,
    Throttled,
    TooLarge,
    Unreachable,
)
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.description import DESCRIBE
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Reply

CHUNK = Chunk(range(2), [b"1", b"2"], None, [0, 2])


class Clock:
    """A clock that a call may move."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def send(call, *, clock=None, attempts=3, request_bytes=1000, sideband=None):
    """One send of the chunk."""
    terms = Terms("r1", 330, attempts, request_bytes, clock or Clock())
    return ChunkCall(MemoryHost(call, sideband=sideband), terms)(CHUNK)


def answer(*results, **summary) -> bytes:
    """A wrapper's answer."""
    return json.dumps({"result": {"$results": results, "$summary": summary}, "metadata": {}}).encode()


def failing(error, *, alive=True, clock=None, seconds=0.0):
    """A call that fails; the platform answers others, or does not."""

    def call(body, timeout):
        if body == DESCRIBE:
            if alive:
                return answer()
            raise Unreachable("nobody there")
        if clock:
            clock.now += seconds
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (Throttled("slow", retry_after=3.0), LossKind.THROTTLED),
        (NotAuthorized("who"), LossKind.STOPPED),
        (PaymentRequired("pay"), LossKind.STOPPED),
        (NotFound("gone"), LossKind.STOPPED),
        (TooLarge("big"), LossKind.TOO_LARGE),
        (BadRequest("what"), LossKind.REFUSED),
        (ServerFault("504", status=504), LossKind.DOWN),
        (ServerFault("502", status=502), LossKind.DOWN),
        (PlatformError("408", status=408), LossKind.DOWN),
        (ServerFault("503", status=503), LossKind.THROTTLED),
        (ServerFault("503", status=503, retry_after=5.0), LossKind.THROTTLED),
        (PlatformError("425", status=425), LossKind.THROTTLED),
        (PlatformError("302", status=302), LossKind.STOPPED),
        (ServerFault("500", status=500), LossKind.LOST),
        (Unreachable("reset"), LossKind.LOST),
        (AlgorithmFailed("slow", error_type="TimeoutError"), LossKind.TIMEOUT),
        (AlgorithmFailed("no", error_type="LoadingError"), LossKind.DOWN),
        (AlgorithmFailed("no", error_type="DatastoreError"), LossKind.DOWN),
        (AlgorithmFailed("no", error_type="OutOfMemoryError"), LossKind.TOO_LARGE),
        (AlgorithmFailed("no", error_type="SystemExit"), LossKind.LOST),
        (AlgorithmFailed("no", error_type="InputError"), LossKind.REFUSED),
    ],
)
def test_each_failure_is_a_fault(error, fault):
    """Every error of the client and every type of the taxonomy has its meaning for the chunk."""
    lost = send(failing(error))
    assert isinstance(lost, Lost) and lost.fault is fault
    assert lost.retry_after == getattr(error, "retry_after", None)


@pytest.mark.parametrize("error", [Unreachable("reset"), ServerFault("500", status=500)])
def test_a_platform_that_answers_nobody_blames_no_chunk(error):
    """Where not even a description comes back, the platform is down and the chunk is not at fault."""
    assert send(failing(error, alive=False)).fault is LossKind.DOWN


def test_a_hang_is_a_timeout():
    """No answer within the call's time means that the chunk was too much, not that the platform is away."""
    clock = Clock()
    lost = send(failing(Unreachable("no answer in time"), clock=clock, seconds=360), clock=clock)
    assert lost.fault is LossKind.TIMEOUT


@pytest.mark.parametrize(
    ("seconds", "fault"), [(1, LossKind.DOWN), (29, LossKind.DOWN), (30, LossKind.TIMEOUT)]
)
def test_a_gateway_that_gives_up_early_speaks_of_an_outage(seconds, fault):
    """A 502 or 504 soon after the call began blames no chunk; a late one means too many items."""
    for status in (502, 504):
        clock = Clock()
        error = ServerFault(str(status), status=status)
        assert send(failing(error, clock=clock, seconds=seconds), clock=clock).fault is fault


@pytest.mark.parametrize(("seconds", "fault"), [(164, LossKind.DOWN), (165, LossKind.TIMEOUT)])
def test_one_item_alone_has_half_of_its_time_before_a_504_counts(seconds, fault):
    """A single item's 504 is an attempt only once half of the call's own time is over."""
    clock, one = Clock(), Chunk([0], [b"1"], None, [0])
    call = failing(ServerFault("504", status=504), clock=clock, seconds=seconds)
    assert ChunkCall(MemoryHost(call), Terms("r1", 330, 3, 1000, clock))(one).fault is fault


@pytest.mark.parametrize("body", [b"", b"  ", b"<!DOCTYPE html>\n<h1>Sign in</h1>", b"upstream gone"])
def test_what_the_platform_can_not_have_written_is_an_outage(body):
    """A page or nothing with status 200 came from something in between; its first line is shown."""
    lost = send(lambda *_: body)
    assert lost.fault is LossKind.DOWN and lost.type == "ServerError"
    assert ("is empty" if not body.strip() else body.decode().partition("\n")[0]) in lost.message


@pytest.mark.parametrize(
    "body",
    [
        answer(1),
        answer(1, 2, 3),
        answer(1, 2)[:-9],
        b'{"error": {"message": "m", "error_type": "ServerError"}}',
    ],
)
def test_a_wrong_answer_is_a_lost_send(body):
    """Another length, a cut body, or an error that passes: nothing is known of any item."""
    assert send(lambda *_: body).fault is LossKind.LOST


def test_items_have_their_own_fates():
    """Results, final errors, and retryable ones within and beyond the limit of attempts."""
    error = {"$error": {"type": "ServerError", "message": "m", "retryable": True, "attempts": 1}}
    reply = send(lambda *_: answer(error, error, calls=2))
    assert isinstance(reply, Reply) and not reply.clean
    assert [(outcome.fate, outcome.attempts) for outcome in reply.outcomes] == [
        (Fate.AGAIN, 1),
        (Fate.FAILED, 3),
    ]
    untried = {"$error": {"type": "DeadlineExceeded", "message": "m", "retryable": True, "attempts": 0}}
    reply = send(lambda *_: answer({"x": 1}, untried, calls=1))
    assert [(outcome.fate, outcome.attempts) for outcome in reply.outcomes] == [(Fate.OK, 0), (Fate.AGAIN, 2)]


def test_results_at_a_url_are_fetched():
    """A wrapper whose answer was too large says where it is; lines and arrays are read alike."""

    class Sideband:
        def fetch(self, url):
            return b'{"a":1}\n"b"\n' if url == "data://x/y" else b""

        def upload(self, body):
            raise AssertionError

        discard = upload

    body = json.dumps({"result": {"$results": "data://x/y", "$summary": {}}, "metadata": {}}).encode()
    reply = send(lambda *_: body, sideband=Sideband())
    assert [outcome.body for outcome in reply.outcomes] == ['{"a":1}', '"b"']
    assert send(lambda *_: body).fault is LossKind.LOST


def test_a_body_over_the_limit_is_never_sent():
    """A chunk that is too large for a request is told so without a call."""
    lost = send(failing(AssertionError("sent")), request_bytes=20)
    assert lost.fault is LossKind.TOO_LARGE
