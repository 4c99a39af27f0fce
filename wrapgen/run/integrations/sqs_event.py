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
from wrapgen.run.integrations.plain_calls import PlainCalls
from wrapgen.run.integrations.sqs_batch import Batches
from wrapgen.run.integrations.sqs_messages import Message, Pile, run_of
from wrapgen.run.process import Terms, process_chunk
from wrapgen.run.push import Pace
from wrapgen.run.retry import SharedBackoff
from wrapgen.run.wrappers import Description, describe

MOST = 1000
"""Messages in a call, at most."""

RESERVE = 10.0
"""Seconds of a function's time that are kept for its answer."""


def connect(calls: PlainCalls, reference: str) -> Description:
    """Asks the wrapper what it is, once for all events of a process.

    Raises:
        UsageError: it records nothing.
    """
    about = describe(lambda body, seconds: calls.call(reference, body, seconds), reference)
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
    pile = Pile()
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
    terms = Terms(
        run=run,
        timeout=max(1.0, min(left, about.timeout + 30, protocol.MAX_TIMEOUT)),
        attempts=about.attempts,
        request_bytes=about.request_bytes,
        clock=time.monotonic,
        sideband=calls,
    )

    def wait(seconds: float) -> bool:
        if time.monotonic() + seconds >= end:
            return True
        time.sleep(seconds)
        return False

    random = Random()  # noqa: S311
    return Batches(
        process=lambda chunk: process_chunk(
            chunk, lambda body, seconds: calls.call(reference, body, seconds, run), terms
        ),
        read=calls.fetch,
        pace=Pace(about.attempts, time.monotonic, wait, random, resend=False),
        backoff=SharedBackoff(random, left),
        id_path=id_path,
        aim=min(protocol.CHUNK_AIM, about.request_bytes * 8 // 10),
    )
