"""`wrapgen client`: a program that calls a wrapper without wrapgen."""

from __future__ import annotations

import click

from wrapgen.cli.terminal import data
from wrapgen.errors import UsageError


@click.command("client")
@click.argument("spec", default="spec.yaml", type=click.Path())
@click.option(
    "--python", "language", flag_value="python", default=True, help="With the vendor's client. [default]"
)
@click.option("--curl", "language", flag_value="curl", help="With curl.")
@click.option("--node", "language", flag_value="node", help="With the vendor's client for Node.")
@click.option("--release", metavar="VERSION", help="The wrapper's version; default the newest.")
def command(spec: str, language: str, release: str | None) -> None:
    """Print a short program that calls the wrapper of SPEC with the vendor's client alone.

    They send the spec's publish.examples, or two texts where it has none.
    """
    from wrapgen.build.snippets import snippet  # not at the top: --help must stay quick
    from wrapgen.references import FULL_VERSION
    from wrapgen.spec import load

    if release is not None and not FULL_VERSION.match(release):
        raise UsageError(f"{release!r} is not a version", hint="write major.minor.revision, such as 0.1.0")
    data([snippet(load(spec), language, release).encode()])
