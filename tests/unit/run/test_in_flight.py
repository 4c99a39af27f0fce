"""Holding messages: what the heartbeat extends."""

from __future__ import annotations

from wrapgen.errors import Unreachable
from wrapgen.run.integrations.sqs_in_flight import MessagesInFlight
from wrapgen.run.integrations.sqs_messages import Message


class Queue:
    """Notes what is hidden; `fails` makes it refuse."""

    def __init__(self) -> None:
        self.hidden: list[tuple[str, float]] = []
        self.fails = False

    def delete(self, messages) -> list[Message]:
        """Deletes all."""
        return []

    def hide(self, messages) -> list[Message]:
        """Hides all."""
        if self.fails:
            raise Unreachable("no queue", hint="")
        assert len(messages) <= 10
        self.hidden += [(message.id, seconds) for message, seconds in messages]
        return []


def held(count: int) -> tuple[Queue, MessagesInFlight, list[Message], list[str]]:
    """Messages that a worker holds, and what it tells."""
    queue, said = Queue(), []
    hold, messages = (
        MessagesInFlight(queue, 60, said.append),
        [Message(str(n), f"h{n}", "x") for n in range(count)],
    )
    hold.take(messages)
    return queue, hold, messages, said


def test_a_beat_extends_everything_in_work_ten_at_a_time():
    """Each message is hidden for its whole time from now on."""
    queue, hold, messages, _ = held(23)
    hold.beat()
    assert queue.hidden == [(message.id, 60) for message in messages]


def test_a_beat_leaves_alone_what_is_no_longer_held():
    """What was deleted, or shown again for others, is not hidden by a late beat."""
    queue, hold, (deleted, back, kept), _ = held(3)
    hold.delete([deleted])
    hold.give_back([(back, 5.0)])
    hold.beat()
    assert queue.hidden == [(back.id, 5.0), (kept.id, 60)] and len(hold) == 1


def test_a_beat_that_the_queue_refuses_is_told_and_the_next_one_is_made():
    """An outage costs a beat, not the messages."""
    queue, hold, (message,), said = held(1)
    queue.fails = True
    hold.beat()
    queue.fails = False
    hold.beat()
    assert said == ["could not keep messages hidden: no queue"] and queue.hidden == [(message.id, 60)]
