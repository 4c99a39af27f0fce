"""`wrapgen platform secrets`: environment variables that an algorithm's workers get."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli import completion
from wrapgen.cli.options import connected
from wrapgen.cli.terminal import answer, listing
from wrapgen.errors import NotFound, UsageError

if TYPE_CHECKING:
    from wrapgen.client import Client


@click.group("secrets")
def group() -> None:
    """Environment variables of an algorithm, such as its DATABASE_URL: list, set, remove."""


@group.command("list")
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=completion.references)
@connected
def list_secrets(client: Client, algorithm: str, as_json: bool) -> None:
    """List the variables that secrets set; their values are never shown."""
    listing([{"variable": name} for name in client.algorithms.secrets(algorithm)], ("variable",), as_json)


@group.command("set")
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=completion.references)
@click.argument("variable")
@click.option("--from-env", "name", metavar="NAME", help="Take the value from this variable.")
@click.option(
    "--from-file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Take the value from a file; a line end at its end is left out.",
)
@connected
def set_secret(
    client: Client, algorithm: str, variable: str, name: str | None, path: Path | None, as_json: bool
) -> None:
    """Set the environment VARIABLE of an algorithm's workers; later calls see it.

    Asks for the value, or reads it from a pipe; on the command line other users of the
    machine and the shell's history could see it.
    """
    value = _value(variable, name, path)
    try:
        new = client.algorithms.set_secret(algorithm, variable, value)
    except NotFound as error:
        hint = "`wrapgen publish DIR` makes the algorithm, and then names the secrets that are missing"
        raise NotFound(error.message, hint=hint) from error
    said = "set" if new else "replaced"
    answer({"algorithm": algorithm, "variable": variable, "new": new}, as_json, f"{said} {variable}")


@group.command("remove")
@click.argument("algorithm", metavar="OWNER/NAME", shell_complete=completion.references)
@click.argument("variable")
@connected
def remove_secret(client: Client, algorithm: str, variable: str, as_json: bool) -> None:
    """Remove the environment VARIABLE from an algorithm's workers."""
    client.algorithms.remove_secret(algorithm, variable)
    answer({"algorithm": algorithm, "removed": variable}, as_json, f"removed {variable}")


def _value(variable: str, name: str | None, path: Path | None) -> str:
    """A secret's value from the option, a file, a terminal or a pipe.

    Raises:
        UsageError: it is empty or not there, or two places are named.
    """
    if name and path:
        raise UsageError("give --from-env or --from-file, not both")
    try:
        if name:
            value = os.environ.get(name, "")
        elif path:
            value = path.read_text("utf-8")
        elif sys.stdin.isatty():
            value = str(click.prompt(f"Value of {variable}", hide_input=True, err=True))
        else:
            value = sys.stdin.read()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the value of {variable}: {error}") from error
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        where = f"the variable {name}" if name else str(path or "standard input")
        raise UsageError(f"{where} holds no value for {variable}", hint="pipe it in, or name where it is")
    return value
