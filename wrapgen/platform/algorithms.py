"""Algorithms: the objects, their versions, and which build a reference means for a caller.

Rights are decided here: who may create, build, publish, see and call. Building itself is in `builds`, the
arithmetic of version numbers in `versions`, JSON shapes in `http`.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from sqlite3 import Row
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform import template
from wrapgen.platform.accounts import NAME, Accounts
from wrapgen.platform.builds import Build, Builds
from wrapgen.platform.database import Database
from wrapgen.platform.environments import Environments
from wrapgen.platform.model import Caller, Runnable
from wrapgen.platform.repositories import Repositories
from wrapgen.platform.secrets import Secrets
from wrapgen.platform.settings import merged_settings
from wrapgen.platform.versions import GIT_HASH, Version, choose, next_callability, next_number, wanted

NO_SUCH = "No such algorithm"
"""The words that the vendor's Python client looks for (algorithmia-python, Algorithmia/algorithm.py)."""


@dataclass(frozen=True)
class Algorithm:
    """One algorithm.

    Args:
        id: UUID, never changes.
        owner, name: as they were registered.
        details: the API's `label`, `summary`, `tagline`.
        settings: the API's settings, complete; `algorithm_environment` is an environment's id.
        sample_input: shown to users.
        first_commit: the template's commit, which nobody asked to build.
        secrets_revision: rises with every change of a secret.
        created_at: epoch seconds.
    """

    id: str
    owner: str
    name: str
    details: dict[str, Any]
    settings: dict[str, Any]
    sample_input: str
    first_commit: str
    secrets_revision: int
    created_at: float


@dataclass(frozen=True)
class Released:
    """A build with the version it was released as, if it was."""

    build: Build
    version: Version | None


class Algorithms:
    """The algorithms of one platform; the arguments are the services it stands on."""

    def __init__(
        self,
        database: Database,
        accounts: Accounts,
        environments: Environments,
        repositories: Repositories,
        builds: Builds,
        secrets: Secrets,
        clock: Callable[[], float],
    ) -> None:
        self._database = database
        self._accounts = accounts
        self._environments = environments
        self._repositories = repositories
        self._builds = builds
        self._secrets = secrets
        self._clock = clock
        self._lock = threading.Lock()
        self._generation = 0
        self._resolved: dict[tuple[str, str, str | None], Runnable] = {}
        self._listeners: list[Callable[[str], None]] = []
        builds.on_finish(self.changed)
        secrets.on_change(self.changed)

    # -- objects ---------------------------------------------------------------------------------------

    def create(self, caller: Caller, owner: str, fields: dict[str, Any]) -> Algorithm:
        """Makes an algorithm with a repository that holds the template; nothing is built.

        Args:
            caller: must be allowed to manage the owner's algorithms.
            owner: the account it belongs to.
            fields: the API's `name`, `details`, `settings`, `version_info`.

        Raises:
            NotAuthorized, NotFound: the owner is not the caller's, or does not exist.
            BadRequest: a name or a setting can't be.
            Conflict: the owner has an algorithm of that name.
        """
        account = self._accounts.get(owner)
        _require_owner(caller, account.name)
        name = fields.get("name")
        if not isinstance(name, str) or not NAME.match(name):
            raise BadRequest(
                f"{name!r} can't be the name of an algorithm",
                hint="letters, digits and _ after a letter, at most 30 characters",
                status=400,
                api_code=2015,
            )
        settings = merged_settings({}, _object(fields, "settings"), self._environments)
        details = {"label": name, **_object(fields, "details")}
        sample = str(_object(fields, "version_info").get("sample_input") or "")
        algorithm_id = str(uuid.uuid4())
        message = str(_object(fields, "source").get("initial_commit_message") or "Initial commit")
        taken = Conflict(f"{account.name}/{name} exists already", status=409, api_code=1002)
        if self._find(account.name, name) is not None:
            raise taken
        first = self._repositories.create(
            algorithm_id,
            template.files(owner=account.name, name=name),
            author=caller.account,
            message=message,
        )
        with self._database.transaction():
            if self._find(account.name, name) is not None:
                raise taken
            self._database.execute(
                "INSERT INTO algorithms VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?)",
                algorithm_id,
                account.id,
                name,
                json.dumps(details),
                json.dumps(settings),
                sample,
                first,
                self._clock(),
            )
        self.changed(algorithm_id)
        return self.get(caller, account.name, name)

    def get(self, caller: Caller, owner: str, name: str) -> Algorithm:
        """An algorithm that the caller may see, by names in any letter case.

        Raises:
            NotFound: there is none.
            NotAuthorized: it is private and not the caller's.
        """
        found = self._find(owner, name)
        if found is None:
            raise NotFound(NO_SUCH, status=404, api_code=1000)
        return self._visible(caller, found)

    def get_id(self, caller: Caller, algorithm_id: str) -> Algorithm:
        """An algorithm that the caller may see, by its id.

        Raises:
            NotFound: there is none.
            NotAuthorized: it is private and not the caller's.
        """
        row = self._database.row(f"{_SELECT} WHERE algorithms.id = ?", algorithm_id)
        if row is None:
            raise NotFound(NO_SUCH, status=404, api_code=1009)
        return self._visible(caller, _algorithm(row))

    def owned(self, caller: Caller, algorithm: Algorithm) -> Algorithm:
        """The same algorithm, if the caller may manage it.

        Raises:
            NotAuthorized: it is another's, or the key may not manage algorithms.
        """
        _require_owner(caller, algorithm.owner)
        return algorithm

    def of_owner(self, owner: str) -> list[Algorithm]:
        """All algorithms of an account, by name."""
        rows = self._database.rows(
            f"{_SELECT} WHERE accounts.name = ? ORDER BY lower(algorithms.name)", owner
        )
        return [_algorithm(row) for row in rows]

    def update(self, caller: Caller, algorithm: Algorithm, fields: dict[str, Any]) -> Algorithm:
        """Replaces what the fields name (`details`, `settings`, `version_info.sample_input`).

        Raises:
            NotAuthorized: it is not the caller's.
            BadRequest: a setting can't be.
        """
        self.owned(caller, algorithm)
        settings = merged_settings(algorithm.settings, _object(fields, "settings"), self._environments)
        changed = replace(
            algorithm,
            details={**algorithm.details, **_object(fields, "details")},
            settings=settings,
            sample_input=str(_object(fields, "version_info").get("sample_input", algorithm.sample_input)),
        )
        self._store(changed)
        self.changed(algorithm.id)
        return changed

    def delete(self, caller: Caller, algorithm: Algorithm) -> None:
        """Removes an algorithm with its versions, builds and repository.

        Raises:
            NotAuthorized: it is not the caller's.
        """
        self.owned(caller, algorithm)
        rows = self._database.rows("SELECT id FROM builds WHERE algorithm_id = ?", algorithm.id)
        self._database.execute("DELETE FROM algorithms WHERE id = ?", algorithm.id)
        self.changed(algorithm.id)
        self._repositories.delete(algorithm.id)
        self._builds.forget([row["id"] for row in rows])

    # -- builds and versions ---------------------------------------------------------------------------

    def build_head(self, algorithm: Algorithm) -> Build:
        """Starts a build of the newest commit."""
        environment = self._environments.named(algorithm.settings["algorithm_environment"])
        return self._builds.start(algorithm.id, self._repositories.head(algorithm.id), environment.name)

    def pushed(self, algorithm: Algorithm, head_before: str) -> Build | None:
        """Starts a build if the default branch has moved since."""
        if self._repositories.head(algorithm.id) == head_before:
            return None
        return self.build_head(algorithm)

    def compile(self, caller: Caller, algorithm: Algorithm) -> Build:
        """Builds the newest commit and waits until that has ended.

        Raises:
            NotAuthorized: it is not the caller's.
        """
        self.owned(caller, algorithm)
        return self._builds.wait(self.build_head(algorithm))

    def publish(self, caller: Caller, algorithm: Algorithm, fields: dict[str, Any]) -> Released:
        """Releases the most recent successful build under the next number.

        Args:
            caller: must be an owner.
            algorithm: whose build it is.
            fields: the API's `version_info`, `settings`, `details`; all may be missing.

        Raises:
            NotAuthorized: it is not the caller's.
            Conflict: there is no successful build, or it was released already.
            BadRequest: a field can't be.
        """
        self.owned(caller, algorithm)
        info, asked = _object(fields, "version_info"), _object(fields, "settings")
        with self._database.transaction():
            row = self._database.row(
                "SELECT * FROM builds WHERE algorithm_id = ? AND status = 'succeeded' "
                "ORDER BY number DESC LIMIT 1",
                algorithm.id,
            )
            if row is None:
                raise Conflict(
                    "there is no successful build to publish", hint="compile first", status=409, api_code=1007
                )
            versions = self.versions(algorithm.id)
            if any(version.build_id == row["id"] for version in versions):
                raise Conflict(
                    "the newest successful build is already published; compile first",
                    status=409,
                    api_code=1007,
                )
            number = next_number(
                max((version.number for version in versions), default=None), info.get("version_type")
            )
            same_major = [version for version in versions if version.number[0] == number[0]]
            callability = next_callability(
                max(same_major, key=lambda version: version.number, default=None),
                asked.get("algorithm_callability"),
                algorithm.settings["algorithm_callability"],
            )
            settings = merged_settings(
                algorithm.settings, {**asked, "algorithm_callability": callability}, self._environments
            )
            details = {**algorithm.details, **_object(fields, "details")}
            self._store(replace(algorithm, settings=settings, details=details))
            self._database.execute(
                "INSERT INTO versions (id, algorithm_id, build_id, major, minor, revision, callability, "
                "notes, published_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                str(uuid.uuid4()),
                algorithm.id,
                row["id"],
                *number,
                callability,
                json.dumps({key: info[key] for key in _NOTES if info.get(key) is not None}),
                self._clock(),
            )
        self.changed(algorithm.id)
        return self.released(self._builds.get(algorithm.id, row["id"]))

    def released(self, build: Build) -> Released:
        """A build with its version, if it has one."""
        found = [version for version in self.versions(build.algorithm_id) if version.build_id == build.id]
        return Released(build, found[0] if found else None)

    def listed(self, algorithm_id: str) -> list[Released]:
        """All builds of an algorithm, newest first, each with its version if it has one."""
        versions = {version.build_id: version for version in self.versions(algorithm_id)}
        builds = self._builds.of_algorithm(algorithm_id)
        return [Released(build, versions.get(build.id)) for build in builds]

    def versions(self, algorithm_id: str) -> list[Version]:
        """All versions of an algorithm, newest first."""
        rows = self._database.rows(
            "SELECT * FROM versions WHERE algorithm_id = ? ORDER BY number DESC", algorithm_id
        )
        return [_version(row) for row in rows]

    # -- resolving -------------------------------------------------------------------------------------

    def resolve(self, owner: str, name: str, version: str | None, caller: Caller) -> Runnable:
        """The build that a reference means for a caller; quick after the first time.

        Args:
            owner, name: in any letter case.
            version: None, `latest`, `latestPrivate`, `1.2.3`, `1.2`, `1.*` or a git hash.
            caller: who wants to call it.

        Raises:
            NotFound: there is no such algorithm or version (status 404).
            NotAuthorized: it is private and another's, or the key may not call it (status 403).
        """
        place = (owner.lower(), name.lower(), version)
        found = self._resolved.get(place)
        if found is None:
            generation = self._generation
            algorithm = self._find(owner, name)
            if algorithm is None:
                raise NotFound(f"algorithm algo://{owner}/{name} not found", status=404, api_code=1000)
            found = self._resolve(algorithm, version, caller)
            with self._lock:
                if generation == self._generation:
                    self._resolved[place] = found
        self._require_callable(caller, found, version)
        return found

    def resolve_id(self, algorithm_id: str, version: str | None, caller: Caller) -> Runnable:
        """Like `resolve`, by the algorithm's id."""
        row = self._database.row(f"{_SELECT} WHERE algorithms.id = ?", algorithm_id)
        if row is None:
            raise NotFound(f"algorithm {algorithm_id} not found", status=404, api_code=1009)
        return self.resolve(row["owner"], row["name"], version, caller)

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Registers what is called with an algorithm's id after anything about it may resolve differently."""
        self._listeners.append(listener)

    def changed(self, algorithm_id: str) -> None:
        """Forgets what was resolved and tells the listeners."""
        with self._lock:
            self._generation += 1
            self._resolved.clear()
        for listener in self._listeners:
            listener(algorithm_id)

    def catch_up(self) -> None:
        """After an opening: removes leftovers, restarts unfinished builds, builds pushes that got none."""
        rows = self._database.rows(_SELECT)
        self._repositories.keep_only({row["id"] for row in rows})
        self._builds.restart_unfinished()
        for algorithm in map(_algorithm, rows):
            head = self._repositories.head(algorithm.id)
            known = self._database.row(
                "SELECT 1 FROM builds WHERE algorithm_id = ? AND git_hash = ?", algorithm.id, head
            )
            if head != algorithm.first_commit and known is None:
                self.build_head(algorithm)

    def _resolve(self, algorithm: Algorithm, reference: str | None, caller: Caller) -> Runnable:
        label = f"algo://{algorithm.owner}/{algorithm.name}" + (f"/{reference}" if reference else "")
        if reference and GIT_HASH.match(reference):
            row = self._database.row(
                "SELECT * FROM builds WHERE algorithm_id = ? AND git_hash = ? AND status = 'succeeded' "
                "ORDER BY number DESC LIMIT 1",
                algorithm.id,
                reference,
            )
            if row is None:
                raise NotFound(f"{label} has no successful build", status=404, api_code=1000)
            return self._runnable(algorithm, self._builds.get(algorithm.id, row["id"]))
        request = wanted(reference)
        version = choose(self.versions(algorithm.id), request) if request else None
        if version is None:
            hint = "name a full version, or latestPrivate" if caller.owns(algorithm.owner) else ""
            raise NotFound(f"{label} not found: no published version answers to it", hint=hint, status=404)
        return self._runnable(algorithm, self._builds.get(algorithm.id, version.build_id))

    def _runnable(self, algorithm: Algorithm, build: Build) -> Runnable:
        version = self.released(build).version
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

    def _require_callable(self, caller: Caller, found: Runnable, reference: str | None) -> None:
        if not caller.may_call(found.owner, found.name):
            raise NotAuthorized(
                f"this API key may not call algo://{found.owner}/{found.name}", status=403, api_code=2001
            )
        by_hash = bool(reference and GIT_HASH.match(reference))
        if (by_hash or found.callability == "private") and not caller.owns(found.owner):
            raise NotAuthorized(
                f"algo://{found.owner}/{found.name}/{found.version} is private", status=403, api_code=2001
            )

    # -- rows ------------------------------------------------------------------------------------------

    def _find(self, owner: str, name: str) -> Algorithm | None:
        row = self._database.row(
            f"{_SELECT} WHERE lower(accounts.name) = lower(?) AND lower(algorithms.name) = lower(?)",
            owner,
            name,
        )
        return _algorithm(row) if row else None

    def _visible(self, caller: Caller, algorithm: Algorithm) -> Algorithm:
        public = any(version.callability == "public" for version in self.versions(algorithm.id))
        if public or caller.owns(algorithm.owner):
            return algorithm
        # The vendor's client looks for the number in the text (algorithmia-python, Algorithmia/algorithm.py).
        raise NotAuthorized(
            f"403: algo://{algorithm.owner}/{algorithm.name} is not yours", status=403, api_code=2001
        )

    def _store(self, algorithm: Algorithm) -> None:
        self._database.execute(
            "UPDATE algorithms SET details = ?, settings = ?, sample_input = ? WHERE id = ?",
            json.dumps(algorithm.details),
            json.dumps(algorithm.settings),
            algorithm.sample_input,
            algorithm.id,
        )


_SELECT = (
    "SELECT algorithms.*, accounts.name AS owner FROM algorithms JOIN accounts ON accounts.id = owner_id"
)
_NOTES = ("release_notes", "sample_input", "sample_output", "insights_enabled")


def _algorithm(row: Row) -> Algorithm:
    return Algorithm(
        id=row["id"],
        owner=row["owner"],
        name=row["name"],
        details=json.loads(row["details"]),
        settings=json.loads(row["settings"]),
        sample_input=row["sample_input"],
        first_commit=row["first_commit"],
        secrets_revision=row["secrets_revision"],
        created_at=row["created_at"],
    )


def _version(row: Row) -> Version:
    return Version(
        id=row["id"],
        algorithm_id=row["algorithm_id"],
        build_id=row["build_id"],
        number=(row["major"], row["minor"], row["revision"]),
        callability=row["callability"],
        notes=json.loads(row["notes"]),
        published_at=row["published_at"],
    )


def _require_owner(caller: Caller, owner: str) -> None:
    if not caller.permissions.manage:
        raise NotAuthorized("this API key may not manage algorithms", status=403, api_code=2001)
    if not caller.owns(owner):
        raise NotAuthorized(
            f"403: {caller.account} is neither {owner} nor a member of it", status=403, api_code=2001
        )


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that should be an object; what is not one says nothing."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
