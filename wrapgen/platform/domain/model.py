"""What the parts of the platform tell each other: accounts and keys, who is calling, what can be run.

Plain frozen values with no behaviour beyond questions about themselves; no database, no HTTP, no process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Permissions:
    """What a key may do.

    Args:
        algorithms: patterns of the algorithms it may call: `algo://*`, `algo://OWNER/*`, `algo://OWNER/NAME/*`
            or `algo://OWNER/NAME`.
        data_read: whether it may read data.
        data_write: whether it may write data.
        manage: whether it may create, build and publish algorithms.
        native: whether anything but web pages may use it.
        web: whether web pages may use it.
        referrer: the one host whose pages may; empty for all.
    """

    algorithms: tuple[str, ...] = ("algo://*",)
    data_read: bool = True
    data_write: bool = True
    manage: bool = True
    native: bool = True
    web: bool = True
    referrer: str = ""

    def allow_origin(self, page: str) -> bool:
        """Whether a request may come from where it says: a web page's address, or empty for anything else."""
        if not page:
            return self.native
        try:
            host = urlsplit(page).hostname
        except ValueError:  # no address at all, which no browser sends
            return False
        return self.web and (not self.referrer or host == self.referrer.lower())


@dataclass(frozen=True)
class Account:
    """A user or an organization.

    Args:
        id: UUID, never changes.
        kind: `user` or `organization`.
        name: as it was registered.
        details: further fields of the API's object, such as `email`.
        created_at: epoch seconds.
    """

    id: str
    kind: str
    name: str
    details: dict[str, Any]
    created_at: float


FIRST_ACCOUNT = "local"
"""The user that a new home starts with, and keeps."""

STANDARD_KEY = "AlgorithmKey"
ADMIN_KEY = "PlatformAdminKey"
KEY_KINDS = (STANDARD_KEY, "ManagementKey", ADMIN_KEY)
"""What the API calls kinds of keys. A ManagementKey is a standard key: its permissions say what it may."""


@dataclass(frozen=True)
class Key:
    """What is kept of an API key: everything but the key.

    Args:
        id: UUID.
        account: name of the user or organization it stands for.
        label: the user's own words.
        kind: one of KEY_KINDS; an ADMIN_KEY serves the admin endpoints (and only those).
        mask: its first characters, for recognizing it.
        permissions: its restrictions.
        created_at: epoch seconds.
    """

    id: str
    account: str
    label: str
    kind: str
    mask: str
    permissions: Permissions
    created_at: float


@dataclass(frozen=True)
class Caller:
    """Who a request acts for.

    Args:
        account: name of the user, as it was registered.
        key_id: identifies the key; changes of one key never affect another.
        admin: an admin key serves the admin endpoints only, a standard key the others only.
        permissions: the key's restrictions.
        organizations: names, in lower case, of the organizations the account is a member of.
        session: id of the top-level call this request belongs to; None outside algorithms.
        algorithm: `owner/name` of the running algorithm that makes the request; None outside algorithms.
        owner_rights: whether the rights of that algorithm's owner count too, where an ACL says so.
    """

    account: str
    key_id: str
    admin: bool = False
    permissions: Permissions = field(default_factory=Permissions)
    organizations: frozenset[str] = frozenset()
    session: str | None = None
    algorithm: str | None = None
    owner_rights: bool = True

    def owns(self, owner: str) -> bool:
        """Whether the caller acts as that owner: the account itself or a member of the organization."""
        name = owner.lower()
        return name == self.account.lower() or name in self.organizations

    def sees_private(self, owner: str) -> bool:
        """Whether the caller may see what isn't public: the owner may, but no algorithm that works for it."""
        return self.owns(owner) and self.algorithm is None

    def may_call(self, owner: str, name: str) -> bool:
        """Whether the key's restrictions allow calls of that algorithm; its visibility is another matter."""
        if "algo://*" in self.permissions.algorithms:
            return True
        references = (f"algo://{owner}/{name}/".lower(), f"algo://{owner}/{name}".lower())
        patterns = [pattern.lower() for pattern in self.permissions.algorithms]
        return any(fnmatchcase(each, pattern) for pattern in patterns for each in references)


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
class Build:
    """One attempt to make a commit runnable.

    Args:
        number: rises with every build of the platform.
        id: UUID.
        algorithm_id: whose it is.
        git_hash: the commit.
        environment: name of the environment, such as `python38`.
        status: `in-progress`, `succeeded` or `failed`.
        interpreter: the virtual environment's Python, once it succeeded.
        started_at, finished_at: epoch seconds; the latter None while in progress.
    """

    number: int
    id: str
    algorithm_id: str
    git_hash: str
    environment: str
    status: str
    interpreter: Path
    started_at: float
    finished_at: float | None


@dataclass(frozen=True)
class Version:
    """One immutable release.

    Args:
        id: UUID.
        algorithm_id: whose it is.
        build_id: the build it released.
        number: major, minor, revision.
        callability: `public` or `private`.
        notes: the API's further fields: `release_notes`, `sample_input`, `sample_output`.
        published_at: epoch seconds.
    """

    id: str
    algorithm_id: str
    build_id: str
    number: tuple[int, int, int]
    callability: str
    notes: dict[str, Any]
    published_at: float

    @property
    def semantic(self) -> str:
        """`1.2.3`"""
        return ".".join(str(part) for part in self.number)


@dataclass(frozen=True)
class Released:
    """A build with the version it was released as, if it was."""

    build: Build
    version: Version | None


@dataclass(frozen=True)
class Secret:
    """An algorithm's environment variable, without its value; times are epoch seconds."""

    id: str
    algorithm_id: str
    short_name: str
    variable: str
    description: str
    created_at: float
    modified_at: float


@dataclass(frozen=True)
class Collection:
    """A collection of data.

    Args:
        id: UUID.
        owner: name of the account.
        name: its own.
        readers: the read ACL.
    """

    id: str
    owner: str
    name: str
    readers: tuple[str, ...]


@dataclass(frozen=True)
class Runnable:
    """One successful build, ready for workers.

    Args:
        key: unique and immutable: `<algorithm id>:<build id>`, and what else makes workers different.
        algorithm_id: UUID of the algorithm.
        build_id: UUID of the build.
        owner: as it was registered, whatever the caller's letter case.
        name: as it was registered.
        version: semantic version, or the git hash for a build that is not published.
        git_hash: the commit that was built.
        directory: the checked-out source of that build; read-only by agreement.
        interpreter: the Python of the build's virtual environment.
        variables: environment variables from the algorithm's secrets.
        callability: `public` or `private`.
        network_access: `full` or `isolated`.
        environment: name of the environment, such as `python38`.
        loads_data: whether it may read its owner's data while it loads.
        base: the Python that the virtual environment was made with; None if it is no longer there.
    """

    key: str
    algorithm_id: str
    build_id: str
    owner: str
    name: str
    version: str
    git_hash: str
    directory: Path
    interpreter: Path
    variables: Mapping[str, str]
    callability: str = "private"
    network_access: str = "full"
    environment: str = ""
    loads_data: bool = True
    base: Path | None = None

    @cached_property
    def full_name(self) -> str:
        """`owner/name`"""
        return f"{self.owner}/{self.name}"

    def without_data(self) -> Runnable:
        """The same for calls whose key may not read data: workers of their own, which load without it too."""
        return replace(self, key=f"{self.key}:no-data", loads_data=False)
