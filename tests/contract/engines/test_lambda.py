"""The emitted Lambda function in a process of its own, fed as Lambda feeds it from a queue."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapgen.run.integrations.sqs_messages import run_of

PROGRAM = """\
import json, sys
sys.path.insert(0, sys.argv[1])
import handler

class Context:
    def __init__(self, seconds):
        self.seconds = seconds
    def get_remaining_time_in_millis(self):
        return int(self.seconds * 1000)

for line in sys.stdin:
    asked = json.loads(line)
    try:
        answer = handler.handle(asked["event"], Context(asked["seconds"]))
    except Exception as error:
        answer = {"raised": "{}: {}".format(type(error).__name__, error)}
    print(json.dumps(answer), flush=True)
"""

Invoke = Callable[..., list[str]]


@pytest.fixture(scope="module")
def folder(platform, tmp_path_factory) -> Path:
    """What `wrapgen build --lambda` emits."""
    folder = tmp_path_factory.mktemp("lambda")
    command = [sys.executable, "-m", "wrapgen", "build", str(platform.folder / "spec.yaml"), "--lambda"]
    built = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "generated" / "Recorded-lambda"


@pytest.fixture(scope="module")
def invoke(platform, folder) -> Iterator[Invoke]:
    """Invokes the warm function, which has no wrapgen: ids of the messages that it asks to keep."""
    bare = getattr(sys, "_base_executable", sys.executable)
    version = platform.reference.rpartition("/")[2]
    with subprocess.Popen(
        [bare, "-I", "-c", PROGRAM, str(folder)],
        env={**platform.environment, "WRAPPER_VERSION": version},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as function:
        assert function.stdin is not None and function.stdout is not None

        def invoke(event: dict[str, Any], seconds: float = 60.0) -> list[str]:
            print(json.dumps({"event": event, "seconds": seconds}), file=function.stdin, flush=True)
            answer = json.loads(function.stdout.readline())
            assert list(answer) == ["batchItemFailures"], answer
            return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

        yield invoke
        function.stdin.close()


def as_event(messages: list[dict[str, Any]], arn: str) -> dict[str, Any]:
    """Received messages as Lambda passes them on: its own spelling of the same fields."""
    return {
        "Records": [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": {},
                "md5OfBody": hashlib.md5(message["Body"].encode()).hexdigest(),
                "eventSource": "aws:sqs",
                "eventSourceARN": arn,
                "awsRegion": "us-east-1",
            }
            for message in messages
        ]
    }


class Poller:
    """What Lambda itself does around a function: receives, invokes, deletes what it need not keep."""

    def __init__(self, queue: Any, invoke: Invoke) -> None:
        self.queue = queue
        self._invoke = invoke
        found = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["QueueArn"])
        self.arn = found["Attributes"]["QueueArn"]

    def once(self, together: int = 10, seconds: float = 60.0) -> list[str] | None:
        """One event: bodies of what was kept, in order; None if there was nothing to receive."""
        found = self.queue.client.receive_message(
            QueueUrl=self.queue.url, MaxNumberOfMessages=together, AttributeNames=["All"]
        )
        messages = found.get("Messages") or []
        if not messages:
            return None
        kept = self._invoke(as_event(messages, self.arn), seconds)
        for message in messages:
            handle = {"QueueUrl": self.queue.url, "ReceiptHandle": message["ReceiptHandle"]}
            if message["MessageId"] in kept:
                self.queue.client.change_message_visibility(**handle, VisibilityTimeout=0)
            else:
                self.queue.client.delete_message(**handle)
        by_id = {message["MessageId"]: json.loads(message["Body"])["n"] for message in messages}
        return [by_id[id_] for id_ in kept]


def test_after_a_failure_the_rest_of_a_fifo_group_is_kept(platform, make_queue, invoke):
    """Partial batch responses: the failed message, what follows it in its group, and nothing of another."""
    queue = make_queue(fifo=True)
    note = platform.folder / "lambda-fifo.txt"
    for n, group in enumerate("ababa"):
        fails = {"fail": "ServerError"} if n == 2 else {}
        queue.send({"n": n, "note": str(note), **fails}, group=group)
    poller = Poller(queue, invoke)
    assert poller.once() == [2, 4]
    asked = note.read_text().split()
    assert sorted(set(asked)) == ["0", "1", "2", "3"] and asked.index("0") < asked.index("2")
    records = platform.records(run_of(poller.arn))
    assert {id_: record.get("result", {}).get("n") for id_, record in records.items()} == {
        queue.ids[0]: 0,
        queue.ids[1]: 1,
        queue.ids[2]: None,
        queue.ids[3]: 3,
    }


def test_a_fifo_group_goes_on_behind_a_poison_message(platform, make_queue, invoke):
    """One by one, redelivered until the queue gives the poison up: all in order, each recorded once."""
    queue = make_queue(fifo=True, max_receives=2)
    note = platform.folder / "lambda-poison.txt"
    for n in range(4):
        fails = {"fail": "InputError"} if n == 1 else {}
        queue.send({"n": n, "note": str(note), **fails}, group="one")
    poller = Poller(queue, invoke)
    events = list(iter(lambda: poller.once(together=1), None))
    assert events == [[], [1], [1], [], []]
    assert [message["MessageId"] for message in queue.dead()] == [queue.ids[1]]
    assert note.read_text().split() == ["0", "1", "1", "2", "3"]
    records = platform.records(run_of(poller.arn))
    assert set(records) == set(queue.ids) and records[queue.ids[1]]["error"]["type"] == "InputError"


def test_a_delivery_that_comes_again_is_recorded_once(platform, make_queue, invoke):
    """The same event twice, as after a function that was killed before it answered."""
    queue = make_queue()
    queue.send({"n": 5}, {"n": 6})
    poller = Poller(queue, invoke)
    received = queue.client.receive_message(
        QueueUrl=queue.url, MaxNumberOfMessages=10, AttributeNames=["All"]
    )["Messages"]
    event = as_event(received, poller.arn)
    assert invoke(event) == invoke(event) == []
    assert len(platform.records(run_of(poller.arn))) == 2


def test_a_function_without_time_keeps_every_message(platform, make_queue, invoke):
    """What can't be sent any more stays in the queue, in its order."""
    queue = make_queue(fifo=True)
    queue.send({"n": 1}, {"n": 2}, group="one")
    poller = Poller(queue, invoke)
    assert poller.once(seconds=5.0) == [1, 2]
    assert platform.records(run_of(poller.arn)) == {} and poller.once() == []
