"""`wrapgen serve`: host algorithms and data on this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.errors import MissingExtra

if TYPE_CHECKING:
    from wrapgen.platform import Platform


@click.command("serve")
@click.option(
    "--home",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".wrapgen"),
    show_default=True,
    help="Folder that holds everything: keys, algorithms, data.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0 for any free."
)
@click.option(
    "--workers",
    type=click.IntRange(1, 512),
    default=16,
    show_default=True,
    help="Most worker processes of one version.",
)
@click.option(
    "--grace",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    help="Seconds that open calls may still take after a first SIGTERM or Ctrl-C.",
)
@click.option("--json", "as_json", is_flag=True, help="Say where it listens as one line of JSON.")
def command(home: Path, host: str, port: int, workers: int, grace: float, as_json: bool) -> None:
    """Host algorithms and data on this machine until stopped.

    The platform speaks the Algorithmia API. The first key is kept in HOME/credentials.json, where the other
    commands find it.
    """
    try:
        from wrapgen.platform import Size, open_platform
        from wrapgen.platform.http.serve import listen, serve
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] == "wrapgen":
            raise
        raise MissingExtra(extra="platform", needed_for="wrapgen serve") from error
    platform = open_platform(home, size=Size(most=workers))
    try:
        with listen(host, port) as listener:
            serve(
                platform, listener, grace=grace, on_ready=lambda address: _ready(platform, address, as_json)
            )
    finally:
        platform.close()


def _ready(platform: Platform, address: str, as_json: bool) -> None:
    from wrapgen.platform.credentials import announce, read_credentials

    state = platform.state
    announce(state.home, address=address, pid=os.getpid())
    known = read_credentials(state.home)
    facts = {
        "address": address,
        "account": known["account"],
        "api_key": known["api_key"],
        "home": str(state.home),
        "pid": os.getpid(),
        "environments": [each.name for each in state.environments.offered()],
    }
    if as_json:
        click.echo(json.dumps(facts))
        return
    click.echo(f"platform  {address}")
    click.echo(f"account   {facts['account']}")
    click.echo(f"key       {facts['api_key']}")
    click.echo(f"home      {facts['home']}")
    click.echo(f"pythons   {', '.join(facts['environments']) or 'none found'}")
    click.echo("Ctrl-C stops it.")
