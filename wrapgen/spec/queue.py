"""How a queue must be set up for a wrapper, by who takes its messages. Pure numbers; nobody is asked."""

from __future__ import annotations

from dataclasses import dataclass

from wrapgen.spec.model import Spec

CONSUMERS = ("worker", "lambda", "event-flows")
"""Who takes the messages: `wrapgen worker sqs`, a Lambda function, the platform's own Event Flows."""

WORKER_VISIBILITY = 60
"""Seconds; the worker's heartbeat extends them while it works, so those of a killed one are soon back."""

LAMBDA_MAXIMUM = 900
"""Seconds that Lambda gives a function, at most."""

MARGIN = 60
"""Seconds of a Lambda function beyond the wrapper's own limit."""

TIMES = 6
"""AWS asks for a visibility of six times the function's timeout, for retries when it is throttled."""

LOST_DELIVERIES = 2
"""Deliveries that a message may lose to workers that end, beside those that its attempts take."""

RETENTION, DEAD_RETENTION = 4 * 86_400, 14 * 86_400
"""Seconds that messages are kept; a dead letter's count from when it was first sent."""

LONGEST_VISIBILITY = 43_200


@dataclass(frozen=True)
class QueueNumbers:
    """Attributes that a queue should have: seconds, and deliveries before a message is a dead letter."""

    visibility: int
    max_receives: int
    retention: int = RETENTION
    dead_retention: int = DEAD_RETENTION


def lambda_timeout(spec: Spec) -> int:
    """Seconds that the Lambda function gets."""
    return min(LAMBDA_MAXIMUM, spec.limits.timeout + MARGIN)


def queue_numbers(spec: Spec, consumer: str) -> QueueNumbers:
    """What a queue needs for one of `CONSUMERS`."""
    visibility = {
        "worker": WORKER_VISIBILITY,
        "lambda": TIMES * lambda_timeout(spec),
        "event-flows": TIMES * spec.limits.timeout,
    }[consumer]
    return QueueNumbers(min(LONGEST_VISIBILITY, visibility), spec.dispatch.attempts + LOST_DELIVERIES)


def differences(
    wanted: QueueNumbers, *, visibility: int, max_receives: int | None, retention: int, consumer: str
) -> list[str]:
    """What is wrong with a live queue, in sentences; empty if nothing is.

    Args:
        wanted: see `queue_numbers`.
        visibility, max_receives, retention: the live queue's; None without a dead-letter queue.
        consumer: who takes its messages. The worker sets the visibility itself, so any will do for it.
    """
    found = []
    if max_receives is None:
        found.append("it has no dead-letter queue: what fails for good comes back until it expires")
    elif max_receives < wanted.max_receives:
        found.append(
            f"a message is dead after {max_receives} deliveries; the attempts take {wanted.max_receives}"
        )
    if consumer != "worker" and visibility < wanted.visibility:
        found.append(f"messages are hidden for {visibility} s; {consumer} needs {wanted.visibility}")
    if retention < wanted.visibility * (max_receives or wanted.max_receives):
        found.append(f"messages expire after {retention} s, before all their deliveries can have happened")
    return found


def dead_letter_differences(
    wanted: QueueNumbers, *, retention: int, dead_retention: int, takes: bool
) -> list[str]:
    """What is wrong with a live dead-letter queue, in sentences; empty if nothing is.

    Args:
        wanted: see `queue_numbers`.
        retention: seconds that the queue itself keeps messages.
        dead_retention: those that the dead-letter queue keeps them, counted from when they were first sent.
        takes: whether it lets the queue send it dead letters.
    """
    found = []
    if not takes:
        found.append("its redrive allow policy does not let the queue send it dead letters")
    if dead_retention < retention:
        found.append(f"it keeps messages for {dead_retention} s, and the queue itself for {retention}")
    elif dead_retention < wanted.dead_retention:
        found.append(f"it keeps messages for {dead_retention} s; the template has {wanted.dead_retention}")
    return found
