"""`wrapgen publish`: a folder becomes a released version of an algorithm."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer, err, status


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--release", metavar="RULE", help="major, minor, revision or an exact 1.2.3. [spec's, else minor]"
)
@click.option("--environment", metavar="NAME", help="Such as python38. [spec's, else the newest offered]")
@click.option("--as", "name", metavar="OWNER/NAME", help="Publish as this algorithm. [algorithmia.conf's]")
@click.option("--skip-cases", is_flag=True, help="Release without trying TEST_CASES.json.")
@json_option()
@platform_options
def command(
    folder: Path,
    release: str | None,
    environment: str | None,
    name: str | None,
    skip_cases: bool,
    as_json: bool,
    platform: PlatformChoice,
) -> None:
    """Push the algorithm in FOLDER to a platform and release it.

    Makes the algorithm if there is none, pushes the files, waits for the build, tries the cases of
    TEST_CASES.json against it and releases it. Prints the reference to call. Files that are released already
    are not released again.
    """
    from wrapgen.publish import Project, publish

    project = Project.read(folder, name=name)
    with (
        platform.client(pool=8) as client,
        status(f"publishing {project.reference}") as shown,
    ):

        def say(line: str) -> None:
            err(line)
            shown.update(f"publishing {project.reference}: {line}")

        done = publish(
            project, client, say=say, release=release, environment=environment, try_cases=not skip_cases
        )
    if not done.released and not as_json:
        err("nothing changed: released already")
    answer(asdict(done), as_json, done.reference)
