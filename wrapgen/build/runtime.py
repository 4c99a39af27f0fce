"""The runtime of wrappers, `src/runtime/`: which version a wrapper holds, and which one is written now."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from wrapgen.build.templates import read_templates
from wrapgen.errors import UsageError
from wrapgen.files import IGNORED_FOLDERS, MANIFEST, read_json
from wrapgen.references import Number
from wrapgen.wrapper import Wrapper

VERSION_FILE = "src/runtime/__init__.py"
"""Where a wrapper says the version of its runtime."""

FIRST = "0.1.0"
"""What stands for the runtime of wrappers that had none yet: those that wrapgen 0.1.0 made."""

_MANIFEST_BYTES = 1 << 20

_VERSION = re.compile(rb'^VERSION = "(\d+\.\d+\.\d+)"', re.M)


@cache
def current() -> str:
    """The version that a build writes."""
    return version_of(read_templates())


def version_of(files: Mapping[str, bytes]) -> str:
    """The version of the runtime among a wrapper's files, or the templates."""
    match = _VERSION.search(files.get(VERSION_FILE, b""))
    return match[1].decode("ascii") if match else FIRST


def held(folder: str | os.PathLike[str]) -> str | None:
    """The version that a folder holds; None if no wrapper was built there."""
    root = Path(folder)
    if "algorithmia.conf" not in noted(root):
        return None  # a Spark job or a queue, or nothing
    try:
        return version_of(Wrapper.read(root, only=[VERSION_FILE]))
    except (OSError, ValueError, UsageError):  # a link, or unreadable, which a build of it tells
        return FIRST


def noted(folder: Path) -> dict[str, str]:
    """Digest by path, from the manifest of an earlier build; empty without a readable one in the folder."""
    if (folder / MANIFEST).is_symlink():
        return {}
    try:
        files = read_json(folder / MANIFEST, _MANIFEST_BYTES)["files"]
    except (OSError, KeyError, TypeError, UsageError):
        return {}
    named = files.items() if isinstance(files, dict) else ()
    return {path: digest for path, digest in named if isinstance(digest, str)}


def is_older(version: str, than: str) -> bool:
    """Whether one version comes before another, both as `major.minor.revision`."""
    return Number.of(version) < Number.of(than)


def wrapper_folders(folder: str | os.PathLike[str]) -> Iterator[Path]:
    """Every wrapper at and below a folder, by its manifest, in the order of their paths; follows no link."""
    for place, folders, files in os.walk(folder):
        if MANIFEST in files and held(place) is not None:
            folders.clear()  # a wrapper holds no other
            yield Path(place)
        folders[:] = sorted(name for name in folders if name not in IGNORED_FOLDERS)
