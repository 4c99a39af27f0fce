"""The files that a run writes, and what they must never be: its own input, or what no run here wrote."""

from __future__ import annotations

import json
import os
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from wrapgen.errors import RunError, UsageError
from wrapgen.files import part_of
from wrapgen.run.input.shards import shard_of
from wrapgen.run.ledger.folder import Folder, errors_for, folder_for, receipt_beside, report_beside
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.store import LEDGER
from wrapgen.run.output.destination import Destination
from wrapgen.run.output.sink import refuse_name

_NAME_BYTES = 255  # of a file's name, where file systems end


def own_files(folder: Folder, *outputs: Path) -> list[Path]:
    """Every file that a run in this folder writes, be it there or not."""
    beside = [file for output in outputs for file in _beside(output)]
    return [*beside, *folder.files()]


def files_of_run(output: Path) -> set[Path]:
    """What the run that an output belongs to writes, resolved; of a shard, the whole run. See `whole_of`."""
    known = shard_of(output)
    whole = known[1] if known else output
    return {file.resolve() for file in own_files(Folder(folder_for(whole)), whole)}


def ensure_output_writable(
    output: Path, folder: Folder, *, fresh: bool, moved: bool = False, place: Destination | None = None
) -> None:
    """Makes sure that a run writes over nothing but what a run of this output wrote.

    Args:
        output: the file that results go to.
        folder: the run's.
        fresh: the user wants to start over, so an output that is there may go.
        moved: the user says that the run in the folder is this output's, whatever its ledger calls it.
        place: where the output goes from here; None: it stays.

    Raises:
        UsageError: a file is there already and of no run here, the folder is that of another output, or the
            output's name promises what is not written.
    """
    _refuse_long_name(output, folder)
    begun = folder.ledger.exists()
    if fresh or not begun:
        refuse_name(output)
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent}", hint="make it, or name another output")
    beside = _beside(output)
    for file in filter(_no_file, beside):
        raise UsageError(f"{file} is no file that a run can write, read again and complete", hint=_NAME)
    kept = {file.resolve() for file in folder.files()}
    for file in beside:
        if file.resolve() in kept:
            raise UsageError(f"{file} is a file of the run itself", hint="name another output, or --state")
    place = place or Destination(output)
    moving = begun and not moved and _is_moving(output, folder, place)
    for file in beside:
        if file.exists() and not file.is_dir() and (moving or not begun) and not fresh:
            raise UsageError(
                f"{file} exists and is not of a run here", hint="name another output, or add --fresh"
            )
    if (moving or not begun) and not fresh:
        place.refuse_taken()
    errors = errors_for(output)
    if errors.exists() and not _holds_errors(errors):
        raise UsageError(
            f"{errors} is where failed items go, and no run wrote it", hint="move it, or name another output"
        )


def _is_moving(output: Path, folder: Folder, place: Destination) -> bool:
    """Whether a run that other machines can see has written elsewhere so far.

    Raises:
        UsageError: no other machine can see it: it is the run of another output.
    """
    others = outputs_of(folder) if folder.path.resolve() != folder_for(output).resolve() else set()
    if not others or Path(place.name_of(output.resolve())) in others:
        return False
    if folder.is_copy:
        return True
    raise UsageError(
        f"{folder.name} is the folder of a run that writes {min(others)}",
        hint="name another --state, or say --accept-changes if that run was moved here",
    )


def _refuse_long_name(output: Path, folder: Folder) -> None:
    longest = max(len(os.fsencode(file.name)) for file in (*_beside(output), folder.path))
    if longest > _NAME_BYTES:
        over = longest - _NAME_BYTES
        raise UsageError(f"the output's name is {over} bytes too long for the files beside it", hint=_NAME)


_NAME = "name one with -o"


def _no_file(path: Path) -> bool:
    """Whether it is standard output, a pipe, a device: nothing that may be replaced by a file."""
    return str(path) == "-" or (path.exists() and not path.is_file() and not path.is_dir())


def outputs_of(folder: Folder) -> set[Path]:
    """The outputs that the sessions in a folder wrote, or were to write, as its ledger tells."""
    found = set()
    with closing(folder.open(LEDGER)) as log, suppress(RunError):  # a resume tells of damage
        for entry in read_ledger(log):
            name = {"open": "output", "output": "path"}.get(str(entry.get("e")))
            if name in entry:
                found.add(Path(entry[name]))
    return found


def _beside(output: Path) -> list[Path]:
    files = (output, errors_for(output), report_beside(output), receipt_beside(output))
    return [*files, *map(part_of, files)]


def _holds_errors(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            first: Any = json.loads(file.readline())
    except (IsADirectoryError, PermissionError, ValueError):
        return False
    return isinstance(first, dict) and {"run", "index", "id", "error"} <= first.keys()
