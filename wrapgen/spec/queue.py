"""How a queue must be set up for a wrapper, by its consumer. Pure numbers."""

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
