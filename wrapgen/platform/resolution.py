"""Which build a reference means for a caller: quick, because every call asks.

Answers are remembered until anything changes; rights are looked at every time.
"""

from __future__ import annotations

import threading

from wrapgen.errors import NotAuthorized, NotFound
from wrapgen.platform.algorithm_table import Algorithm, AlgorithmTable
from wrapgen.platform.builds import Build, Builds
from wrapgen.platform.model import Caller, Runnable
from wrapgen.platform.secrets import Secrets
from wrapgen.platform.versions import GIT_HASH, choose, wanted


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
            algorithm = self._table.find(owner, name)
            if algorithm is None:
                raise NotFound(f"algorithm algo://{owner}/{name} not found", status=404, api_code=1000)
            found = self._runnable(algorithm, self._build(algorithm, version, caller))
            with self._lock:
                if generation == self._generation:
                    self._known[place] = found
        _require_callable(caller, found, version)
        return found

    def forget(self) -> None:
        """Trusts no earlier answer any more."""
        with self._lock:
            self._generation += 1
            self._known.clear()

    def _build(self, algorithm: Algorithm, reference: str | None, caller: Caller) -> Build:
        label = f"algo://{algorithm.owner}/{algorithm.name}" + (f"/{reference}" if reference else "")
        if reference and GIT_HASH.match(reference):
            build = self._builds.newest(algorithm.id, git_hash=reference)
            if build is None:
                raise NotFound(f"{label} has no successful build", status=404, api_code=1000)
            return build
        request = wanted(reference)
        version = choose(self._table.versions(algorithm.id), request) if request else None
        if version is None:
            hint = "name a full version, or latestPrivate" if caller.owns(algorithm.owner) else ""
            message = f"algorithm {label} not found: no published version answers to it"
            raise NotFound(message, hint=hint, status=404, api_code=1000)
        return self._builds.get(algorithm.id, version.build_id)

    def _runnable(self, algorithm: Algorithm, build: Build) -> Runnable:
        versions = self._table.versions(algorithm.id)
        version = next((each for each in versions if each.build_id == build.id), None)
        revision = f":{algorithm.secrets_revision}" if algorithm.secrets_revision else ""
        return Runnable(
            key=f"{algorithm.id}:{build.id}{revision}",
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
            network_access=str(algorithm.settings["network_access"]),
            environment=build.environment,
        )


def _require_callable(caller: Caller, found: Runnable, reference: str | None) -> None:
    by_hash = bool(reference and GIT_HASH.match(reference))
    private = by_hash or found.callability == "private"
    # A key's list is about what is called with the key. What that calls in turn is its author's choice,
    # where it is public or the author's own: the caller's private algorithms stay under the caller's list.
    author = caller.algorithm.partition("/")[0].lower() if caller.algorithm else ""
    listed = caller.algorithm is None or (private and author != found.owner.lower())
    if listed and not caller.may_call(found.owner, found.name):
        raise NotAuthorized(
            f"this API key may not call algo://{found.owner}/{found.name}", status=403, api_code=2001
        )
    if private and not caller.owns(found.owner):
        raise NotAuthorized(
            f"algo://{found.owner}/{found.name}/{found.version} is private", status=403, api_code=2001
        )
