"""Which build a reference means for a caller: quick, because every call asks.

Answers are remembered until anything changes; rights are looked at every time.
"""

from __future__ import annotations

import threading

from wrapgen.errors import NotAuthorized, NotFound
from wrapgen.platform.building.builds import Builds
from wrapgen.platform.domain.model import Algorithm, Build, Caller, Runnable
from wrapgen.platform.domain.secrets import Secrets
from wrapgen.platform.domain.versions import GIT_HASH, choose, wanted
from wrapgen.platform.storage.algorithm_table import AlgorithmTable


class Resolution:
    """References and what they mean; the arguments are where the facts are."""

    def __init__(self, table: AlgorithmTable, builds: Builds, secrets: Secrets) -> None:
        self._table = table
        self._builds = builds
        self._secrets = secrets
        self._lock = threading.Lock()
        self._generation = 0
        self._known: dict[tuple[str, str, str | None], Runnable] = {}

    def resolve(self, owner: str, name: str, version: str | None, caller: Caller) -> Runnable:
        """See `Algorithms.resolve`."""
        place = (owner.lower(), name.lower(), version)
        found = self._known.get(place)
        if found is None:
            generation = self._generation
            found = self._find(owner, name, version, caller)
            with self._lock:
                if generation == self._generation:
                    self._known[place] = found
        private = found.callability == "private" or bool(version and GIT_HASH.match(version))
        if private and not caller.owns(found.owner):
            raise self._missing(owner, name, version, caller)
        _require_listed(caller, found, private)
        return found

    def forget(self) -> None:
        """Trusts no earlier answer any more."""
        with self._lock:
            self._generation += 1
            self._known.clear()

    def _find(self, owner: str, name: str, version: str | None, caller: Caller) -> Runnable:
        algorithm = self._table.find(owner, name)
        build = self._build(algorithm, version) if algorithm else None
        if algorithm is None or build is None:
            raise self._missing(owner, name, version, caller)
        return self.runnable(algorithm, build)

    def _missing(self, owner: str, name: str, version: str | None, caller: Caller) -> NotFound:
        """The same for what isn't there as for what is another's and private: it tells no name."""
        algorithm = self._table.find(owner, name)
        mine = algorithm is not None and caller.owns(algorithm.owner)
        seen = algorithm is not None and self._table.versions.has_public(algorithm.id)
        label = f"algo://{owner}/{name}" + (f"/{version}" if version else "")
        kind = "successful build" if version and GIT_HASH.match(version) else "published version"
        said = f": no {kind} answers to it" if mine or seen else ""
        hint = "name a full version, or latestPrivate" if mine else ""
        return NotFound(f"algorithm {label} not found{said}", hint=hint, reason="no-such-algorithm")

    def _build(self, algorithm: Algorithm, reference: str | None) -> Build | None:
        """The build that a reference means, for any caller; None if there is none."""
        if reference and GIT_HASH.match(reference):
            return self._builds.newest(algorithm.id, git_hash=reference)
        request = wanted(reference)
        version = choose(self._table.versions.all(algorithm_id=algorithm.id), request) if request else None
        return self._builds.get(algorithm.id, version.build_id) if version else None

    def runnable(self, algorithm: Algorithm, build: Build) -> Runnable:
        """A build, ready for workers."""
        version = self._table.versions.first(algorithm_id=algorithm.id, build_id=build.id)
        network = str(algorithm.settings["network_access"])
        revision = f":{algorithm.secrets_revision}" if algorithm.secrets_revision else ""
        return Runnable(
            key=f"{algorithm.id}:{build.id}{revision}{':isolated' if network == 'isolated' else ''}",
            algorithm_id=algorithm.id,
            build_id=build.id,
            owner=algorithm.owner,
            name=algorithm.name,
            version=version.semantic if version else build.git_hash,
            git_hash=build.git_hash,
            directory=self._builds.source(build),
            interpreter=build.interpreter,
            variables=self._secrets.variables(algorithm.id),
            callability=version.callability if version else "private",
            network_access=network,
            environment=build.environment,
            base=self._builds.base(build),
        )


def _require_listed(caller: Caller, found: Runnable, private: bool) -> None:
    # A key's list is about what is called with the key. What that calls in turn is its author's choice,
    # where it is public or the author's own: the caller's private algorithms stay under the caller's list.
    author = caller.algorithm.partition("/")[0].lower() if caller.algorithm else ""
    listed = caller.algorithm is None or (private and author != found.owner.lower())
    if listed and not caller.may_call(found.owner, found.name):
        raise NotAuthorized(f"this API key may not call algo://{found.owner}/{found.name}")
