"""Messages and sending without a queue or a platform: what goes together, what a body is, what waits."""

from __future__ import annotations

from random import Random

import pytest

from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.integrations.sqs_messages import Backlog, Message, pointer, read_body, run_of
from wrapgen.run.scheduling.chunks import Entry
from wrapgen.run.scheduling.policy import SharedBackoff
from wrapgen.run.scheduling.replies import Fate, LossKind, Lost, Outcome, Reply
from wrapgen.spec import parse
from wrapgen.spec.queue import queue_numbers


def message(name: str, receives: int = 1, group: str | None = None) -> Message:
    return Message(name, f"handle-{name}", f"body of {name}", receives, group)


def names(messages) -> list[str]:
    return [one.id for one in messages]


def test_messages_of_one_receive_count_go_together():
    """A call is one try, so deliveries that are different tries are different calls."""
    pile = Backlog()
    pile.add([message("a"), message("b", 2), message("c"), message("d", 2)])
    assert names(pile.take(10, 10_000)) == ["a", "c"] and names(pile.take(10, 10_000)) == ["b", "d"]


def test_count_and_bytes_limit_a_call():
    """One message goes however large it is."""
    pile = Backlog()
    pile.add([message(name) for name in "abcd"])
    assert names(pile.take(3, 10_000)) == ["a", "b", "c"] and names(pile.take(3, 1)) == ["d"]


def test_a_group_has_one_message_in_work():
    """The next of a group follows when the one before it is settled, or goes back when that failed."""
    pile = Backlog()
    pile.add(
        [
            message("a1", group="a"),
            message("a2", group="a"),
            message("b1", group="b"),
            message("a3", group="a"),
        ]
    )
    first = pile.take(10, 10_000)
    assert names(first) == ["a1", "b1"] and pile.take(10, 10_000) == []
    assert pile.settled(first[0], succeeded=True) == []
    second = pile.take(10, 10_000)
    assert names(second) == ["a2"]
    assert names(pile.settled(second[0], succeeded=False)) == ["a3"] and not len(pile)


@pytest.mark.parametrize(
    ("body", "value", "travels"),
    [
        ("plain", "plain", b'"plain"'),
        ("12", "12", b'"12"'),
        ('{"a": 1}', {"a": 1}, b'{"a": 1}'),
        ("[1]", [1], b"[1]"),
        ('"q"', "q", b'"q"'),
        ('{"a": NaN}', '{"a": NaN}', b'"{\\"a\\": NaN}"'),
        ('{"$error": 1}', {"$error": 1}, b'{"$literal":{"$error": 1}}'),
    ],
)
def test_what_a_body_is(body, value, travels):
    """Objects, lists and quoted texts are JSON; all else is text."""
    assert read_body(body) == (value, travels)


def test_pointers():
    """Our own, and that of Amazon's libraries; other bodies are no pointers."""
    assert pointer('{"$body": "data://a/b/c"}') == "data://a/b/c"
    s3 = '["software.amazon.payloadoffloading.PayloadS3Pointer", {"s3BucketName": "b", "s3Key": "k"}]'
    assert pointer(s3) == "s3://b/k"
    assert pointer('{"$body": "x", "more": 1}') is None and pointer("$body") is None


def test_the_run_is_the_queues_own():
    """Derived from its address, within what a run id may be."""
    one, other = run_of("arn:aws:sqs:r:1:" + "q" * 80 + ".fifo"), run_of("arn:aws:sqs:r:2:q")
    assert one != other and len(one) <= 64 and other == run_of("arn:aws:sqs:r:2:q")


def test_numbers_of_a_queue_come_from_the_spec():
    """Short for the worker, six times the timeout where a killed call can't be taken back."""
    text = b"version: 1\ntarget: {algorithm: a/B/1.0.0}\nwrapper: {name: c/D, mode: log}\ndatastore: {url: 'data://c/d'}\n"
    spec = parse(text + b"limits: {timeout: 100}\ndispatch: {attempts: 4}\n", "spec.yaml")
    found = {name: queue_numbers(spec, name).visibility for name in ("worker", "lambda", "event-flows")}
    assert found == {"worker": 60, "lambda": 960, "event-flows": 600}
    assert queue_numbers(spec, "worker").max_receives == 6


class Bench:
    """Sends against planned replies; time moves only by waiting."""

    def __init__(self, *replies, patience=600.0, **more) -> None:
        self.now = 0.0
        self.sent: list[tuple[list[int], int]] = []
        self.replies = list(replies)
        backoff = SharedBackoff(Random(1), patience)
        self.sender = EngineDelivery(self.call, 3, backoff, lambda: self.now, self.wait, Random(1), **more)

    def wait(self, seconds: float) -> bool:
        self.now += seconds
        return False

    def call(self, chunk):
        self.sent.append((list(chunk.indexes), chunk.tries + 1))
        reply = self.replies.pop(0) if self.replies else "ok"
        if isinstance(reply, Lost):
            return reply
        fates = [reply] * len(chunk) if isinstance(reply, str) else reply
        return Reply([OUTCOMES[fate] for fate in fates], {"calls": 1})

    def deliver(self, count: int = 4):
        return self.sender.deliver([Entry(index, b"1", str(index)) for index in range(count)], size=count)

    def fates(self, count: int = 4):
        return [outcome.fate for outcome in self.deliver(count).outcomes.values()]


OUTCOMES = {
    "ok": Outcome(Fate.OK, "1", 0),
    "bad": Outcome(Fate.FAILED, '{"type":"InputError","message":"no","retryable":false}', 1),
    "later": Outcome(Fate.AGAIN, '{"type":"ServerError","message":"no","retryable":true}', 1),
    "untried": Outcome(Fate.AGAIN, '{"type":"DeadlineExceeded","message":"no","retryable":true}', 0),
}


def test_untried_items_go_again_at_once_as_a_higher_try():
    """They count against nobody."""
    bench = Bench(["ok", "untried", "bad", "untried"])
    delivered = bench.deliver()
    assert bench.sent == [([0, 1, 2, 3], 1), ([1, 3], 2)] and bench.now == 0.0
    assert [outcome.fate for outcome in delivered.outcomes.values()] == [
        Fate.OK,
        Fate.OK,
        Fate.FAILED,
        Fate.OK,
    ]


def test_items_that_may_succeed_later_are_left_to_a_queue():
    """Without `resend` they come back as they are."""
    assert Bench(["later", "ok"], resend=False).fates(2) == [
        Fate.AGAIN,
        Fate.OK,
    ]
    assert Bench(["later", "ok"]).fates(2) == [Fate.OK, Fate.OK]


def test_a_chunk_that_times_out_is_halved_until_the_item_at_fault_stands_alone():
    """It alone is given up, and no record says why."""
    lost = Lost(LossKind.TIMEOUT, "TimeoutError", "slow")
    delivered = Bench(lost, lost, lost, lost, lost, "ok", "ok").deliver(4)
    assert delivered.stop is None and len(delivered.given_up) <= 1


def test_a_platform_that_is_down_is_waited_for_until_patience_ends():
    """Then everything comes back unsettled, with the reason."""
    bench = Bench(*[Lost(LossKind.DOWN, "ConnectionError", "gone")] * 500, patience=60.0)
    delivered = bench.deliver(2)
    assert (delivered.stop.type, delivered.stop.message) == (
        "ConnectionError",
        "gone",
    ) and 60 <= bench.now < 200
    assert [outcome.fate for outcome in delivered.outcomes.values()] == [Fate.AGAIN, Fate.AGAIN]


def test_a_refused_key_stops_at_once():
    """It is nobody's outcome."""
    delivered = Bench(Lost(LossKind.STOPPED, "AuthenticationError", "no")).deliver(2)
    assert (delivered.stop.type, delivered.stop.message) == ("AuthenticationError", "no")
    assert delivered.counts.calls == 1
