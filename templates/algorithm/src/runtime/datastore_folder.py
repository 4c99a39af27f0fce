"""Where a datastore's files are: never where they would vanish with the worker that wrote them."""

from __future__ import annotations

import os
from pathlib import Path

BESIDE = "WRAPGEN_BESIDE"  # the variable that says where the spec is, in a run without a server
TEMPORARY = "WRAPGEN_TEMPORARY"  # folders that a platform removes with the worker
WRITABLE = "WRAPGEN_WRITABLE"  # folders within these that it keeps


def kept_place(path: str) -> Path:
    """The whole path of a file or folder; a relative one starts beside the spec, else at the wrapper.

    Raises ``ValueError`` for one that the platform removes with the worker, and every record with it.
    """
    place = Path(os.environ.get(BESIDE) or Path(__file__).resolve().parents[2]) / path
    if _within(place, TEMPORARY) and not _within(place, WRITABLE):
        raise ValueError(
            f"records in {place} would vanish with the worker; name the whole path of a folder that "
            "`wrapgen serve --writable FOLDER` keeps"
        )
    return place


def _within(place: Path, variable: str) -> bool:
    real = os.path.realpath(str(place))
    folders = filter(None, os.environ.get(variable, "").split(os.pathsep))
    return any((real + os.sep).startswith(os.path.realpath(folder) + os.sep) for folder in folders)
