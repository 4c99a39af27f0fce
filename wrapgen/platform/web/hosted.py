"""What a visitor may see of an algorithm: asks the services that the API asks, with the same caller."""

from __future__ import annotations

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
        releases: builds, newest first; for others than its owners those that became a public version.
    """

    caller: Caller
    address: str
    algorithm: Algorithm
    managed: bool
    readable: bool
    releases: list[Released]

    @property
    def place(self) -> str:
        """Its page."""
        return f"{ROOT}/algorithms/{word(self.algorithm.owner)}/{word(self.algorithm.name)}"

    @property
    def reference(self) -> str:
        """`owner/name`"""
        return f"{self.algorithm.owner}/{self.algorithm.name}"

    @property
    def versions(self) -> list[Released]:
        """The releases that have a number, the highest first."""
        found = [(each.version.number, each) for each in self.releases if each.version]
        return [each for _, each in sorted(found, key=lambda pair: pair[0], reverse=True)]

    @property
    def clone(self) -> str:
        """The address that git clones from."""
        return f"{self.address}/git/{self.reference}.git"

    def release(self, version: str) -> Released:
        """The release of a number, or of a commit that was built.

        Raises:
            NotFound: there is none, for this visitor.
        """
        for each in self.releases:
            if each.version and version == each.version.semantic:
                return each
        if self.caller.owns(self.algorithm.owner):  # as for calls: a hash is for owners
            for each in self.releases:
                if version == each.build.git_hash and each.build.status == "succeeded":
                    return each
        raise NotFound(f"{self.reference} has no version {version}")


def hosted(visit: Visit) -> Hosted:
    """The algorithm of a page's path.

    Raises:
        NotFound: there is none, or it is private and another's: nobody is told which (404).
    """
    service, caller = visit.platform.state.algorithms, visit.caller
    found = service.get(caller, visit.word("owner"), visit.word("name"))
    managed = True
    try:
        service.owned(caller, found)
    except NotAuthorized:
        managed = False
    releases = service.listed_for(caller, found)
    if not managed:
        releases = [each for each in releases if each.version]
    readable = managed or found.settings["source_visibility"] == "open"
    return Hosted(caller, visit.address, found, managed, readable, releases)


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
    return seen.release(reference).build.git_hash


def readme_of(visit: Visit, seen: Hosted) -> str:
    """The words about it in its newest source, where the visitor may read that."""
    repositories = visit.platform.state.repositories
    if not seen.readable:
        return ""
    commit = seen.versions[0].build.git_hash if seen.versions else commit_of(visit, seen, BRANCH)
    files = {file.path: file for file in repositories.files(seen.algorithm.id, commit)}
    found = next((files[name] for name in READMES if name in files), None)
    if found is None or found.size > 200_000:
        return ""
    return repositories.content(seen.algorithm.id, found).decode("utf-8", "replace")
