"""`wrapgen worker sqs`: work on a queue until told to stop."""

from __future__ import annotations

import threading
import time
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli.options import json_option, number_option, platform_options, timeout_option
from wrapgen.cli.signals import stopping
from wrapgen.cli.terminal import answer, err
from wrapgen.errors import RunError, UsageError

if TYPE_CHECKING:
    from wrapgen.run.hosts.description import Description
    from wrapgen.run.integrations.sqs_queue import QueueFacts, SqsQueue
    from wrapgen.run.integrations.sqs_worker import SqsWorker, WorkerOptions


@click.group("worker")
def command() -> None:
    """Feed a wrapper from another system until it is stopped."""


@command.command("sqs")
@click.option("--queue", "url", required=True, metavar="URL", help="The queue's URL.")
@click.option(
    "--wrapper", "reference", required=True, metavar="REFERENCE", help="owner/name/version, or a URL."
)
@click.option("--id", "id_path", metavar="PATH", help="Where in the body the id is. [the MessageId]")
@number_option("--batch", 100, 1, 1000, help="Messages a call.")
@number_option("--linger", 1.0, 0, 60, help="Seconds to wait for a call to fill up.")
@click.option("--calls", type=click.IntRange(min=1), help="The most calls to keep open.")
@timeout_option
@number_option("--wait", 20, 0, 20, help="Seconds of a long poll.")
@number_option("--visibility", 60, 3, 43_200, help="Seconds for which a message is hidden at a time.")
@click.option(
    "--failed",
    type=click.Choice(["leave", "delete"]),
    default="leave",
    show_default=True,
    help="Permanently failed messages go to the dead-letter queue, or are deleted once recorded.",
)
@number_option("--patience", 600.0, 0, help="Seconds to wait for a platform that is down.")
@click.option("--region", metavar="NAME", help="The queue's region, where its URL does not say it.")
@click.option("--until-empty", is_flag=True, help="End when the queue is empty.")
@json_option("Print the summary as JSON.")
@platform_options
def sqs(url: str, reference: str, as_json: bool, **given: Any) -> None:
    """Push every message of an SQS queue through a wrapper that records.

    A message is deleted once it is recorded, and never before. SIGTERM lets open calls end and gives the
    rest back.
    """
    from wrapgen.run.integrations.sqs_messages import run_of
    from wrapgen.run.integrations.sqs_queue import SqsQueue

    queue = SqsQueue(url, given["region"], calls=(given["calls"] or 10) + 2)
    facts = queue.facts()
    _can_fail(facts, given["failed"])
    worker, exact, about = _worker(queue, facts, reference, given)
    err(
        f"working on {url} as run {run_of(facts.arn)}, through {exact}; records go to {about.datastore}",
    )
    message = "draining: open calls end, the rest goes back to the queue"
    with stopping(worker.stop, message):
        counts = asdict(worker.run())
    told = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    answer({"run": run_of(facts.arn), "reference": exact, **counts}, as_json, told)
    if worker.fault:
        raise RunError(f"the worker stopped: {worker.fault}", hint="its messages are back in the queue")


def _can_fail(facts: QueueFacts, failed: str) -> None:
    if failed == "leave" and facts.dead_letter is None:
        raise UsageError(
            f"the queue {facts.arn} has no dead-letter queue: failed messages would come back without end",
            hint="give it one, or add --failed delete: the record then is all that remains",
        )


def _worker(
    queue: SqsQueue, facts: QueueFacts, reference: str, given: dict[str, Any]
) -> tuple[SqsWorker, str, Description]:
    from random import Random

    from wrapgen.run.engine_delivery import EngineDelivery
    from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
    from wrapgen.run.hosts.lookup import find_host
    from wrapgen.run.hosts.patience import Patience
    from wrapgen.run.integrations.sqs_messages import run_of
    from wrapgen.run.integrations.sqs_worker import LockedBackoff, SqsWorker
    from wrapgen.run.scheduling.limits import Concurrency, ceiling

    platform, pool = given["platform"], given["calls"] or 10
    client = cache(lambda: platform.client(pool=pool))  # which a message with a data URL may need, too
    patience = Patience(given["patience"], lambda wait: err(str(wait)))
    host = find_host(client, reference, None, patience, token=platform.key, pool=pool)
    exact, about = host.reference, host.describe()
    if about.datastore is None:
        raise UsageError(
            f"{exact} records nothing, and a queue does not take answers: every result would be lost",
            hint="build the wrapper with mode log or both and a datastore",
        )
    run, random = run_of(facts.arn), Random()  # noqa: S311  # spreads waits; nobody gains by guessing them
    sender = EngineDelivery(
        call=ChunkCall(host.in_run(run), Terms.of(about, run, time.monotonic, given["timeout"])),
        attempts=about.attempts,
        backoff=LockedBackoff(random, given["patience"]),
        clock=time.monotonic,
        wait=threading.Event().wait,
        random=random,
    )
    concurrency = Concurrency(ceiling(about.parallel, given["calls"], host.concurrency))
    options = _options(given, about.aim)

    def read(file: str) -> bytes:
        content: bytes = client().data.read(file)
        return content

    return SqsWorker(queue, sender, read, err, options, concurrency), exact, about


def _options(given: dict[str, Any], aim: int) -> WorkerOptions:
    from wrapgen.run.integrations.sqs_worker import WorkerOptions

    same = ("batch", "linger", "wait", "visibility", "id_path", "until_empty")
    return WorkerOptions(
        **{name: given[name] for name in same},
        delete_failed=given["failed"] == "delete",
        aim=aim,
    )
