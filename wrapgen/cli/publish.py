"""`wrapgen publish`: a folder becomes a released version of an algorithm."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from wrapgen.cli.options import client_for, platform_options
from wrapgen.cli.terminal import err, out, status


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--release", metavar="RULE", help="major, minor, revision or an exact 1.2.3. [spec's, else minor]"
)
@click.option("--environment", metavar="NAME", help="Such as python38. [spec's, else the newest offered]")
@click.option("--as", "name", metavar="OWNER/NAME", help="Publish as this algorithm. [algorithmia.conf's]")
@click.option("--skip-cases", is_flag=True, help="Release without trying TEST_CASES.json.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@platform_options
def command(
    folder: Path,
    release: str | None,
    environment: str | None,
    name: str | None,
    skip_cases: bool,
    as_json: bool,
    address: str | None,
    api_key: str | None,
    key_env: str | None,
    profile: str | None,
    home: Path | None,
) -> None:
    """Push the algorithm in FOLDER to a platform and release it.

    Makes the algorithm if there is none, pushes the files, waits for the build, tries the cases of
    TEST_CASES.json against it and releases it. Prints the reference to call. Files that are released already
    are not released again.
    """
    from wrapgen.publish import Project, publish

    project = Project.read(folder, name=name)
    with (
        client_for(address, api_key, key_env, profile, home) as client,
        status(f"publishing {project.reference}") as shown,
    ):

        def say(line: str) -> None:
            err(line)
            shown.update(f"publishing {project.reference}: {line}")

        done = publish(
            project, client, say=say, release=release, environment=environment, try_cases=not skip_cases
        )
    if as_json:
        out(json.dumps(asdict(done)))
        return
    if not done.released:
        err("nothing changed: released already")
    out(done.reference)
