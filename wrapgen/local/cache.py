"""The cache of wrappers and environments that runs without a server use: all of it can be made again."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from wrapgen.errors import UsageError
from wrapgen.files import PRIVATE_FOLDER
from wrapgen.wrapper import Wrapper

VARIABLE = "WRAPGEN_CACHE"
"""The environment variable that names the folder."""

KEPT_SECONDS = 30 * 86400
"""How long what no run uses is kept."""


def cache_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """`$WRAPGEN_CACHE`, else `wrapgen` in the user's cache folder."""
    named = environ.get(VARIABLE)
    if named:
        return Path(named)
    return Path(environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "wrapgen"


def kept_wrapper(wrapper: Wrapper, name: str) -> Path:
    """The folder that holds a wrapper, named by its content; what was changed there by hand is put right.

    Raises:
        UsageError: the cache can't be written.
    """
    folder = cache_folder() / "wrappers" / f"{name}-{wrapper.digest.partition(':')[2][:16]}"
    with _writable(folder):
        wrapper.write(folder)
        _used(folder)
    return folder


def is_environment_kept(digest: str) -> bool:
    """Whether there is a complete environment; see `kept_environment`."""
    return (cache_folder() / "environments" / digest[:16] / "requirements.txt").is_file()


def kept_environment(digest: str) -> Path:
    """The folder of an environment, made if it is missing, that holds what it was made of if it is complete.

    Raises:
        UsageError: the cache can't be written.
    """
    folder = cache_folder() / "environments" / digest[:16]
    with _writable(folder):
        folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
        _used(folder)
    return folder


@contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:
        hint = f"name another folder in the variable {VARIABLE}"
        raise UsageError(f"the cache can't be written to {folder}: {error}", hint=hint) from error


def _used(folder: Path) -> None:
    """Notes that a folder is in use, and removes those beside it that have not been for long."""
    os.utime(folder)
    oldest = time.time() - KEPT_SECONDS
    for other in folder.parent.iterdir():
        with suppress(OSError):
            if other.stat().st_mtime < oldest:
                shutil.rmtree(other, ignore_errors=True)
