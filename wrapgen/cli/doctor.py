"""`wrapgen doctor`: everything that would fail, before it does."""

from __future__ import annotations

import os
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli import completion
from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer
from wrapgen.errors import UsageError

if TYPE_CHECKING:
    from wrapgen.doctor import Finding


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
    """Examine a wrapper: a published one by its REF (owner/name), or one by its SPEC file.

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
                from wrapgen.doctor.queue import examine as examine_queue

                examination = chain(examination, examine_queue(loaded, queue, consumer))
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


def _show(finding: Finding) -> None:
    from wrapgen.cli.terminal import STATES, styled

    level, hint = finding.level.value, f"; {finding.hint}" if finding.hint else ""
    styled((f"{level:12}", STATES[level]), f"{finding.what}: {finding.message}", (hint, "dim"))
