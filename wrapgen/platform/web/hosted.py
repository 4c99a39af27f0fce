"""What a visitor may see of an algorithm: asks the services that the API asks, with the same caller."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from wrapgen.errors import NotAuthorized, NotFound
from wrapgen.platform.domain.model import Algorithm, Caller, Released
from wrapgen.platform.domain.versions import GIT_HASH
from wrapgen.platform.storage.repositories import BRANCH
from wrapgen.platform.web.navigation import ROOT
from wrapgen.platform.web.page import Visit
from wrapgen.platform.web.shown import word

PLACE = f"{ROOT}/algorithms/{{owner}}/{{name}}"
"""Where the pages of an algorithm are."""

SHOWN = 50
"""Builds and versions on a page: the newest, and the highest."""

READMES = ("README.md", "README", "README.txt", "README.rst")


@dataclass(frozen=True)
class Hosted:
    """One algorithm as one visitor sees it.

    Args:
        caller: who looks.
        address: where they see this platform.
        algorithm: at what.
        managed: whether they may manage it, and so see its builds.
        readable: whether they may read its source.
    """

    caller: Caller
    address: str
    algorithm: Algorithm
    managed: bool
    readable: bool

    @property
    def place(self) -> str:
        """Its page."""
        return f"{ROOT}/algorithms/{word(self.algorithm.owner)}/{word(self.algorithm.name)}"

    @property
    def reference(self) -> str:
        """`owner/name`"""
        return f"{self.algorithm.owner}/{self.algorithm.name}"

    @property
    def clone(self) -> str:
        """The address that git clones from."""
        return f"{self.address}/git/{self.reference}.git"


def hosted(visit: Visit) -> Hosted:
    """The algorithm of a page's path.

    Raises:
        NotFound: there is none, or it is private and another's: the error does not say which (404).
    """
    service, caller = visit.platform.state.algorithms, visit.caller
    found = service.get(caller, visit.word("owner"), visit.word("name"))
    managed = True
    try:
        service.owned(caller, found)
    except NotAuthorized:
        managed = False
    readable = managed or found.settings["source_visibility"] == "open"
    return Hosted(caller, visit.address, found, managed, readable)


def versions(visit: Visit, seen: Hosted) -> list[Released]:
    """The versions that the visitor may see, the highest first: at most one more than a page shows."""
    return visit.platform.state.algorithms.highest(seen.caller, seen.algorithm, SHOWN + 1)


def builds(visit: Visit, seen: Hosted) -> list[Released]:
    """The newest builds, for those who manage it: at most one more than a page shows."""
    service = visit.platform.state.algorithms
    return (service.page(seen.caller, seen.algorithm, None, SHOWN + 1) or []) if seen.managed else []


def release(visit: Visit, seen: Hosted, version: str) -> Released:
    """The release of a number, or of a commit that was built.

    Raises:
        NotFound: there is none, for this visitor.
    """
    state = visit.platform.state
    if not GIT_HASH.match(version):
        with suppress(NotFound):
            return state.algorithms.named_for(seen.caller, seen.algorithm, version)
    elif seen.caller.owns(seen.algorithm.owner):  # as for calls: a hash is for owners
        build = state.builds.newest(seen.algorithm.id, version)
        found = state.algorithms.released(build) if build else None
        if found and (seen.managed or found.version):
            return found
    raise NotFound(f"{seen.reference} has no version {version}")


def commit_of(visit: Visit, seen: Hosted, reference: str) -> str:
    """The full hash of a version's number, a hash, or the branch's name.

    Raises:
        NotFound: there is no such commit, for this visitor (404).
        NotAuthorized: the source is closed to them (403).
    """
    repositories = visit.platform.state.repositories
    if not seen.readable:
        raise NotAuthorized(f"the source of {seen.reference} is closed")
    if reference == BRANCH:
        return repositories.head(seen.algorithm.id)
    if GIT_HASH.match(reference):
        return repositories.commit(seen.algorithm.id, reference)
    return release(visit, seen, reference).build.git_hash


def readme_of(visit: Visit, seen: Hosted) -> str:
    """The words about it in its newest source, where the visitor may read that."""
    repositories = visit.platform.state.repositories
    if not seen.readable:
        return ""
    highest = versions(visit, seen)[:1]
    commit = highest[0].build.git_hash if highest else commit_of(visit, seen, BRANCH)
    files = {file.path: file for file in repositories.files(seen.algorithm.id, commit)}
    found = next((files[name] for name in READMES if name in files), None)
    if found is None or found.size > 200_000:
        return ""
    return repositories.content(seen.algorithm.id, found).decode("utf-8", "replace")
