"""The environment an algorithm is built in: what was asked for, what its folder asks for, or the newest."""

from __future__ import annotations

import re
from collections.abc import Callable
from configparser import ConfigParser
from configparser import Error as ConfigParserError
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from wrapgen.client import AlgorithmCalls, HostedEnvironment
from wrapgen.client.connection import read_toml
from wrapgen.errors import UsageError

_PINNED = re.compile(r"(?:c?python-?)?(\d+)\.(\d+)(?![\d<>=~!,])")
_REVISIONS = range(60)


@dataclass(frozen=True)
class Wish:
    """What a folder asks for.

    Args:
        source: where it says so, in words: `.python-version, which says 3.11`.
        admits: whether a version of Python, major and minor, will do.
    """

    source: str
    admits: Callable[[tuple[int, int]], bool]


@dataclass(frozen=True)
class Chosen:
    """An environment, and why it is that one."""

    environment: HostedEnvironment
    reason: str


def choose(algorithms: AlgorithmCalls, language: str, name: str | None, wish: Wish | None) -> Chosen:
    """The environment to build in.

    Args:
        algorithms: the platform's management calls.
        language: of the project, such as `python3`.
        name: the one that was asked for, such as `python38`, by its name, label or id.
        wish: what the folder asks for; then, and without it, the newest that will do.

    Raises:
        UsageError: none will do; the message lists those that are offered.
    """
    wanted_language = _language_name(language)
    offered = [
        each
        for known in algorithms.languages()
        if _language_name(known) == wanted_language
        for each in algorithms.environments(known)
    ]
    # The plainest first: without a GPU, without libraries that its label would name.
    offered.sort(key=lambda each: (each.gpu, len(each.label)))
    if name is not None:
        wanted = name.lower()
        fitting = [each for each in offered if wanted in (each.name.lower(), each.label.lower(), each.id)][:1]
        asked, reason = f"the environment {name}", "as asked for"
    elif wish is not None and wanted_language == "python":
        fitting = [each for each in offered if wish.admits(each.number)]
        asked, reason = f"an environment for {wish.source}", f"the newest offered that fits {wish.source}"
    else:
        major = int(language[6:7]) if re.match(r"python\d", language.lower()) else 0
        fitting = [each for each in offered if not major or each.number[0] in (0, major)]
        asked, reason = f"an environment for {language}", "the newest offered"
    if not fitting:
        names = ", ".join(sorted({each.name for each in offered})) or "none"
        raise UsageError(f"the platform does not offer {asked}", hint=f"it offers: {names}")
    return Chosen(max(fitting, key=lambda each: (not each.gpu, each.number)), reason)


def wish_of(folder: Path) -> Wish | None:
    """What `.python-version`, `pyproject.toml` or `setup.cfg` asks for, the first that does; None for none.

    Raises:
        UsageError: one of them can't be read.
    """
    version = _text(folder / ".python-version")
    for line in version.splitlines():
        text = line.partition("#")[0].strip()
        pinned = _PINNED.match(text)
        if pinned:
            number = (int(pinned[1]), int(pinned[2]))
            return Wish(f".python-version, which says {text}", number.__eq__)
        if text[:1] in "<>=~!" and text:
            return _specified(".python-version", text)
    project = _toml(folder / "pyproject.toml").get("project")
    required = project.get("requires-python") if isinstance(project, dict) else None
    if required:
        return _specified("requires-python in pyproject.toml", str(required))
    required = _setup_requires(folder / "setup.cfg")
    return _specified("python_requires in setup.cfg", required) if required else None


def _setup_requires(path: Path) -> str:
    settings = ConfigParser(interpolation=None, strict=False)
    try:
        settings.read_string(_text(path))
    except ConfigParserError as error:
        raise UsageError(f"can't read {path}: {error}") from error
    return settings.get("options", "python_requires", fallback="").strip()


def _specified(where: str, text: str) -> Wish:
    try:
        specifier = SpecifierSet(text)
    except InvalidSpecifier as error:
        raise UsageError(f"{where} says {text!r}, which is no range of versions") from error

    def admits(number: tuple[int, int]) -> bool:
        # Platforms tell no revision: some one of them has to do.
        return any(specifier.contains(f"{number[0]}.{number[1]}.{revision}") for revision in _REVISIONS)

    return Wish(f"{where}, which says {text}", admits)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return read_toml(_text(path))
    except ValueError as error:
        raise UsageError(f"can't read {path}: {error}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read {path}: {error}") from error


def _language_name(language: str) -> str:
    """The language without its version: `python` for `python3`, `python38` and `python3-1`."""
    match = re.match(r"[a-z#+]+", language.lower())
    return match[0] if match else language.lower()
