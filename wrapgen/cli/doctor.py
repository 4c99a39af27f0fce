"""`wrapgen doctor`: everything that would fail, before it does."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import client_for, platform_options

if TYPE_CHECKING:
    from wrapgen.doctor import Finding

STYLES = {"ok": "green", "fault": "bold red", "not checked": "yellow"}


@click.command()
@click.argument("subject", metavar="REF|SPEC")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@platform_options
def command(
    subject: str,
    as_json: bool,
    address: str | None,
    api_key: str | None,
    key_env: str | None,
    profile: str | None,
    home: Path | None,
) -> int:
    """Look a wrapper over: a published one by its REF (owner/name), or one by its SPEC file.

    Checks the key, the versions of wrapper and target, their settings and limits, and whether records can be
    written. Sends no item to the target. Exit code 1 when something is wrong.
    """
    from wrapgen.doctor import examine

    with client_for(address, api_key, key_env, profile, home) as client:
        if Path(subject).exists() or subject.endswith((".yaml", ".yml")):
            from wrapgen.spec import load

            examination = examine.spec(client, load(subject), os.environ)
        else:
            examination = examine.reference(client, subject, os.environ)
        findings = []
        for finding in examination:
            findings.append(finding)
            if not as_json:
                _show(finding)
    faults = examine.faults(findings)
    if as_json:
        click.echo(json.dumps({"faults": faults, "findings": [each.as_json() for each in findings]}))
    else:
        click.echo(f"{faults} fault{'' if faults == 1 else 's'}" if faults else "no faults")
    return 1 if faults else 0


def _show(finding: Finding) -> None:
    from rich.console import Console
    from rich.text import Text

    line = Text.assemble((f"{finding.level.value:12}", STYLES[finding.level.value]), f"{finding.what}: ")
    line.append(finding.message)
    if finding.hint:
        line.append(f"; {finding.hint}", style="dim")
    Console(highlight=False, soft_wrap=True).print(line)
