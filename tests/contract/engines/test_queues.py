"""What every queue of a worker has to do, over SQS and over a queue in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import pytest

from wrapgen.run.integrations.message_queue import MessageQueue
from wrapgen.run.integrations.sqs_messages import Message


class MemoryQueue:
    """Messages in a dictionary; a receiver never waits."""

    def __init__(self) -> None:
        self._numbers = count(1)
        self._bodies: dict[str, tuple[str, int]] = {}
        self._handles: dict[str, str] = {}

    def send(self, *bodies: str) -> None:
        """Adds messages."""
        self._bodies.update((str(next(self._numbers)), (body, 0)) for body in bodies)

    def receive(self, count: int, *, wait: int, visibility: int) -> list[Message]:
        """See `MessageQueue`."""
        shown = [id_ for id_ in self._bodies if id_ not in self._handles.values()][:count]
        found = []
        for id_ in shown:
            body, receives = self._bodies[id_]
            self._bodies[id_] = body, receives + 1
            handle = f"h{next(self._numbers)}"
            self._handles[handle] = id_
            found.append(Message(id_, handle, body, receives + 1))
        return found

    def delete(self, messages: Sequence[Message]) -> list[Message]:
        """See `MessageQueue`."""
        for message in messages:
            self._bodies.pop(self._handles.pop(message.handle, ""), None)
        return []

    def hide(self, messages: Sequence[tuple[Message, float]]) -> list[Message]:
        """See `MessageQueue`."""
        for message, seconds in messages:
            if not seconds:
                self._handles.pop(message.handle, None)
        return []

    def remaining(self) -> int:
        """See `MessageQueue`."""
        return len(self._bodies)


@pytest.fixture(params=["memory", "sqs"])
def queue(request: pytest.FixtureRequest, monkeypatch) -> tuple[MessageQueue, Callable[..., Any]]:
    """One queue after the other, and what sends to it."""
    if request.param == "memory":
        made = MemoryQueue()
        return made, made.send
    from wrapgen.run.integrations.sqs_queue import SqsQueue

    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    sqs = request.getfixturevalue("make_queue")(visibility=600)
    return SqsQueue(sqs.url, "us-east-1"), sqs.send


def received(queue: MessageQueue, count: int) -> list[Message]:
    """So many messages, however many come at once."""
    found: list[Message] = []
    while len(found) < count:
        found += queue.receive(count - len(found), wait=1, visibility=600)
    return found


def test_a_received_message_is_hidden_until_it_is_shown_again(queue):
    """Nobody else gets it meanwhile; afterwards it comes again, and says how often it came."""
    made, send = queue
    send("one", "two")
    first = received(made, 2)
    assert {message.body for message in first} == {"one", "two"} and made.remaining() == 2
    assert [message.receives for message in first] == [1, 1]
    assert made.receive(10, wait=0, visibility=600) == []
    assert made.hide([(first[0], 0)]) == []
    (again,) = received(made, 1)
    assert (again.id, again.body, again.receives) == (first[0].id, first[0].body, 2)
    assert again.handle != first[0].handle


def test_a_deleted_message_is_gone(queue):
    """More than one request takes are deleted as well; none of them comes again."""
    made, send = queue
    send(*(f"text {n}" for n in range(13)))
    messages = received(made, 13)
    assert made.delete(messages) == [] and made.remaining() == 0
    assert made.receive(10, wait=0, visibility=600) == []


def test_a_hidden_message_stays_hidden(queue):
    """Extending hides it longer, and loses nothing."""
    made, send = queue
    send("one")
    (message,) = received(made, 1)
    assert made.hide([(message, 300)]) == []
    assert made.receive(10, wait=0, visibility=600) == [] and made.remaining() == 1
