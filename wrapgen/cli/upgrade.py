"""`wrapgen upgrade`: rebuild wrappers from the specs that they hold, and show what changes as one diff."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import json_option
from wrapgen.cli.terminal import data, out
from wrapgen.errors import UsageError

if TYPE_CHECKING:
    from wrapgen.build import Placement


@click.command("upgrade")
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Write nothing; show the diff.")
@click.option("--force", is_flag=True, help="Write over files that were edited by hand.")
@click.option("--templates", type=click.Path(), help="The templates that the wrappers were built with.")
@json_option()
def command(
    folders: tuple[Path, ...], dry_run: bool, force: bool, templates: str | None, as_json: bool
) -> None:
    """Rebuild each wrapper in DIR from its spec, with the newest runtime, and show one diff of it all.

    Writes nothing if any of them was edited by hand, unless --force is given. src/hooks.py is kept.
    """
    from wrapgen.build import runtime  # not at the top: --help must stay quick

    placements = [_placement(folder, templates) for folder in folders]
    before = {folder: runtime.held(folder) for folder in folders}
    if not as_json:
        data([placement.unified().encode() for placement in placements])
    if not dry_run:
        for placement in placements:
            placement.refuse_edited(force=force)
        for placement in placements:
            placement.write(force=force)
    answers = [
        {
            "folder": str(placement.folder),
            "before": before[folder],
            "runtime": runtime.version_of(placement.wrapper),
            "changes": {change.path: change.kind for change in placement.changes},
        }
        for folder, placement in zip(folders, placements, strict=True)
    ]
    if as_json:
        diff = "".join(placement.unified() for placement in placements)
        out(json.dumps({"written": not dry_run, "wrappers": answers, "diff": diff}))
        return
    for answer, placement in zip(answers, placements, strict=True):
        state = "would be" if dry_run else "is"
        what = f"{state} {answer['runtime']}" if placement.changes else "up to date"
        out(f"{placement.folder}: runtime {answer['before']} {what}, {len(placement.changes)} files changed")


def _placement(folder: Path, templates: str | None) -> Placement:
    from wrapgen.build import Placement, generate, overlaid, runtime
    from wrapgen.build.serving import kinds_of
    from wrapgen.spec import load

    if runtime.held(folder) is None:
        raise UsageError(f"{folder} is not a wrapper that wrapgen built", hint="wrapgen build makes one")
    found = generate(load(folder), overlaid(templates) if templates else None, kinds_of(folder))
    return Placement.of(found, folder)
