"""The JSON of algorithms, versions and builds (platform contract, section 5). Pure translation."""

from __future__ import annotations

from typing import Any

from wrapgen.platform.building.environments import environment_id
from wrapgen.platform.domain.model import Algorithm, Build, Released, Version
from wrapgen.platform.domain.scms import internal_host
from wrapgen.platform.storage.database import iso


def build_object(build: Build, version: Version | None) -> dict[str, Any]:
    """A build; `finished_at` and `version_info` only where there is something to say."""
    shown: dict[str, Any] = {
        "build_id": build.id,
        "status": build.status,
        "commit_sha": build.git_hash,
        "started_at": iso(build.started_at),
        # An addition of ours: an algorithm's environment may have been changed since.
        "algorithm_environment": environment_id(build.environment),
        "resource_type": "algorithm_build",
    }
    if build.finished_at is not None:
        shown["finished_at"] = iso(build.finished_at)
    if version is not None:
        shown["version_info"] = {"semantic_version": version.semantic}
    return shown


def algorithm_object(
    algorithm: Algorithm, released: Released | None = None, *, log: str = "", base: str
) -> dict[str, Any]:
    """An algorithm, with a build (and the version it became) where one is given.

    Args:
        algorithm: the algorithm.
        released: the build and version to show; None before anything was built.
        log: that build's log.
        base: the address for links.
    """
    shown: dict[str, Any] = {
        "id": algorithm.id,
        "name": algorithm.name,
        "details": algorithm.details,
        "settings": algorithm.settings,
        "source": {"scm": internal_host(default=True)},
        "resource_type": "algorithm",
    }
    home = f"{base}/algorithms/{algorithm.owner}/{algorithm.name}"
    if released is None:
        shown["self_link"] = home
        if algorithm.sample_input:
            shown["version_info"] = {"sample_input": algorithm.sample_input}
        return shown
    build, version = released.build, released.version
    if version is not None:
        shown["settings"] = {**algorithm.settings, "algorithm_callability": version.callability}
    shown["self_link"] = f"{home}/versions/{build.git_hash}"
    shown["version_info"] = _version_info(algorithm, build, version)
    shown["build"] = build_object(build, version)
    shown["compilation"] = {"successful": build.status == "succeeded", "output": log}
    return shown


def _version_info(algorithm: Algorithm, build: Build, version: Version | None) -> dict[str, Any]:
    info: dict[str, Any] = {"git_hash": build.git_hash}
    if algorithm.sample_input:
        info["sample_input"] = algorithm.sample_input
    if version is not None:
        info.update(version.notes)
        info["semantic_version"] = version.semantic
        info["version_uuid"] = version.id
    return info
