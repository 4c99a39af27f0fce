"""The examination of a live SQS queue and its dead-letter queue, against the numbers of the spec."""

from __future__ import annotations

from collections.abc import Iterator

from wrapgen.doctor.finding import Finding, fault, ok, unchecked
from wrapgen.errors import PlatformError
from wrapgen.run.integrations.sqs_queue import DeadLetterFacts, QueueFacts, SqsQueue
from wrapgen.spec import Spec
from wrapgen.spec.queue import QueueNumbers, queue_numbers


def examine(spec: Spec, url: str, consumer: str) -> Iterator[Finding]:
    """How a live queue differs from what `wrapgen build --sqs` emits for the spec.

    Args:
        spec: a valid spec.
        url: the queue's.
        consumer: who takes its messages, one of `spec.queue.CONSUMERS`.

    Raises:
        PlatformError: the queue can't be looked at.
    """
    queue = SqsQueue(url)
    facts, wanted = queue.facts(), queue_numbers(spec, consumer)
    yield from _found("queue", url, differences(wanted, facts, consumer), f"is set up for {consumer}")
    if facts.dead_letter is None:
        return
    try:
        dead = queue.dead_letters(facts)
    except PlatformError as error:
        hint = "look with credentials that may read its attributes"
        yield unchecked("dead letters", f"{facts.dead_letter}: {error.message}", hint)
        return
    found = dead_letter_differences(wanted, facts.retention, dead)
    yield from _found(
        "dead letters", facts.dead_letter, found, f"keeps them for {dead.retention // 86_400} days"
    )


def _found(what: str, name: str, differences: list[str], good: str) -> Iterator[Finding]:
    for difference in differences:
        yield fault(what, f"{name}: {difference}", "deploy the queue.yaml of wrapgen build --sqs")
    if not differences:
        yield ok(what, f"{name} {good}")


def differences(wanted: QueueNumbers, facts: QueueFacts, consumer: str) -> list[str]:
    """What is wrong with a live queue, in sentences; a worker sets the visibility itself, so any will do."""
    found = []
    most = facts.max_receives
    if most is None:
        found.append("it has no dead-letter queue: a failed message comes back until it expires")
    elif most < wanted.max_receives:
        found.append(f"a message is dead after {most} deliveries; the attempts take {wanted.max_receives}")
    if consumer != "worker" and facts.visibility < wanted.visibility:
        found.append(f"messages are hidden for {facts.visibility} s; {consumer} needs {wanted.visibility}")
    if facts.retention < wanted.visibility * (most or wanted.max_receives):
        found.append(
            f"messages expire after {facts.retention} s, before all their deliveries can have happened"
        )
    return found


def dead_letter_differences(wanted: QueueNumbers, retention: int, dead: DeadLetterFacts) -> list[str]:
    """What is wrong with a dead-letter queue, in sentences.

    Args:
        wanted: see `queue_numbers`.
        retention: seconds that the queue itself keeps messages; a dead letter's count from its first sending.
        dead: what the dead-letter queue says of itself.
    """
    found = []
    if not dead.takes:
        found.append("its redrive allow policy does not let the queue send it dead letters")
    if dead.retention < retention:
        found.append(f"it keeps messages for {dead.retention} s, and the queue itself for {retention}")
    elif dead.retention < wanted.dead_retention:
        found.append(f"it keeps messages for {dead.retention} s; the template has {wanted.dead_retention}")
    return found
