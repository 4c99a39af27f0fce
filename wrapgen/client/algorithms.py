"""Algorithm management: what an algorithm is on the platform, its builds and its versions."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from wrapgen.client.api import ApiCalls
from wrapgen.client.statuses import NOT_OFFERED
from wrapgen.errors import NotFound, PlatformError
from wrapgen.protocol import MAX_TIMEOUT
from wrapgen.references import Number, Reference


@dataclass(frozen=True)
class HostedBuild:
    """One build of a commit.

    Args:
        id: the platform's id of it.
        status: `in-progress`, `succeeded` or `failed`.
        commit: 40-digit git hash.
        version: the version it was released as, or None.
        environment: the id of the environment it was built in, where the platform says it.
        warnings: what of the settings the platform does not do.
    """

    id: str
    status: str
    commit: str
    version: str | None = None
    environment: str = ""

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> HostedBuild:
        """From the platform's build object."""
        return cls(
            id=str(content.get("build_id") or ""),
            status=str(content.get("status") or ""),
            commit=str(content.get("commit_sha") or ""),
            version=_inner(content, "version_info").get("semantic_version"),
            environment=str(content.get("algorithm_environment") or ""),
        )


@dataclass(frozen=True)
class HostedVersion:
    """One build or release of an algorithm, as the version list has it.

    Args:
        version: `major.minor.revision`, or None when it was built and not released.
        git_hash: the commit.
        environment: the id of the environment it was built in, where the platform says it.
    """

    version: str | None
    git_hash: str
    environment: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def number(self) -> Number:
        """The version for comparing; a build that was not released comes before every version."""
        return Number.of(self.version)

    @classmethod
    def read(cls, content: Mapping[str, Any]) -> HostedVersion:
        """From the platform's algorithm object."""
        info = _inner(content, "version_info")
        return cls(
            version=info.get("semantic_version"),
            git_hash=str(info.get("git_hash") or ""),
            environment=str(_inner(content, "build").get("algorithm_environment") or ""),
            warnings=tuple(str(each) for each in content.get("warnings") or ()),
        )


@dataclass(frozen=True)
class HostedEnvironment:
    """A hosted language runtime that the platform offers.

    Args:
        id: what algorithm settings carry.
        name: such as `python38`.
        language: the platform's language that it belongs to, such as `python3`.
        label: the name that people are shown, such as `Python 3.8 - TensorFlow`.
        gpu: whether its machines have one.
    """

    id: str
    name: str
    language: str
    label: str = ""
    gpu: bool = False

    @property
    def number(self) -> tuple[int, int]:
        """The language's version for comparing: `python38` is (3, 8), `python310` is (3, 10)."""
        match = re.search(r"(\d)(\d*)\Z", self.name)
        return (int(match[1]), int(match[2] or 0)) if match else (0, 0)

    @classmethod
    def read(cls, content: Mapping[str, Any], language: str) -> HostedEnvironment:
        """From the platform's environment object.

        Its language is either one per version (`python38`) or one for all, with the version in the
        environment's display name (`Python 3.8`); both give the same name here.
        """
        own = str(_inner(content, "language").get("name") or language)
        label = str(content.get("display_name") or "")
        shown = re.search(r"(\d+)\.(\d+)", label)
        per_version = re.search(r"\d{2,}\Z", own)
        name = own if per_version or not shown else own.rstrip("0123456789") + shown[1] + shown[2]
        gpu = str(content.get("machine_type") or "").upper() == "GPU"
        return cls(id=str(content.get("id") or ""), name=name, language=own, label=label, gpu=gpu)


class AlgorithmCalls(ApiCalls):
    """The management calls. Names are `owner/name`. Every method raises PlatformError or a subclass."""

    def get(self, algorithm: str) -> dict[str, Any]:
        """The algorithm object.

        Raises:
            NotFound: there is none of that name.
        """
        return self._object("GET", _path(algorithm))

    def create(
        self, algorithm: str, *, details: Mapping[str, Any], settings: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Makes an algorithm with an empty history of versions; returns its object.

        Raises:
            Conflict: the name is taken.
        """
        reference = Reference.parse(algorithm)
        body = {"name": reference.name, "details": dict(details), "settings": dict(settings)}
        return self._object("POST", f"/v1/algorithms/{quote(reference.owner)}", body)

    def update(self, algorithm: str, *, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Changes settings; returns the object."""
        return self._object("PUT", _path(algorithm), {"settings": settings})

    def compile(self, algorithm: str, *, timeout: float = MAX_TIMEOUT) -> HostedVersion:
        """Builds the newest commit again and waits for the end, so that it can be released once more."""
        return HostedVersion.read(self._object("POST", f"{_path(algorithm)}/compile", {}, timeout=timeout))

    def publish(
        self,
        algorithm: str,
        *,
        version_type: str,
        settings: Mapping[str, Any],
        version_info: Mapping[str, Any] | None = None,
    ) -> HostedVersion:
        """Releases the most recent successful build.

        Args:
            algorithm: `owner/name`.
            version_type: `major`, `minor` or `revision`.
            settings: such as `algorithm_callability`.
            version_info: release notes, sample input and output.

        Raises:
            Conflict: that build is released already.
        """
        body = {
            "settings": dict(settings),
            "version_info": {**(version_info or {}), "version_type": version_type},
        }
        return HostedVersion.read(self._object("POST", f"{_path(algorithm)}/versions", body))

    def load(self, algorithm: str, commit: str) -> bool:
        """Has a build load once, without a call; False where the platform can't be asked to.

        Raises:
            BadRequest: it can't be loaded.
        """
        path = f"{_path(algorithm)}/versions/{quote(commit)}/load"
        try:
            self._transport.request("POST", path, body=b"", timeout=MAX_TIMEOUT)
        except PlatformError as error:
            if error.status in NOT_OFFERED:
                return False
            raise
        return True

    def versions(self, algorithm: str, *, published: bool | None = True) -> list[HostedVersion]:
        """Every version, newest first; `published=None` includes builds that were never released."""
        word = None if published is None else str(published).lower()
        pages = self._pages(f"{_path(algorithm)}/versions", {"published": word})
        found = [HostedVersion.read(entry) for entry in pages]
        # Some platforms ignore the filter or, as one client does, drop it on the way: see it through here.
        return [v for v in found if published is None or (v.version is not None) == published]

    def builds(self, algorithm: str) -> Iterator[HostedBuild]:
        """Every build, newest first; pages are fetched as they are needed."""
        return map(HostedBuild.read, self._pages(f"{_path(algorithm)}/builds"))

    def build(self, algorithm: str, build_id: str) -> HostedBuild:
        """One build."""
        return HostedBuild.read(self._object("GET", f"{_path(algorithm)}/builds/{quote(build_id)}"))

    def build_log(self, algorithm: str, build_id: str) -> str:
        """The log of a build that has ended; empty when the platform keeps none."""
        try:
            content = self._object("GET", f"{_path(algorithm)}/builds/{quote(build_id)}/logs")
        except NotFound:
            return ""
        return str(content.get("logs") or "")

    def secrets(self, algorithm: str) -> list[str]:
        """The variables that an algorithm's secrets set; their values are never returned."""
        return [str(entry.get("secret_key")) for entry in self._secrets(algorithm)[1]]

    def set_secret(self, algorithm: str, variable: str, value: str) -> bool:
        """Gives an algorithm's workers an environment variable; returns whether it is a new one.

        Raises:
            BadRequest: the variable can't be set, or the value is no text.
            NotFound: there is no such algorithm.
        """
        path, entries = self._secrets(algorithm)
        found = next((entry for entry in entries if entry.get("secret_key") == variable), None)
        if found is not None:
            self._send("PUT", f"{path}/{quote(str(found.get('id')))}", {"secret_value": value})
            return False
        providers = self._list("/v1/secret-provider")
        provider = providers[0].get("id") if providers else None
        body = {"owner_type": "algorithm", "owner_id": path.split("/")[3], "provider_id": provider}
        body.update(short_name=variable, secret_key=variable, secret_value=value)
        self._send("POST", path, body)
        return True

    def remove_secret(self, algorithm: str, variable: str) -> None:
        """Takes an environment variable from an algorithm's workers.

        Raises:
            NotFound: no secret sets it.
        """
        path, entries = self._secrets(algorithm)
        found = next((entry for entry in entries if entry.get("secret_key") == variable), None)
        if found is None:
            names = ", ".join(sorted(str(entry.get("secret_key")) for entry in entries)) or "none"
            raise NotFound(f"{algorithm} has no secret {variable}", hint=f"it has: {names}")
        self._send("DELETE", f"{path}/{quote(str(found.get('id')))}")

    def _secrets(self, algorithm: str) -> tuple[str, list[dict[str, Any]]]:
        """The address of an algorithm's secrets, and what is there."""
        path = f"/v1/algorithms/{quote(str(self.get(algorithm).get('id')))}/secrets"
        return path, self._list(path, "results", "secrets")  # the OpenAPI file's name, upstream samples'

    def environments(self, language: str) -> list[HostedEnvironment]:
        """The runtimes that the platform offers for a language such as `python3`."""
        path = f"/v1/algorithm-environments/edge/languages/{quote(language)}/environments"
        # The clients need an object around the list; the platform's document shows the bare list.
        return [HostedEnvironment.read(entry, language) for entry in self._list(path, "environments")]

    def languages(self) -> list[str]:
        """The names of the languages that the platform hosts."""
        found = self._list("/v1/algorithm-environments/edge/languages")
        return [str(entry["name"]) for entry in found if entry.get("name")]


def _path(algorithm: str) -> str:
    reference = Reference.parse(algorithm)
    return f"/v1/algorithms/{quote(reference.owner)}/{quote(reference.name)}"


def _inner(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    inner = content.get(name)
    return inner if isinstance(inner, dict) else {}
