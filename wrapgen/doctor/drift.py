"""Drift, three levels: spec against files, spec and files against the release, spec against its target.

Changes nothing; calls no target. Each level is looked at by itself, so one that can't be hides no other.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from wrapgen.build import Placement
from wrapgen.client import Client, Reference
from wrapgen.client.algorithms import HostedVersion
from wrapgen.doctor.finding import Finding, fault, ok, unchecked
from wrapgen.errors import AlgorithmFailed, NotFound, PlatformError, UsageError
from wrapgen.publish.project import Project
from wrapgen.publish.source import staged
from wrapgen.spec import Spec

FILES, RELEASE, TARGET = "files", "release", "target"
"""The levels: what is not as generated, not as released, not the newest."""


def files(placement: Placement) -> Finding:
    """Whether a folder holds what the spec generates."""
    if not placement.changes:
        return ok(FILES, f"{placement.folder} is what the spec generates")
    listed = ", ".join(f"{change.path} ({change.kind})" for change in placement.changes[:5])
    more = f" and {len(placement.changes) - 5} more" if len(placement.changes) > 5 else ""
    hint = "wrapgen build --diff shows how; wrapgen build writes them"
    return fault(FILES, f"{placement.folder} is not what the spec generates: {listed}{more}", hint)


def release(client: Client, spec: Spec, folder: Path) -> Iterator[Finding]:
    """Whether the newest release of the wrapper was made from this spec and from these files."""
    name = spec.wrapper.name
    try:
        newest = client.newest(name)
    except PlatformError as error:
        yield _not_there(RELEASE, name, error)
        return
    if newest is None:
        yield fault(RELEASE, f"{name} has no release", f"wrapgen publish {folder}")
        return
    yield _described(client, spec, f"{name}/{newest.version}", folder)
    yield _source(client, newest, folder)


def _described(client: Client, spec: Spec, reference: str, folder: Path) -> Finding:
    """What the release says of its own spec."""
    try:
        told = client.call(reference, {"$batch": []}).result
        digest = told["$summary"]["wrapper"]["spec"]
    except (PlatformError, AlgorithmFailed) as error:
        return unchecked(RELEASE, f"{reference} does not describe itself: {error.message}", error.hint)
    except (TypeError, KeyError):
        return fault(
            RELEASE, f"{reference} is no wrapper: it does not describe itself", f"wrapgen publish {folder}"
        )
    if digest != spec.digest:
        said = f"{reference} was made from another spec ({str(digest)[:19]}, here {spec.digest[:19]})"
        return fault(RELEASE, said, f"wrapgen publish {folder}")
    return ok(RELEASE, f"{reference} was made from this spec")


def _source(client: Client, newest: HostedVersion, folder: Path) -> Finding:
    """Whether the commit of the release holds the files of the folder."""
    try:
        project = Project.read(folder)
        with staged(client.connection, client.data.account() or "", project) as source:
            commit = source.unchanged
    except (PlatformError, UsageError) as error:
        return unchecked(RELEASE, f"the released source can't be compared: {error.message}", error.hint)
    if commit is None:
        return fault(
            RELEASE, f"{folder} has other files than the platform's source", f"wrapgen publish {folder}"
        )
    if commit != newest.git_hash:
        said = f"{folder} is pushed as {commit[:12]}, but {newest.version} is {newest.git_hash[:12]}"
        return fault(RELEASE, said, f"wrapgen publish {folder}")
    return ok(RELEASE, f"{newest.version} was released from these files ({commit[:12]})")


def target(client: Client, spec: Spec) -> Finding:
    """Whether the spec names the newest version of its target."""
    if spec.target.algorithm is None:
        return ok(TARGET, "the target is part of the wrapper")
    named = Reference.parse(spec.target.algorithm)
    try:
        newest = client.newest(named.path)
    except PlatformError as error:
        return _not_there(TARGET, named.path, error)
    if newest is None:
        return fault(TARGET, f"{named.path} has no release", "name another target")
    if not named.is_full:
        said = f"{named} means whatever is newest, now {newest.version}"
        return fault(TARGET, said, f"write {named.path}/{newest.version} to keep it")
    if named.version != newest.version:
        said = f"{named} is not the newest: {newest.version} is"
        return fault(TARGET, said, f"write {named.path}/{newest.version}, build and try it")
    return ok(TARGET, f"{named} is the newest")


def _not_there(level: str, name: str, error: PlatformError) -> Finding:
    if isinstance(error, NotFound):
        hint = "publish it with: wrapgen publish DIR" if level == RELEASE else "check the name of the target"
        return fault(level, f"there is no {name} on this platform", hint)
    return unchecked(level, f"{name} can't be looked at: {error.message}", error.hint)
