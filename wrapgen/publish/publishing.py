"""Publishing, step by step: owner, algorithm, collections, push, build, cases, release.

Every step can be repeated: publish again to finish a publish that was interrupted.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from wrapgen.client import Client, HostedBuild, HostedVersion
from wrapgen.errors import (
    AlgorithmFailed,
    BadRequest,
    BuildFailed,
    Conflict,
    NotAuthorized,
    NotFound,
    PlatformError,
    UsageError,
)
from wrapgen.publish import builds, cases, environments, releases, settings, source
from wrapgen.publish.builds import Clock, Say
from wrapgen.publish.cases import Case
from wrapgen.publish.environments import Wish
from wrapgen.publish.project import Project
from wrapgen.references import Number

CASE_TIMEOUT = 300.0
"""Seconds that one case may take."""

CLOCK = Clock(time.monotonic, time.sleep)


@dataclass(frozen=True)
class Published:
    """The result of publishing.

    Args:
        reference: the callable reference, such as `acme/SentimentBatch/0.1.0`.
        version: its number.
        git_hash: its commit.
        released: False when nothing had changed and the version was there already.
        cases: how many cases were tried.
    """

    reference: str
    version: str
    git_hash: str
    released: bool
    cases: int


def publish(
    project: Project,
    client: Client,
    *,
    say: Say,
    release: str | None = None,
    environment: str | None = None,
    try_cases: bool = True,
    clock: Clock = CLOCK,
) -> Published:
    """Makes a project's files a released version of its algorithm; does nothing where they are one already.

    Args:
        project: what to publish.
        client: the platform.
        say: told about each step in one line.
        release: `major`, `minor`, `revision` or an exact number; None takes the spec's rule, else `minor`.
        environment: such as `python38`; None takes the spec's, else the newest that is offered.
        try_cases: False releases without trying TEST_CASES.json.
        clock: time.

    Raises:
        UsageError: what is asked for is not possible, or no secret sets a variable that the wrapper reads.
        BuildFailed, CaseFailed: nothing was released.
        PlatformError: the platform refuses or does not answer.
    """
    spec = project.spec
    rule = release or (spec.publish.version if spec is not None else "minor")
    to_try = cases.read(project.folder) if try_cases else []
    account = client.account() or project.reference.owner
    _owner(client, project.reference.owner, account, say)
    asked = environment or (spec.wrapper.environment if spec else None)
    built_in, moved = _algorithm(client, project, asked, say)
    _require_secrets(client, project, say if not try_cases else None)
    for collection in project.collections:
        _collection(client, collection, account, say)
    name = project.reference.path
    known = client.versions(name)
    with source.staged(client.connection, account, project) as files:
        current = [] if moved else [each for each in known if each.environment in ("", built_in)]
        there = _already(rule, current, files.unchanged)
        if there is not None:
            return Published(f"{name}/{there.version}", str(there.version), there.git_hash, False, 0)
        steps = releases.steps(rule, max((each.number for each in known), default=Number()))
        commit = files.push(f"Publish {name}")
    say(f"{'pushed' if files.unchanged is None else 'pushed before:'} {commit[:12]} to {name}")
    build = _build(client, name, commit, built_in, say, clock, pushed=files.unchanged is None, known=known)
    _try(client, f"{name}/{commit}", to_try, say)
    if not to_try:
        _load(client, project, commit, say)
    version = _release(client, project, steps, build, to_try, say)
    return Published(f"{name}/{version}", version, commit, True, len(to_try))


def _owner(client: Client, owner: str, account: str, say: Say) -> None:
    """Makes a missing owner on a local platform, whose admin key its home holds; elsewhere it must exist."""
    if owner.lower() == account.lower() or not client.connection.is_local:
        return
    there = client.accounts.has_organization(owner)
    made = not there and client.accounts.add_organization(owner)
    if there or made:  # else the name is a user's, and what follows says that it is not ours
        client.accounts.add_member(owner, account)
    if made:
        say(f"made the organization {owner} with {account} as a member")


def _algorithm(client: Client, project: Project, environment: str | None, say: Say) -> tuple[str, bool]:
    """Makes the algorithm, or changes its settings; its environment's id, and whether that was changed."""
    name = project.reference.path
    try:
        current = client.algorithms.get(name)
    except NotFound:
        chosen = environments.choose(client.algorithms, project.language, environment, project.wish)
        details, wanted = settings.created(project, chosen.environment)
        try:
            client.algorithms.create(name, details=details, settings=wanted)
        except Conflict:
            say(f"{name} was created by somebody else in the meantime")
        else:
            say(f"made {name} in {chosen.environment.name}, {chosen.reason}")
        return chosen.environment.id, False
    known = current.get("settings") or {}
    stays = str(known.get("algorithm_environment") or "")
    named = None
    if environment:
        named = environments.choose(client.algorithms, project.language, environment, None).environment
    elif project.wish is not None and stays:
        _warn_of_wish(client, project, project.wish, stays, say)
    changes = settings.changes(project, known, named)
    if changes:
        client.algorithms.update(name, settings=changes)
        say(f"changed the settings of {name}: {', '.join(sorted(changes))}")
    return (named.id if named else stays), "algorithm_environment" in changes


def _warn_of_wish(client: Client, project: Project, wish: Wish, stays: str, say: Say) -> None:
    """An algorithm keeps its environment; says so where its folder asks for another one."""
    known = environments.choose(client.algorithms, project.language, stays, None).environment
    if not wish.admits(known.number):
        wanted = environments.choose(client.algorithms, project.language, None, wish).environment
        name = project.reference.path
        say(f"{name} stays in {known.name}; for {wish.source}, publish with --environment {wanted.name}")


def _require_secrets(client: Client, project: Project, warn: Say | None) -> None:
    """Stops before anything is pushed that could not record, where the platform tells its secrets.

    Args:
        warn: takes what is missing instead, where the release is not tried out.

    Raises:
        UsageError: no secret sets a variable that the wrapper reads.
    """
    spec, name = project.spec, project.reference.path
    if spec is None or not spec.variables or (spec.datastore and spec.datastore.credentials):
        return
    try:
        there = client.algorithms.secrets(name)
    except PlatformError:  # a cluster without a secret store, or a key that may not see it
        return
    missing = [variable for variable in spec.variables if variable not in there]
    if missing:
        commands = "; ".join(f"wrapgen platform secrets set {name} {variable}" for variable in missing)
        said = f"{name} reads {', '.join(missing)}, which none of its secrets sets"
        if warn is None:
            raise UsageError(f"{said}: nothing was released", hint=f"{commands}; then publish again")
        warn(f"{said}: {commands}")


def _collection(client: Client, url: str, account: str, say: Say) -> None:
    """Makes sure that records can be written from the first call on."""
    owner = url.removeprefix("data://").partition("/")[0]
    _owner(client, owner, account, say)
    if client.data.exists(url):
        say(f"records go to {url}, which is there")
        return
    try:
        client.data.create(url)
    except Conflict:
        say(f"records go to {url}, which is there")
    except NotAuthorized:
        say(f"records go to {url}, which is not there and which this key may not make; see `wrapgen doctor`")
    else:
        say(f"records go to {url}, made now, readable by {owner} only")


def _build(
    client: Client,
    name: str,
    commit: str,
    environment: str,
    say: Say,
    clock: Clock,
    *,
    pushed: bool,
    known: list[HostedVersion],
) -> HostedBuild:
    """A build of the commit that was never released, in the algorithm's environment."""
    if any(version.git_hash == commit for version in known):
        return builds.rebuilt(client.algorithms, name, commit, say=say)
    build = builds.built(client.algorithms, name, commit, pushed=pushed, clock=clock, say=say)
    if build.environment not in ("", environment):
        return builds.rebuilt(client.algorithms, name, commit, say=say)
    return build


def _already(rule: str, known: list[HostedVersion], commit: str | None) -> HostedVersion | None:
    """The released version that these files are, if the rule asks for no other."""
    same = [version for version in known if version.git_hash == commit]
    if rule in releases.VERSION_TYPES:
        return max(same, key=lambda each: each.number, default=None)
    return next((version for version in same if version.version == rule), None)


def _try(client: Client, reference: str, to_try: list[Case], say: Say) -> None:
    for case in to_try:
        case.check(lambda value: client.call(reference, value, timeout=CASE_TIMEOUT).result)
        say(f"case {case.name}: as expected")


def _load(client: Client, project: Project, commit: str, say: Say) -> None:
    """Starts what no case was tried with, so that nothing is released that can't even be loaded.

    Raises:
        BuildFailed: it can't.
    """
    name = project.reference.path
    try:
        loaded = client.algorithms.load(name, commit)
        if not loaded and project.spec is not None:
            client.call(f"{name}/{commit}", {"$batch": []}, timeout=CASE_TIMEOUT)
            loaded = True
    except (BadRequest, AlgorithmFailed) as error:
        raise BuildFailed(reference=f"{name} at {commit[:12]}", log=error.message) from error
    if loaded:
        say(f"loaded {commit[:12]}, as there are no cases to try")


def _release(
    client: Client,
    project: Project,
    steps: list[str],
    build: HostedBuild,
    to_try: list[Case],
    say: Say,
) -> str:
    """Makes the releases, each from a build of its own, the first from `build`; the last one's number."""
    name = project.reference.path
    number = ""
    for step in steps:
        if number:
            build = builds.rebuilt(client.algorithms, name, build.commit, say=say)
        made = client.algorithms.publish(
            name,
            version_type=step,
            settings=settings.released(project),
            version_info=settings.version_info(to_try),
        )
        if made.git_hash != build.commit or not made.version:
            raise PlatformError(
                f"the platform released another commit of {name} than {build.commit[:12]}, as {made.version}",
                hint="somebody else pushed meanwhile; publish again",
            )
        number = made.version
        for warning in made.warnings:
            say(f"warning: {warning}")
        say(f"released {name}/{number}")
    return number
