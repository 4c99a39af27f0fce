"""What the server itself reads of a source that was checked out, before anything of it has run.

Only regular files of a limited size are read, and none through a link that leads out of the repository.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wrapgen.errors import UsageError
from wrapgen.files import read_regular

_FILE_BYTES = 1 << 20
"""Most bytes of a file that the server itself reads."""

_POINTER_BYTES = 1024
"""A pointer of Git LFS has fewer."""

_NAME = re.compile(r"\w[\w.-]*")


class BuildStepFailed(Exception):
    """Why a build failed, in words for its log."""


def no_follow(path: str, flags: int) -> int:
    """An opener that refuses a link: what stands at a path may be a build's doing."""
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def absent(source: Path) -> Iterator[str]:
    """What a source only points to, in words: submodules and files in Git LFS, which no build fetches."""
    if (source / ".gitmodules").is_file():
        yield "submodules are not fetched, and their folders are empty; commit their files"
    for path in sorted(source.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _POINTER_BYTES:
            continue
        if path.read_bytes().startswith(b"version https://git-lfs.github.com/spec/"):
            yield f"{path.relative_to(source)} is a pointer of Git LFS; commit the file itself"


def read_file(source: Path, name: str) -> bytes | None:
    """A file of a repository that was just checked out; None if it is missing.

    Raises:
        BuildStepFailed: it is a link to somewhere else, no file at all, or too large.
    """
    real = (source / name).resolve()
    if not real.is_relative_to(source.resolve()):
        raise BuildStepFailed(f"{name} is a link to somewhere else")
    try:
        return read_regular(real, _FILE_BYTES)
    except FileNotFoundError:
        return None
    except UsageError as error:
        raise BuildStepFailed(f"{name} must be a file of at most {_FILE_BYTES} bytes") from error


def main_module(source: Path) -> str:
    """The path, inside a source, of the module that holds an algorithm's `apply`.

    The runtime imports `src.<algoname>` with the name from algorithmia.conf (langpacks,
    libraries/python3-runtime/context/pipe).

    Raises:
        BuildStepFailed: algorithmia.conf is missing or wrong, or the module is not there.
    """
    text = read_file(source, "algorithmia.conf")
    if text is None:
        raise BuildStepFailed("there is no algorithmia.conf in the repository's top folder")
    try:
        conf: Any = json.loads(text)
        name = str(conf["algoname"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BuildStepFailed('algorithmia.conf must be a JSON object with an "algoname"') from error
    for path in (f"src/{name}.py", f"src/{name}/__init__.py"):
        real = (source / path).resolve() if _NAME.fullmatch(name) else source
        if real.is_file() and real.is_relative_to(source.resolve()):
            return path
    raise BuildStepFailed(f'algorithmia.conf says "algoname": "{name}", but there is no src/{name}.py')
