"""The folder that is published: its algorithm, its files, and what its spec asks for.

Reads the folder and nothing else; knows no platform.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wrapgen.client import Reference
from wrapgen.errors import UsageError
from wrapgen.files import COMPILED, IGNORED_FOLDERS, read_regular
from wrapgen.publish.environments import Wish, wish_of
from wrapgen.spec import Spec, load

CONF = "algorithmia.conf"
"""The file that makes a folder an algorithm project (platform contract, section 6)."""

CONF_BYTES = 1024 * 1024
"""Most bytes of it."""

LANGUAGE = "python3"
"""The language of a project whose conf does not say."""

NEVER_PUSHED = (*COMPILED, ".swp", "~", ".DS_Store")
"""Endings of files that no algorithm needs."""


@dataclass(frozen=True)
class Project:
    """An algorithm project on disk.

    Args:
        folder: where it is.
        reference: the algorithm that it becomes, without a version.
        language: the platform's name of its language, such as `python3`.
        spec: the spec of a wrapper, None for any other algorithm.
        wish: the version of Python that the folder asks for, None where it does not.
    """

    folder: Path
    reference: Reference
    language: str
    spec: Spec | None
    wish: Wish | None = None

    @classmethod
    def read(cls, folder: Path, *, name: str | None = None) -> Project:
        """Reads a project's folder.

        Args:
            folder: holds `algorithmia.conf`, and `spec.yaml` if it is a wrapper.
            name: `owner/name` to publish it as, where that is not what its conf says.

        Raises:
            UsageError: it is no algorithm project, or nothing says what it is called.
            SpecError: its spec is wrong.
        """
        if not folder.is_dir():
            raise UsageError(f"there is no folder {folder}", hint="name the folder of an algorithm project")
        conf = _conf(folder)
        spec_file = folder / "spec.yaml"
        return cls(
            folder=folder,
            reference=_reference(folder, conf, name),
            # the vendor's tools misspell the key (langpacks, languages/python3/template/algorithmia.conf)
            language=str(conf.get("langauge") or conf.get("language") or LANGUAGE),
            spec=load(spec_file) if spec_file.is_file() else None,
            wish=wish_of(folder),
        )

    def files(self) -> Iterator[Path]:
        """Every file to push, relative to the folder, in a fixed order; never version control or caches.

        Raises:
            UsageError: a link leads out of the folder or to a folder, or a folder can't be read.
        """
        yield from sorted(_walk(self.folder, Path()))

    @property
    def collections(self) -> list[str]:
        """The hosted collections that the wrapper records to; empty for other algorithms."""
        datastore = self.spec.datastore if self.spec is not None else None
        urls = [datastore.url, *datastore.copies] if datastore is not None else []
        return [str(url).rstrip("/") for url in urls if url and str(url).startswith("data://")]


def _conf(folder: Path) -> dict[str, Any]:
    path = folder / CONF
    try:
        content = json.loads(read_regular(path, CONF_BYTES))
    except FileNotFoundError as error:
        raise UsageError(
            f"{folder} is not an algorithm project: it has no {CONF}",
            hint="name the folder that `wrapgen build` wrote, or a clone of an algorithm's repository",
        ) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"can't read {path}: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"can't read {path}: it holds no JSON object")
    return content


def _reference(folder: Path, conf: dict[str, Any], name: str | None) -> Reference:
    if name is not None:
        given = Reference.parse(name)
        if given.version is not None:
            raise UsageError(f"--as takes owner/name, not {name!r}", hint="say the version with --release")
        return given
    owner, algorithm = conf.get("username"), conf.get("algoname")
    if not owner or not algorithm:
        raise UsageError(f"{folder / CONF} does not say username and algoname", hint="give --as owner/name")
    return Reference.parse(f"{owner}/{algorithm}")


def _walk(root: Path, below: Path) -> Iterator[Path]:
    try:
        entries = list((root / below).iterdir())
    except OSError as error:
        raise UsageError(f"can't read {root / below}: {error.strerror}") from error
    for entry in entries:
        relative = below / entry.name
        if entry.name in IGNORED_FOLDERS or entry.name.endswith(NEVER_PUSHED):
            continue
        if entry.is_symlink() and (entry.is_dir() or not entry.resolve().is_relative_to(root.resolve())):
            where = "to a folder" if entry.is_dir() else f"out of {root}"
            raise UsageError(f"{relative} is a link {where}", hint="put the files themselves there")
        if entry.is_dir():
            yield from _walk(root, relative)
        elif entry.is_file():
            yield relative
