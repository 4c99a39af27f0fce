"""`wrapgen schema`: the JSON Schema of a spec."""

from __future__ import annotations

import json

import click

from wrapgen.cli.terminal import out


@click.command("schema")
def command() -> None:
    """Print the JSON Schema of a spec, which editors use to complete and check it.

    Save it, and name it in the first line of a spec: # yaml-language-server: $schema=spec.schema.json
    """
    from wrapgen.spec.schema import schema  # not at the top: --help must stay quick

    out(json.dumps(schema(), indent=2))
