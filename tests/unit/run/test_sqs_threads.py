"""A worker whose own threads fail."""

from __future__ import annotations

import time
from random import Random

import pytest

from wrapgen.run.integrations.sqs_worker import SqsWorker, WorkerEffects, WorkerOptions
from wrapgen.run.scheduling.limits import Concurrency


class Queue:
    """A queue that answers what nobody expects."""

    def receive(self, count: int, **_: int) -> list:
        """What boto3 does not say."""
        raise KeyError("MessageId")


def test_a_fault_while_receiving_ends_the_worker_with_its_reason():
    """It does not stay up and keep what it has hidden from others for ever."""
    effects = WorkerEffects(
        call=lambda chunk: pytest.fail(f"sent {chunk}"),
        read=lambda url: b"",
        tell=print,
        clock=time.monotonic,
        random=Random(1),
        attempts=3,
        patience=0,
    )
    worker = SqsWorker(Queue(), effects, WorkerOptions(wait=0), Concurrency(1))
    worker.run()
    assert worker.fault == "a fault of wrapgen: KeyError('MessageId')"
