"""`wrapgen doctor`: everything that would fail, before it does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli import completion
from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer
from wrapgen.errors import PlatformError, UsageError

if TYPE_CHECKING:
    from wrapgen.doctor import Finding
    from wrapgen.run.integrations.sqs_queue import Queue, QueueFacts
    from wrapgen.spec import Spec
    from wrapgen.spec.queue import QueueNumbers


@click.command()
@click.argument("subject", metavar="REF|SPEC", shell_complete=completion.references_and_files)
@click.option("--queue", metavar="URL", help="With a SPEC: compare this SQS queue's attributes too.")
@click.option(
    "--consumer",
    type=click.Choice(["worker", "lambda", "event-flows"]),
    default="worker",
    show_default=True,
    help="Who takes the queue's messages.",
)
@json_option()
@platform_options
def command(
    subject: str,
    queue: str | None,
    consumer: str,
    as_json: bool,
    platform: PlatformChoice,
) -> int:
    """Look a wrapper over: a published one by its REF (owner/name), or one by its SPEC file.

    Checks the key, the versions of wrapper and target, their settings and limits, and whether records can be
    written. Sends no item to the target. Exit code 1 when something is wrong.
    """
    from wrapgen.doctor import examine

    with platform.client(pool=8) as client:
        if Path(subject).exists() or subject.endswith((".yaml", ".yml")):
            from wrapgen.spec import load

            loaded = load(subject)
            examination = examine.spec(client, loaded, os.environ)
            if queue:
                examination = chain(examination, _queue(loaded, queue, consumer))
        else:
            if queue:
                raise UsageError("--queue needs the SPEC, from which its numbers are computed")
            examination = examine.reference(client, subject, os.environ)
        findings = []
        for finding in examination:
            findings.append(finding)
            if not as_json:
                _show(finding)
    faults = examine.faults(findings)
    said = f"{faults} fault{'' if faults == 1 else 's'}" if faults else "no faults"
    answer({"faults": faults, "findings": [each.as_json() for each in findings]}, as_json, said)
    return 1 if faults else 0


def _queue(spec: Spec, url: str, consumer: str) -> Iterator[Finding]:
    """How a live queue differs from what `wrapgen build --sqs` emits for the spec."""
    from wrapgen.doctor.finding import fault, ok
    from wrapgen.run.integrations.sqs_queue import Queue
    from wrapgen.spec.queue import differences, queue_numbers

    queue = Queue(url)
    facts = queue.facts()
    wanted = queue_numbers(spec, consumer)
    found = differences(
        wanted,
        visibility=facts.visibility,
        max_receives=facts.max_receives,
        retention=facts.retention,
        consumer=consumer,
    )
    for difference in found:
        yield fault("queue", f"{url}: {difference}", "deploy the queue.yaml of wrapgen build --sqs")
    if not found:
        yield ok("queue", f"{url} is set up for {consumer}")
    if facts.dead_letter:
        yield from _dead_letters(queue, facts, wanted)


def _dead_letters(queue: Queue, facts: QueueFacts, wanted: QueueNumbers) -> Iterator[Finding]:
    from wrapgen.doctor.finding import fault, ok, unchecked
    from wrapgen.spec.queue import dead_letter_differences

    what, arn = "dead letters", facts.dead_letter
    try:
        dead = queue.dead_letters(facts)
    except PlatformError as error:
        yield unchecked(what, f"{arn}: {error.message}", "look with credentials that may read its attributes")
        return
    found = dead_letter_differences(
        wanted, retention=facts.retention, dead_retention=dead.retention, takes=dead.takes
    )
    for difference in found:
        yield fault(what, f"{arn}: {difference}", "deploy the queue.yaml of wrapgen build --sqs")
    if not found:
        yield ok(what, f"{arn} keeps them for {dead.retention // 86_400} days")


def _show(finding: Finding) -> None:
    from wrapgen.cli.terminal import STATES, styled

    level, hint = finding.level.value, f"; {finding.hint}" if finding.hint else ""
    styled((f"{level:12}", STATES[level]), f"{finding.what}: {finding.message}", (hint, "dim"))
