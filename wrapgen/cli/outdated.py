"""`wrapgen outdated`: the wrappers that hold an older runtime, in folders or on a platform."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wrapgen.cli.options import PlatformChoice, json_option, platform_options
from wrapgen.cli.terminal import out
from wrapgen.errors import DriftError, UsageError

if TYPE_CHECKING:
    from wrapgen.doctor.outdated import HeldRuntime


@click.command("outdated")
@click.argument("folders", nargs=-1, metavar="[FOLDER]...", type=click.Path(path_type=Path))
@click.option(
    "--platform", "hosted", is_flag=True, help="Instead: the wrappers that the key's account has released."
)
@json_option()
@platform_options
def command(folders: tuple[Path, ...], hosted: bool, as_json: bool, platform: PlatformChoice) -> int:
    """List wrappers whose runtime is older than the one that wrapgen builds now.

    Looks at and below each FOLDER, by default the current one. Exit code 4 if a wrapper is outdated.
    """
    from wrapgen.build.runtime import current  # not at the top: --help must stay quick

    if hosted and folders:
        raise UsageError("--platform looks at no folder", hint="leave one of them out")
    found = list(_hosted(platform) if hosted else _in_folders(folders or (Path(),)))
    outdated = [each for each in found if each.outdated]
    if as_json:
        out(json.dumps({"newest": current(), "wrappers": [asdict(each) for each in found]}))
        return DriftError.exit_code if outdated else 0
    for each in outdated:
        todo = f"publish it again after wrapgen upgrade DIR, newest {current()}"
        hint = todo if hosted else f"newest {current()}; wrapgen upgrade {each.where}"
        out(f"{each.where}: runtime {each.runtime}, {hint}")
    for each in found:
        if each.runtime is None:
            out(f"{each.where}: not checked: {each.unknown}")
    out(f"{len(found)} wrapper{'' if len(found) == 1 else 's'}, {len(outdated)} outdated")
    return DriftError.exit_code if outdated else 0


def _in_folders(folders: tuple[Path, ...]) -> Iterator[HeldRuntime]:
    from wrapgen.doctor.outdated import in_folder

    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", hint="name folders that hold wrappers")
        yield from in_folder(folder)


def _hosted(platform: PlatformChoice) -> Iterator[HeldRuntime]:
    from wrapgen.doctor.outdated import on_platform

    with platform.client() as client:
        yield from on_platform(client)
