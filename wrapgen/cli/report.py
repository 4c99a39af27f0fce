"""`wrapgen report`: writes the report of a run again, also of one that goes on or was killed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wrapgen.cli import completion
from wrapgen.cli.terminal import out


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The HTML file. [beside the run's output]",
)
@click.option("--json", "as_json", is_flag=True, help="Print its path and everything that it says as JSON.")
def command(run: str, output: Path | None, as_json: bool) -> None:
    """Write the report of RUN: the output it writes, its folder, or its id.

    Every session of `wrapgen run` writes it at its end; this does at any time, from the ledger: for a run
    that goes on, or one that was killed.
    """
    from wrapgen.errors import UsageError
    from wrapgen.run.known import locate
    from wrapgen.run.report.page import write_report

    try:
        facts = write_report(locate(run, Path()), output)
    except OSError as error:
        raise UsageError(
            f"the report can't be written: {error.strerror}: {error.filename}",
            hint="name another file with -o",
        ) from error
    if as_json:
        out(json.dumps(facts))
    else:
        out(str(_short(Path(facts["path"]))))


def _short(path: Path) -> Path:
    """As a person here would type it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
