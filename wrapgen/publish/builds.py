"""A commit's build: finding it, waiting for it, and showing its log when it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from wrapgen.client import AlgorithmCalls, HostedBuild
from wrapgen.errors import BuildFailed, PlatformError, Unreachable

TIMEOUT = 3000.0
"""Seconds that a build may take before we stop waiting for it."""

APPEARS_WITHIN = 30.0
"""Seconds in which a push must show up as a build; after that we ask for one."""

LOOKED_THROUGH = 200
"""Newest builds among which a commit's is looked for."""

Say = Callable[[str], None]
"""Takes one line about what is going on."""


@dataclass(frozen=True)
class Clock:
    """Time, as a parameter: `now` gives seconds from any start, `sleep` waits for some."""

    now: Callable[[], float]
    sleep: Callable[[float], None]


def built(
    algorithms: AlgorithmCalls, algorithm: str, commit: str, *, pushed: bool, clock: Clock, say: Say
) -> HostedBuild:
    """The successful build of a commit; waits for it, and asks for one where none was started.

    Args:
        algorithms: the platform's management calls.
        algorithm: `owner/name`.
        commit: the newest commit of its repository.
        pushed: whether it was pushed just now, so that its build may not show yet.
        clock: time.
        say: told when the waiting starts and ends.

    Raises:
        BuildFailed: with the log.
        Unreachable: no end within the time that a build gets.
    """
    build = find(algorithms, algorithm, commit)
    if build is None and pushed:
        build = _appearing(algorithms, algorithm, commit, clock)
    if build is None or (build.status == "failed" and not pushed):
        return rebuilt(algorithms, algorithm, commit, say=say)
    started = clock.now()
    if build.status == "in-progress":
        say(f"building {commit[:12]}")
        build = _ended(algorithms, algorithm, build, clock)
        say(f"built in {clock.now() - started:.1f} s")
    return _successful(algorithms, algorithm, build)


def rebuilt(algorithms: AlgorithmCalls, algorithm: str, commit: str, *, say: Say) -> HostedBuild:
    """Builds the newest commit again, so that it can be released once more.

    Raises:
        BuildFailed: with the log.
        PlatformError: the platform built another commit, or refuses.
    """
    say(f"building {commit[:12]} again")
    algorithms.compile(algorithm)
    build = find(algorithms, algorithm, commit)
    if build is None:
        raise PlatformError(
            f"the platform built another commit of {algorithm} than {commit[:12]}",
            hint="somebody else pushed meanwhile; publish again",
        )
    return _successful(algorithms, algorithm, build)


def find(algorithms: AlgorithmCalls, algorithm: str, commit: str) -> HostedBuild | None:
    """The newest build of a commit; None when there is none."""
    newest = islice(algorithms.builds(algorithm), LOOKED_THROUGH)
    return next((build for build in newest if build.commit == commit), None)


def _appearing(algorithms: AlgorithmCalls, algorithm: str, commit: str, clock: Clock) -> HostedBuild | None:
    limit = clock.now() + APPEARS_WITHIN
    while clock.now() < limit:
        clock.sleep(0.2)
        build = find(algorithms, algorithm, commit)
        if build is not None:
            return build
    return None


def _ended(algorithms: AlgorithmCalls, algorithm: str, build: HostedBuild, clock: Clock) -> HostedBuild:
    limit, pause = clock.now() + TIMEOUT, 0.1
    while build.status == "in-progress":
        if clock.now() > limit:
            raise Unreachable(
                f"the build {build.id} of {algorithm} did not end within {TIMEOUT:g} s",
                hint="publish again later: it resumes where this stopped",
            )
        clock.sleep(pause)
        pause = min(pause * 1.5, 5.0)
        build = algorithms.build(algorithm, build.id)
    return build


def _successful(algorithms: AlgorithmCalls, algorithm: str, build: HostedBuild) -> HostedBuild:
    if build.status != "succeeded":
        log = algorithms.build_log(algorithm, build.id)
        raise BuildFailed(reference=f"{algorithm} at {build.commit[:12]}", log=log)
    return build
