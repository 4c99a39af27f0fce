"""Version numbers: what a reference asks for, which version answers it, and which number comes next.

Pure rules of the platform contract, section 3; rows and rights are the business of `algorithms`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from wrapgen.errors import BadRequest
from wrapgen.platform.domain.model import Version

Number = tuple[int, int, int]
"""major, minor, revision"""

GIT_HASH = re.compile(r"[0-9a-f]{40}\Z")
"""A reference to a build instead of a version."""

_EXACT = re.compile(r"(\d{1,9})\.(\d{1,9})\.(\d{1,9})\Z")
_PARTIAL = re.compile(r"(\d{1,9})(?:\.(\d{1,9}))?(?:\.[*x])?\Z")


@dataclass(frozen=True)
class Wanted:
    """What a version reference asks for.

    Args:
        prefix: the leading numbers that must agree; empty for any.
        exact: all three numbers are given, and a private version answers too.
        private: only privately published versions answer (`latestPrivate`).
    """

    prefix: tuple[int, ...] = ()
    exact: bool = False
    private: bool = False


def wanted(reference: str | None) -> Wanted | None:
    """Reads a version reference; None if it is none (a git hash is another matter)."""
    if not reference or reference == "latest":
        return Wanted()
    if reference == "latestPrivate":
        return Wanted(private=True)
    exact = _EXACT.match(reference)
    if exact:
        return Wanted(tuple(int(part) for part in exact.groups()), exact=True)
    partial = _PARTIAL.match(reference)
    # A single number needs its star: `1.*` is documented, a bare `1` is not, but can mean nothing else.
    return Wanted(tuple(int(part) for part in partial.groups() if part)) if partial else None


def choose(versions: Iterable[Version], request: Wanted) -> Version | None:
    """The highest version that answers, or None; never a private one unless that is what was asked for."""
    fitting = [
        version
        for version in versions
        if version.number[: len(request.prefix)] == request.prefix
        and (request.exact or (version.callability == "private") == request.private)
    ]
    return max(fitting, key=lambda version: version.number, default=None)


def next_number(newest: Number | None, version_type: str | None) -> Number:
    """The number a release gets.

    Args:
        newest: the highest number so far.
        version_type: `major`, `minor` (the default) or `revision`, which the REST reference calls `patch`.

    Raises:
        BadRequest: another type.
    """
    major, minor, revision = newest or (0, 0, 0)
    if version_type in (None, "", "minor"):
        return major, minor + 1, 0
    if version_type == "major":
        return major + 1, 0, 0
    if version_type in ("revision", "patch"):
        return major, minor, revision + 1
    raise BadRequest(f"version_type can't be {version_type!r}; use major, minor or revision")


def next_callability(same_major: Version | None, asked: str | None, default: str) -> str:
    """Whether a release is public or private.

    Args:
        same_major: the newest release with the same major number, or None if this one starts it.
        asked: what the request says, if anything.
        default: for the first release of a major number that says nothing.

    Raises:
        BadRequest: the request would change what holds for this major number, or names something else.
    """
    if asked not in (None, "", "public", "private"):
        raise BadRequest(f"algorithm_callability can't be {asked!r}; use public or private")
    if same_major is None:
        return asked or default
    if asked and asked != same_major.callability:
        raise BadRequest(
            f"version {same_major.number[0]} is {same_major.callability}; only a new major can be {asked}",
            hint='publish with "version_type": "major"',
        )
    return same_major.callability
