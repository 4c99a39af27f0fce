"""`wrapgen report`: writes the report of a run again, also while it is in progress or after it was killed."""

from __future__ import annotations

from pathlib import Path

import click

from wrapgen.cli import completion
from wrapgen.cli.inputs import folder_of
from wrapgen.cli.options import FILE, json_option
from wrapgen.cli.terminal import answer


@click.command()
@click.argument("run", shell_complete=completion.runs)
@click.option(
    "-o",
    "--output",
    type=FILE,
    help="The HTML file. [beside the run's output]",
)
@json_option("Print its path and everything that it says as JSON.")
def command(run: str, output: Path | None, as_json: bool) -> None:
    """Write the report of RUN, given by its output, its folder or its id.

    Every session of `wrapgen run` writes it when it ends. This command writes it at any time from the
    ledger: while a run is in progress, or after it was killed.
    """
    from wrapgen.errors import UsageError
    from wrapgen.run.report.page import write_report

    try:
        facts = write_report(folder_of(run), output)
    except OSError as error:
        raise UsageError(
            f"the report can't be written: {error.strerror}: {error.filename}",
            hint="name another file with -o",
        ) from error
    answer(facts, as_json, str(_short(Path(facts["path"]))))


def _short(path: Path) -> Path:
    """As a person here would type it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
