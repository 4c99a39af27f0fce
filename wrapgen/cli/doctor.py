"""`wrapgen doctor`: everything that would fail, before it does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli import completion
from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer
from wrapgen.errors import NoCredentials, UsageError
from wrapgen.references import is_service

if TYPE_CHECKING:
    from wrapgen.doctor import Finding
    from wrapgen.local import LocalWrapper


@click.command()
@click.argument("subject", metavar="REF|SPEC|URL", shell_complete=completion.references_and_files)
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
    """Examine a wrapper: a published one by its REF (owner/name), one by its SPEC file, a served one by URL.

    Checks the key, the versions of wrapper and target, their settings and limits, and whether records can be
    written; sends no item. Of a SPEC that needs no platform: the server, its credentials and metadata, and
    the time of one call with the first of publish.examples. Exit code 1 when something is wrong.
    """
    from wrapgen.doctor import examine

    is_spec = Path(subject).exists() or subject.endswith((".yaml", ".yml"))
    if queue and not is_spec:
        raise UsageError("--queue needs the SPEC, from which its numbers are computed")
    with ExitStack() as stack:
        examination: Iterator[Finding] = iter(())
        local = _local(subject, platform) if is_spec else None
        if is_service(subject):
            from wrapgen.doctor.service import examine as examine_service

            examination = examine_service(subject, platform.key)
        elif local is not None:
            from wrapgen.local.examination import examine as examine_here

            examination = examine_here(local)
        else:
            client = stack.enter_context(platform.client(pool=8))
            if not is_spec:
                examination = examine.reference(client, subject, os.environ)
            else:
                from wrapgen.spec import load

                examination = examine.spec(client, load(subject), os.environ)
        if queue:
            from wrapgen.doctor.queue import examine as examine_queue
            from wrapgen.spec import load

            examination = chain(examination, examine_queue(load(subject), queue, consumer))
        findings = []
        for finding in examination:
            findings.append(finding)
            if not as_json:
                _show(finding)
    faults = examine.faults(findings)
    said = f"{faults} fault{'' if faults == 1 else 's'}" if faults else "no faults"
    answer({"faults": faults, "findings": [each.as_json() for each in findings]}, as_json, said)
    return 1 if faults else 0


def _local(path: str, platform: PlatformChoice) -> LocalWrapper | None:
    """The wrapper of a spec that needs no platform: an endpoint's, or a source's where none is configured."""
    from wrapgen.local import local_wrapper
    from wrapgen.spec import load

    target = load(path).target
    if target.algorithm is not None or (target.endpoint is not None and platform != PlatformChoice()):
        return None
    wrapper = local_wrapper(path)
    if target.endpoint is None and not wrapper.calls_platform:
        try:
            platform.client().close()
        except NoCredentials:
            return wrapper
        return None
    return None if wrapper.calls_platform else wrapper


def _show(finding: Finding) -> None:
    from wrapgen.cli.terminal import STATES, styled

    level, hint = finding.level.value, f"; {finding.hint}" if finding.hint else ""
    styled((f"{level:12}", STATES[level]), f"{finding.what}: {finding.message}", (hint, "dim"))
