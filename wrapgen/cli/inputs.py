"""The options that say what of an input is an item, and what they mean; shared by run, plan and verify."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wrapgen.cli import completion
from wrapgen.cli.options import client_for
from wrapgen.cli.terminal import err, passing

if TYPE_CHECKING:
    from wrapgen.client import Client
    from wrapgen.run.folder import Folder
    from wrapgen.run.input.items import Items

F = TypeVar("F", bound=Callable[..., Any])

_INPUT_OPTIONS = (
    click.option(
        "--format",
        "format_",
        metavar="NAME",
        help="Of the input, where its name does not say it.",
        shell_complete=completion.formats,
    ),
    click.option("--field", metavar="NAME", help="The item is this field of the row."),
    click.option("--template", metavar="JSON", help="""The item is made so: '{"document": "{text}"}'."""),
    click.option("--id", "id_field", metavar="FIELD", help="The field that is the item's id. [run index]"),
    click.option("--delimiter", metavar="CHAR", help="What divides the cells of a table. [found out]"),
    click.option("--quote", metavar="CHAR", help="What quotes the cells of a table, or none. [found out]"),
    click.option("--encoding", metavar="NAME", help="Of the input's text. [found out: UTF-8, 16 or 32]"),
)


def input_options(function: F) -> F:
    """Adds the options of the input: format_, field, template, id_field, delimiter, quote, encoding."""
    for option in reversed(_INPUT_OPTIONS):
        function = option(function)
    return function


def items_of(
    source: str,
    given: dict[str, Any],
    folder: Folder,
    client: Client,
    *,
    replace: bool,
    output: Path | None = None,
) -> Items:
    """The items that INPUT and the input options name."""
    from wrapgen.run.input.files import Reading, told
    from wrapgen.run.input.inputs import open_input
    from wrapgen.run.input.items import Selection

    delimiter = {"tab": "\t", "\\t": "\t"}.get(given["delimiter"], given["delimiter"])
    items = open_input(
        source,
        given["format_"],
        Selection(given["field"], given["template"], given["id_field"]),
        folder,
        stdin=sys.stdin.buffer,
        data=client.data,
        replace=replace,
        output=output,
        reading=Reading(delimiter, "" if given["quote"] == "none" else given["quote"], given["encoding"]),
    )
    if words := told(items.origin()):
        err(f"reading {source}: {words}")
    return items


def platform(given: dict[str, Any], workers: int | None = None) -> Client:
    """The client that the platform options name, with as many connections as a run may need."""
    from wrapgen.run.concurrency import ACCOUNT_CALLS

    names = ("address", "api_key", "key_env", "profile", "home")
    return client_for(*(given[name] for name in names), pool=workers or ACCOUNT_CALLS)


def reading(rows: int) -> None:
    """Long inputs take a moment before the first call; on a terminal one line says so."""
    passing(f"reading the input: {rows:,} rows")
