"""Commands that talk to one platform: the client they get, and how they show what it says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from wrapgen.cli.options import client_for, platform_options
from wrapgen.cli.terminal import out

as_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def connected(function: Callable[..., None]) -> Callable[..., None]:
    """Hands a command the client that the platform options name, and adds those options and --json."""

    def run(
        address: str | None,
        api_key: str | None,
        key_env: str | None,
        profile: str | None,
        home: Path | None,
        **words: Any,
    ) -> None:
        with client_for(address, api_key, key_env, profile, home, pool=1) as client:
            function(client, **words)

    run.__doc__ = function.__doc__
    run.__name__ = function.__name__
    return as_json_option(platform_options(run))


def show(entries: Iterable[dict[str, Any]], columns: tuple[str, ...], as_json: bool) -> None:
    """A table of some columns, or every field as JSON."""
    found = list(entries)
    if as_json:
        out(json.dumps(found))
        return
    from wrapgen.cli.terminal import table

    rows = [[_cell(entry.get(name)) for name in columns] for entry in found]
    table(columns, rows, header=False)


def _cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def done(facts: dict[str, Any], line: str, as_json: bool) -> None:
    """Confirms what was done: one line for people, or the facts as JSON."""
    out(json.dumps(facts) if as_json else line)
