"""Algorithms: making, changing, building and publishing them, and who may do that.

Building itself is in `builds`, the arithmetic of version numbers in `versions`, what a reference means in
`resolution`, rows in `algorithm_table`, JSON shapes in `http`.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from wrapgen.errors import BadRequest, Conflict, NotAuthorized, NotFound
from wrapgen.platform.building import template
from wrapgen.platform.building.builds import Builds
from wrapgen.platform.building.environments import Environments
from wrapgen.platform.domain.accounts import Accounts
from wrapgen.platform.domain.model import Algorithm, Build, Caller, Released, Runnable, Version
from wrapgen.platform.domain.resolution import Resolution
from wrapgen.platform.domain.secrets import Secrets
from wrapgen.platform.domain.settings import merged_settings
from wrapgen.platform.domain.versions import next_callability, next_number
from wrapgen.platform.storage.algorithm_table import AlgorithmTable
from wrapgen.platform.storage.repositories import Repositories

ALGORITHM_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,199}\Z")
"""What algorithms may be called: the vendor sets no limit, and a file is named after each."""

NO_SUCH = "No such algorithm"
"""The words that the vendor's Python client looks for (algorithmia-python, Algorithmia/algorithm.py)."""

_NOTES = ("release_notes", "sample_input", "sample_output", "insights_enabled")


class Algorithms:
    """The algorithms of one platform; the arguments are the services it stands on."""

    def __init__(
        self,
        table: AlgorithmTable,
        accounts: Accounts,
        environments: Environments,
        repositories: Repositories,
        builds: Builds,
        secrets: Secrets,
        clock: Callable[[], float],
    ) -> None:
        self._accounts = accounts
        self._environments = environments
        self._repositories = repositories
        self._builds = builds
        self._clock = clock
        self._table = table
        self._resolution = Resolution(table, builds, secrets)
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
        if not isinstance(name, str) or not ALGORITHM_NAME.match(name):
            raise BadRequest(
                f"{name!r} can't be the name of an algorithm",
                hint="letters, digits and _ after a letter, at most 200 characters",
            )
        made = Algorithm(
            id=str(uuid.uuid4()),
            owner=account.name,
            name=name,
            details={"label": name, **_object(fields, "details")},
            settings=merged_settings({}, _object(fields, "settings"), self._environments),
            sample_input=str(_object(fields, "version_info").get("sample_input") or ""),
            first_commit="",
            secrets_revision=0,
            created_at=self._clock(),
        )
        self._refuse_taken(made)
        first_commit = self._repositories.create(
            made.id,
            template.files(owner=account.name, name=name),
            author=caller.account,
            message=str(_object(fields, "source").get("initial_commit_message") or "Initial commit"),
        )
        made = replace(made, first_commit=first_commit)
        with self._table.transaction():
            self._refuse_taken(made)
            self._table.insert(made, owner_id=account.id)
        self.changed(made.id)
        return made

    def get(self, caller: Caller, owner: str, name: str) -> Algorithm:
        """An algorithm that the caller may see, by names in any letter case.

        Raises:
            NotFound: there is none that the caller may see.
            NotAuthorized: it is private, the caller's, and a running algorithm asks.
        """
        return self._visible(caller, self._table.find(owner, name), "no-such-algorithm")

    def get_id(self, caller: Caller, algorithm_id: str) -> Algorithm:
        """An algorithm that the caller may see, by its id.

        Raises:
            NotFound: there is none that the caller may see.
            NotAuthorized: it is private, the caller's, and a running algorithm asks.
        """
        return self._visible(caller, self._table.first(id=algorithm_id.lower()), "no-such-id")

    def named(self, caller: Caller, words: Mapping[str, Any]) -> Algorithm:
        """An algorithm that the caller may see, by `id` or by `owner` and `name`; see `get_id` and `get`."""
        if "id" in words:
            return self.get_id(caller, str(words["id"]))
        return self.get(caller, words["owner"], words["name"])

    def owned(self, caller: Caller, algorithm: Algorithm) -> Algorithm:
        """The same algorithm, if the caller may manage it.

        Raises:
            NotAuthorized: it is another's, or the key may not manage algorithms.
        """
        _require_owner(caller, algorithm.owner)
        return algorithm

    def all(self, owner: str | None = None) -> list[Algorithm]:
        """All algorithms (of one owner, if given, in any letter case), by name."""
        return self._table.all() if owner is None else self._table.of(owner)

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
        builds = self._table.remove(algorithm.id)
        self.changed(algorithm.id)
        self._repositories.delete(algorithm.id)
        self._builds.forget(builds)

    # -- builds and versions ---------------------------------------------------------------------------

    def build_head(self, algorithm: Algorithm) -> Build:
        """Starts a build of the newest commit."""
        environment = self._environments.named(algorithm.settings["algorithm_environment"])
        return self._builds.start(algorithm.id, self._repositories.head(algorithm.id), environment.name)

    def pushed(self, algorithm: Algorithm, head_before: str) -> Build | None:
        """Keeps what was pushed for good, and starts a build if the default branch has moved since."""
        self._repositories.keep(algorithm.id)
        if self._repositories.head(algorithm.id) == head_before:
            return None
        return self.build_head(algorithm)

    def compile(self, caller: Caller, algorithm: Algorithm) -> Build:
        """Builds the newest commit and waits until that has ended.

        Raises:
            NotAuthorized: it is not the caller's.
        """
        return self._builds.wait(self.build_head(self.owned(caller, algorithm)))

    def releasable(self, caller: Caller, algorithm: Algorithm, fields: dict[str, Any]) -> Runnable:
        """What `publish` would release, to be loaded once before; it may raise what that raises."""
        self.owned(caller, algorithm)
        build = self._unpublished(algorithm.id)
        version = self._next_version(algorithm, build, fields)
        found = replace(self._resolution.runnable(algorithm, build), version=version.semantic)
        return found if caller.permissions.data_read else found.without_data()

    def publish(
        self, caller: Caller, algorithm: Algorithm, fields: dict[str, Any], loaded: str | None = None
    ) -> Released:
        """Releases the most recent successful build under the next number.

        Args:
            caller: must be an owner.
            algorithm: whose build it is.
            fields: the API's `version_info`, `settings`, `details`; all may be missing.
            loaded: the id of the build that was tried; None for whichever there is.

        Raises:
            NotAuthorized: it is not the caller's.
            Conflict: there is no successful build, it was released already, or is not the one that was tried.
            BadRequest: a field can't be.
        """
        self.owned(caller, algorithm)
        with self._table.transaction():
            build = self._unpublished(algorithm.id)
            if loaded not in (None, build.id):
                raise Conflict("another build ended meanwhile", hint="publish again")
            version = self._next_version(algorithm, build, fields)
            asked = {**_object(fields, "settings"), "algorithm_callability": version.callability}
            settings = merged_settings(algorithm.settings, asked, self._environments)
            details = {**algorithm.details, **_object(fields, "details")}
            self._store(replace(algorithm, settings=settings, details=details))
            major, minor, revision = version.number
            self._table.versions.insert(version, major=major, minor=minor, revision=revision)
        self.changed(algorithm.id)
        return Released(build, version)

    def released(self, build: Build) -> Released:
        """A build with its version, if it has one."""
        return Released(build, self._table.versions.first(build_id=build.id))

    def page(
        self, caller: Caller, algorithm: Algorithm, last: str | None, count: int, **only: Any
    ) -> list[Released] | None:
        """Builds as `BuildTable.page` gives them, each with its version; strangers see public ones only."""
        if not caller.sees_private(algorithm.owner):
            if only.get("callability") not in (None, "public"):
                return []
            only["callability"] = "public"
        found = self._builds.page(algorithm.id, last, count, **only)
        return None if found is None else [self.released(build) for build in found]

    def highest(self, caller: Caller, algorithm: Algorithm, most: int) -> list[Released]:
        """So many versions that a caller may see, the highest number first."""
        found = self._table.versions.highest(algorithm.id, most, _seen_by(caller, algorithm))
        return [Released(self._builds.get(algorithm.id, each.build_id), each) for each in found]

    def named_for(self, caller: Caller, algorithm: Algorithm, reference: str) -> Released:
        """The build that a commit or a version's number names, of those that a caller may see.

        Raises:
            NotFound: there is none.
        """
        found = self._builds.named(algorithm.id, reference, _seen_by(caller, algorithm))
        if found is None:
            raise NotFound(f"no such version: {reference}")
        return self.released(found)

    # -- resolving -------------------------------------------------------------------------------------

    def resolve(self, owner: str, name: str, version: str | None, caller: Caller) -> Runnable:
        """The build that a reference means for a caller; quick after the first time.

        Args:
            owner, name: in any letter case.
            version: None, `latest`, `latestPrivate`, `1.2.3`, `1.2`, `1.*` or a git hash.
            caller: who wants to call it.

        Raises:
            NotFound: there is no such algorithm or version, or it is private and another's (status 404).
            NotAuthorized: the key may not call it (status 403).
        """
        return self._resolution.resolve(owner, name, version, caller)

    def resolve_id(self, algorithm_id: str, version: str | None, caller: Caller) -> Runnable:
        """Like `resolve`, by the algorithm's id."""
        found = self._table.first(id=algorithm_id.lower())
        if found is not None:
            try:
                return self.resolve(found.owner, found.name, version, caller)
            except NotFound:
                if caller.owns(found.owner):
                    raise
        raise NotFound(f"algorithm {algorithm_id} not found", reason="no-such-id")

    def full_name(self, algorithm_id: str) -> str:
        """`owner/name` of an algorithm's id, for any caller; the id if there is none."""
        found = self._table.first(id=algorithm_id.lower())
        return f"{found.owner}/{found.name}" if found else algorithm_id

    def on_change(self, listener: Callable[[str], None]) -> None:
        """Registers what is called with an algorithm's id after anything about it may resolve differently."""
        self._listeners.append(listener)

    def changed(self, algorithm_id: str) -> None:
        """Forgets what was resolved and tells the listeners."""
        self._resolution.forget()
        for listener in self._listeners:
            listener(algorithm_id)

    def catch_up(self) -> None:
        """After an opening: removes leftovers, restarts unfinished builds, builds pushes that got none."""
        found = self._table.all()
        self._repositories.keep_only({algorithm.id for algorithm in found})
        self._builds.restart_unfinished()
        for algorithm in found:
            with suppress(NotFound):  # a damaged repository keeps no other algorithm from being served
                head = self._repositories.head(algorithm.id)
                if head != algorithm.first_commit and not self._builds.any_of(algorithm.id, head):
                    self.build_head(algorithm)

    def _store(self, changed: Algorithm) -> None:
        facts = {"details": changed.details, "settings": changed.settings}
        self._table.update(changed.id, **facts, sample_input=changed.sample_input)

    def _refuse_taken(self, made: Algorithm) -> None:
        if self._table.find(made.owner, made.name) is not None:
            raise Conflict(f"{made.owner}/{made.name} exists already", reason="algorithm-exists")

    def _unpublished(self, algorithm_id: str) -> Build:
        """The most recent successful build, if it was not released yet."""
        build = self._builds.newest(algorithm_id)
        if build is None:
            message = "there is no successful build to publish"
            raise Conflict(message, hint="compile first", reason="nothing-to-publish")
        if self._table.versions.first(build_id=build.id) is not None:
            message = "the newest successful build is already published"
            raise Conflict(message, hint="compile first", reason="nothing-to-publish")
        return build

    def _next_version(self, algorithm: Algorithm, build: Build, fields: dict[str, Any]) -> Version:
        info, versions = _object(fields, "version_info"), self._table.versions
        highest = next(iter(versions.highest(algorithm.id, 1)), None)
        number = next_number(highest.number if highest else None, info.get("version_type"))
        callability = next_callability(
            next(iter(versions.highest(algorithm.id, 1, major=number[0])), None),
            _object(fields, "settings").get("algorithm_callability"),
            algorithm.settings["algorithm_callability"],
        )
        return Version(
            id=str(uuid.uuid4()),
            algorithm_id=algorithm.id,
            build_id=build.id,
            number=number,
            callability=callability,
            notes={key: info[key] for key in _NOTES if info.get(key) is not None},
            published_at=self._clock(),
        )

    def _visible(self, caller: Caller, algorithm: Algorithm | None, reason: str) -> Algorithm:
        if algorithm is None:
            raise NotFound(NO_SUCH, reason=reason)
        # A running algorithm acts for its caller in calls and data; here it sees what a stranger sees.
        if caller.sees_private(algorithm.owner) or self._table.versions.has_public(algorithm.id):
            return algorithm
        if not caller.owns(algorithm.owner):  # a departure: the vendor's says 403, and so that there is one
            raise NotFound(NO_SUCH, reason=reason)
        # The vendor's client looks for the number in the text (algorithmia-python, Algorithmia/algorithm.py).
        raise NotAuthorized(f"403: algo://{algorithm.owner}/{algorithm.name} is not yours")


def _seen_by(caller: Caller, algorithm: Algorithm) -> str | None:
    return None if caller.sees_private(algorithm.owner) else "public"


def require_manager(caller: Caller) -> None:
    """Refuses a caller that may manage no algorithms at all.

    Raises:
        NotAuthorized: it is an algorithm, or its key is restricted.
    """
    if caller.algorithm is not None:
        # It acts for its caller, who need not trust it with more than a call.
        raise NotAuthorized("a running algorithm can't manage algorithms")
    if not caller.permissions.manage:
        raise NotAuthorized("this API key may not manage algorithms")


def _require_owner(caller: Caller, owner: str) -> None:
    require_manager(caller)
    if not caller.owns(owner):
        raise NotAuthorized(f"403: {caller.account} is neither {owner} nor a member of it")


def _object(fields: dict[str, Any], name: str) -> dict[str, Any]:
    """A field that should be an object; what is not one says nothing."""
    value = fields.get(name)
    return value if isinstance(value, dict) else {}
