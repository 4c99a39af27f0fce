"""`wrapgen diff`: where spec, files, release and target have come apart."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import answer
from wrapgen.errors import DriftError, NoCredentials

if TYPE_CHECKING:
    from wrapgen.doctor import Finding
    from wrapgen.spec import Spec


@click.command("diff")
@click.argument("spec", default="spec.yaml", type=click.Path())
@click.option("--output", type=click.Path(), help="The wrapper's own folder; default generated/NAME.")
@click.option("--templates", type=click.Path(), help="The templates that the wrapper was built with.")
@json_option()
@platform_options
def command(
    spec: str, output: str | None, templates: str | None, as_json: bool, platform: PlatformChoice
) -> int:
    """Show where a wrapper has drifted, on three levels.

    files: SPEC against the folder. release: SPEC and folder against the newest release on the platform.
    target: the version that SPEC names against the newest. Exit code 4 if a level differs.
    """
    from wrapgen.build import Placement, generate, overlaid  # not at the top: --help must stay quick
    from wrapgen.build.serving import kinds_of
    from wrapgen.cli.build import default_folder
    from wrapgen.doctor import Level, drift
    from wrapgen.spec import load

    loaded = load(spec)
    folder = Path(output or default_folder(loaded, spec))
    wrapper = generate(loaded, overlaid(templates) if templates else None, kinds_of(folder))
    found = [drift.files(Placement.of(wrapper, folder)), *_on_platform(loaded, folder, platform)]
    answer({"levels": [finding.as_json() for finding in found]}, as_json, *map(str, found))
    return DriftError.exit_code if any(finding.level is Level.FAULT for finding in found) else 0


def _on_platform(spec: Spec, folder: Path, platform: PlatformChoice) -> list[Finding]:
    """What only a platform can tell; not checked where none is known."""
    from wrapgen.doctor import drift
    from wrapgen.doctor.finding import unchecked

    try:
        with platform.client() as client:
            return [*drift.release(client, spec, folder), drift.target(client, spec)]
    except NoCredentials as error:
        return [unchecked(level, error.message, error.hint) for level in (drift.RELEASE, drift.TARGET)]
