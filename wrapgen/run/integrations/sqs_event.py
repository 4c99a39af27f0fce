"""Messages that Lambda hands to a function: which of them it shall keep in the queue.

The same as the worker, but that Lambda receives, deletes and returns: it only asks for what failed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any

from wrapgen import protocol
from wrapgen.errors import UsageError
from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.description import Description
from wrapgen.run.integrations.plain_calls import PlainCalls
from wrapgen.run.integrations.sqs_batch import Batches
from wrapgen.run.integrations.sqs_messages import Backlog, Message, run_of
from wrapgen.run.scheduling.policy import SharedBackoff

MOST = 1000
"""Messages in a call, at most."""

RESERVE = 10.0
"""Seconds of a function's time that are kept for its answer."""


def connect(calls: PlainCalls, reference: str) -> Description:
    """Asks the wrapper what it is, once for all events of a process.

    Raises:
        UsageError: it records nothing.
    """
    about = calls.host(reference).describe()
    if about.datastore is None:
        raise UsageError(f"{reference} records nothing: every result would be lost")
    return about


def failures(
    event: dict[str, Any],
    seconds_left: Callable[[], float],
    calls: PlainCalls,
    reference: str,
    about: Description,
    id_path: str | None,
) -> dict[str, Any]:
    """What a function with partial batch responses answers: the messages that Lambda must not delete.

    Args:
        event: as Lambda gives it; all of its messages are of one queue.
        seconds_left: what is left of the function's time.
        calls: how to reach the platform.
        reference: the wrapper's exact version.
        about: what it says of itself.
        id_path: where in a body the id is; None: the MessageId is the id.
    """
    records = event.get("Records") or []
    pile = Backlog()
    pile.add(Message.of_event(record) for record in records)
    kept: list[Message] = []
    while batch := pile.take(MOST, protocol.CHUNK_AIM):
        left = seconds_left() - RESERVE
        if left < 2:
            kept += [*batch, *pile.empty()]
            break
        run = run_of(records[0]["eventSourceARN"])
        batches = _batches(left, run, calls, reference, about, id_path)
        for _, settled in batches.settle(batch):
            for one in settled:
                kept += [] if one.succeeded else [one.message]
                kept += pile.settled(one.message, succeeded=one.succeeded)
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in kept]}


def _batches(
    left: float, run: str, calls: PlainCalls, reference: str, about: Description, id_path: str | None
) -> Batches:
    end = time.monotonic() + left
    terms = Terms.of(about, run, time.monotonic, min(left, protocol.call_timeout(about.timeout)))

    def wait(seconds: float) -> bool:
        if time.monotonic() + seconds >= end:
            return True
        time.sleep(seconds)
        return False

    random = Random()  # noqa: S311
    sender = EngineDelivery(
        call=ChunkCall(calls.host(reference).in_run(run), terms),
        attempts=about.attempts,
        backoff=SharedBackoff(random, left),
        clock=time.monotonic,
        wait=wait,
        random=random,
        resend=False,
    )
    return Batches(sender, calls.read, id_path, about.aim)
