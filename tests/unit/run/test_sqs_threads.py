"""A worker whose own threads fail."""

from __future__ import annotations

import time
from random import Random

import pytest

from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.integrations.sqs_worker import LockedBackoff, SqsWorker, WorkerOptions
from wrapgen.run.scheduling.limits import Concurrency


class Queue:
    """A queue that answers what nobody expects."""

    def receive(self, count: int, **_: int) -> list:
        """What boto3 does not say."""
        raise KeyError("MessageId")


def test_a_fault_while_receiving_ends_the_worker_with_its_reason():
    """It does not stay up and keep what it has hidden from others forever."""
    random = Random(1)
    send = lambda chunk: pytest.fail(f"sent {chunk}")  # noqa: E731
    sender = EngineDelivery(send, 3, LockedBackoff(random, 0), time.monotonic, lambda _: False, random)
    worker = SqsWorker(Queue(), sender, lambda url: b"", print, WorkerOptions(wait=0), Concurrency(1))
    worker.run()
    assert worker.fault == "a fault of wrapgen: KeyError('MessageId')"
