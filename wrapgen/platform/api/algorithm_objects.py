"""The JSON of algorithms, versions, builds and failed calls (platform contract, section 5)."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from wrapgen.platform.building.environments import environment_id
from wrapgen.platform.domain.model import Algorithm, Build, Released, Version
from wrapgen.platform.domain.scms import ScmObject, internal_host
from wrapgen.platform.storage.database import iso


class CallError(Struct, kw_only=True):
    """A call that failed: when, in epoch milliseconds, what was called, by whom, and why it failed."""

    created_at: int
    request_id: str
    input: str
    error: str
    error_type: str
    worker: str = ""
    username: str
    algoname: str
    algoversion: str
    billable_to: str


class VersionInfo(Struct, omit_defaults=True, kw_only=True):
    """What there is to say of a version, or of a build that is none yet."""

    git_hash: str = ""
    sample_input: Any = None
    sample_output: Any = None
    release_notes: Any = None
    insights_enabled: Any = None
    semantic_version: str = ""
    version_uuid: str = ""


class BuildObject(Struct, omit_defaults=True, kw_only=True):
    """A build; `algorithm_environment` is an addition: the algorithm's may have been changed since."""

    build_id: str
    status: str
    commit_sha: str
    started_at: str
    algorithm_environment: str
    resource_type: str
    finished_at: str | None = None
    version_info: VersionInfo | None = None


class Compilation(Struct):
    """How a build ended, and what it said."""

    successful: bool
    output: str


class AlgorithmSource(Struct):
    """Where the source of an algorithm is."""

    scm: ScmObject


class AlgorithmObject(Struct, omit_defaults=True, kw_only=True):
    """An algorithm, with a build (and the version it became) where there is one."""

    id: str
    name: str
    details: dict[str, Any]
    settings: dict[str, Any]
    source: AlgorithmSource
    resource_type: str
    self_link: str
    version_info: VersionInfo | None = None
    build: BuildObject | None = None
    compilation: Compilation | None = None
    warnings: list[str] = []


def build_object(build: Build, version: Version | None) -> BuildObject:
    """A build; `finished_at` and `version_info` only where there is something to say."""
    return BuildObject(
        build_id=build.id,
        status=build.status,
        commit_sha=build.git_hash,
        started_at=iso(build.started_at),
        algorithm_environment=environment_id(build.environment),
        resource_type="algorithm_build",
        finished_at=iso(build.finished_at) if build.finished_at is not None else None,
        version_info=VersionInfo(semantic_version=version.semantic) if version else None,
    )


def algorithm_object(
    algorithm: Algorithm,
    released: Released | None = None,
    *,
    log: str = "",
    base: str,
    sandboxed: bool = True,
) -> AlgorithmObject:
    """An algorithm, with a build (and the version it became) where one is given.

    Args:
        algorithm: the algorithm.
        released: the build and version to show; None before anything was built.
        log: that build's log.
        base: the address for links.
        sandboxed: whether this server can do what the settings ask of a sandbox.
    """
    shown = AlgorithmObject(
        id=algorithm.id,
        name=algorithm.name,
        details=algorithm.details,
        settings=algorithm.settings,
        source=AlgorithmSource(internal_host(default=True)),
        resource_type="algorithm",
        self_link=f"{base}/algorithms/{algorithm.owner}/{algorithm.name}",
    )
    if not sandboxed and algorithm.settings["network_access"] == "isolated":
        shown.warnings = ["network_access: isolated is not enforced: this server has no sandbox"]
    if released is None:
        if algorithm.sample_input:
            shown.version_info = VersionInfo(sample_input=algorithm.sample_input)
        return shown
    build, version = released.build, released.version
    info = VersionInfo(git_hash=build.git_hash, sample_input=algorithm.sample_input or None)
    if version is not None:
        shown.settings = {**algorithm.settings, "algorithm_callability": version.callability}
        for name, note in version.notes.items():
            setattr(info, name, note)
        info.semantic_version, info.version_uuid = version.semantic, version.id
    shown.self_link += f"/versions/{build.git_hash}"
    shown.version_info = info
    shown.build = build_object(build, version)
    shown.compilation = Compilation(build.status == "succeeded", log)
    return shown
