"""`wrapgen runs`: the runs at and below a folder."""

from __future__ import annotations

import json
from pathlib import Path

import click

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import out
from wrapgen.errors import RunError


@click.command()
@click.argument(
    "folder", type=click.Path(path_type=Path, exists=True, file_okay=False), default=".", required=False
)
@json_option("Print one JSON array.")
def command(folder: Path, as_json: bool) -> None:
    """List the runs at and below FOLDER, the present one unless it is given.

    A run lives in a folder beside its output: scores.jsonl has scores.jsonl.run.
    """
    from wrapgen.run.status import find_runs, load

    found = []
    for path in find_runs(folder):
        try:
            found.append(load(path).as_json())
        except RunError as error:  # noqa: PERF203 - one damaged run must not hide the others
            found.append({"folder": str(path), "state": "damaged", "reason": error.message})
    if as_json:
        out(json.dumps(found))
    elif not found:
        out(f"no runs at or below {folder}")
    else:
        _table(found)


def _table(found: list[dict[str, object]]) -> None:
    from wrapgen.cli.terminal import table

    numbers = ("items", "failed", "open")
    rows = [
        [
            str(run.get("run", "?")),
            str(run["state"]),
            *(f"{run[name]:,}" if name in run else "?" for name in numbers),
            str(run.get("reference", "?")),
            str(run["folder"]),
        ]
        for run in found
    ]
    table(("run", "state", *numbers, "wrapper", "folder"), rows, numbers=numbers, state="state")
