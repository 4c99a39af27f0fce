"""The options that say what of an input is an item, and what they mean; shared by run, plan and verify."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from wrapgen.cli import completion
from wrapgen.cli.options import options
from wrapgen.cli.terminal import err, passing

if TYPE_CHECKING:
    from wrapgen.client import DataCalls
    from wrapgen.run.input.items import Items
    from wrapgen.run.ledger.folder import Folder

input_options = options(
    click.option(
        "--format",
        "format_",
        metavar="NAME",
        help="The input's format, where its name does not tell.",
        shell_complete=completion.formats,
    ),
    click.option("--field", metavar="NAME", help="The item is this field of the row."),
    click.option("--template", metavar="JSON", help="""The item is made so: '{"document": "{text}"}'."""),
    click.option("--id", "id_field", metavar="FIELD", help="The field that is the item's id. [run index]"),
    click.option("--delimiter", metavar="CHAR", help="The delimiter of a table's cells. [detected]"),
    click.option("--quote", metavar="CHAR", help="The quote of a table's cells, or none. [detected]"),
    click.option("--encoding", metavar="NAME", help="Of the input's text. [detected: UTF-8, 16 or 32]"),
)


def items_of(
    source: str,
    given: dict[str, Any],
    folder: Folder,
    data: Callable[[], DataCalls],
    *,
    replace: bool,
    output: Path | None = None,
) -> Items:
    """The items that INPUT and the input options name; `data` gives the platform's data service."""
    from wrapgen.run.input.inputs import open_input
    from wrapgen.run.input.items import Selection
    from wrapgen.run.input.reading import Reading, told

    delimiter = {"tab": "\t", "\\t": "\t"}.get(given["delimiter"], given["delimiter"])
    items = open_input(
        source,
        given["format_"],
        Selection(given["field"], given["template"], given["id_field"]),
        folder,
        stdin=sys.stdin.buffer,
        data=data,
        replace=replace,
        output=output,
        reading=Reading(delimiter, "" if given["quote"] == "none" else given["quote"], given["encoding"]),
    )
    if words := told(items.origin()):
        err(f"reading {source}: {words}")
    return items


def reading(rows: int) -> None:
    """Long inputs take a moment before the first call; on a terminal one line says so."""
    passing(f"reading the input: {rows:,} rows")


def folder_of(run: str) -> Path:
    """The folder of the run that a user means; of one in a bucket, a copy for as long as the command runs."""
    from wrapgen.run.bucket import is_remote
    from wrapgen.run.ledger.bucket_folder import state_to_read
    from wrapgen.run.status import locate

    if is_remote(run):
        return click.get_current_context().with_resource(state_to_read(run, err))
    return locate(run, Path())
