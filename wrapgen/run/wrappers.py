"""Which wrapper a run calls: its exact version, and what it says of itself. Finds neither by itself."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from wrapgen import protocol
from wrapgen.errors import AlgorithmFailed, RunError, UsageError
from wrapgen.run.answers import Answered, read_answer
from wrapgen.run.process import DESCRIBE, Call, of_platform

_EXACT = re.compile(r"\d+\.\d+\.\d+\Z")
_HASH = re.compile(r"[0-9a-f]{40}\Z")

DESCRIBE_SECONDS = 120.0
"""Time for the first call, which may have to start a worker."""


@dataclass(frozen=True)
class Description:
    """What a wrapper says of itself.

    Args:
        target: what it calls, such as `nlp/SentimentAnalysis/1.0.5`.
        mode: batch, log or both.
        spec: digest of the spec that it was made from.
        timeout: seconds it takes when it is not told.
        request_bytes: the most that a request may hold.
        parallel: calls that it makes at once.
        attempts: calls of the target for one item.
        batch_size: items in one call of the target, at most.
        item_timeout: seconds that one call of the target may take.
        datastore: URL of its records, or None.
    """

    target: str
    mode: str
    spec: str
    timeout: float
    request_bytes: int
    parallel: int
    attempts: int
    datastore: str | None
    batch_size: int = 1
    item_timeout: float = 60.0

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return dict(vars(self))


def resolve(reference: str, versions: Callable[[str], Sequence[str]]) -> str:
    """The exact version that a reference means, through the list of versions: private ones count too.

    Args:
        reference: `owner/name`, or with a full or partial version or a build's hash.
        versions: the versions of `owner/name`, newest first.

    Raises:
        UsageError: there is no such version, or the reference is malformed.
    """
    parts = reference.removeprefix("algo://").strip("/").split("/")
    if len(parts) not in (2, 3) or not all(parts):
        raise UsageError(f"not an algorithm: {reference!r}", hint="write owner/name or owner/name/1.2.3")
    owner, name, *rest = parts
    wanted = rest[0] if rest else ""
    if _EXACT.match(wanted) or _HASH.match(wanted):
        return f"{owner}/{name}/{wanted}"
    prefix = "" if wanted in ("", "latest", "latestPrivate") else re.sub(r"\.[*x]\Z", "", wanted) + "."
    found = [version for version in versions(f"{owner}/{name}") if f"{version}.".startswith(prefix)]
    if not found:
        what = f"has no version {wanted}" if prefix else "has no released version"
        raise UsageError(f"{owner}/{name} {what}", hint="publish it first, with: wrapgen publish DIR")
    return f"{owner}/{name}/{max(found, key=_number)}"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


class NotLoaded(RunError):
    """A wrapper that could not be started, this time: its worker may have been killed while loading."""

    retryable = True


def describe(call: Call, reference: str) -> Description:
    """Asks a wrapper what it is.

    Raises:
        RunError: it is no wrapper, or speaks another protocol.
        NotLoaded: it could not be started.
        PlatformError: it can't be reached.
    """
    no_wrapper = RunError(
        f"{reference} is not a wrapper: it does not describe itself", hint="make one with: wrapgen build"
    )
    try:
        answer = read_answer(of_platform(call(DESCRIBE, DESCRIBE_SECONDS)))
    except (protocol.ProtocolError, AlgorithmFailed) as error:
        raise no_wrapper from error
    if not isinstance(answer, Answered):
        words = f"{reference} does not work: {answer.type}: {answer.message}"
        if answer.type in protocol.STOPPING_TYPES:
            raise RunError(words)
        if answer.type in protocol.RETRYABLE_TYPES or answer.type == "SystemError":
            raise NotLoaded(words)
        raise no_wrapper
    facts = answer.summary.get("wrapper")
    if not isinstance(facts, dict):
        raise no_wrapper
    spoken = facts.get("protocol")
    if spoken != protocol.PROTOCOL:
        raise RunError(
            f"{reference} speaks item protocol {spoken!r}, this wrapgen speaks {protocol.PROTOCOL}",
            hint="build and publish it again with this version of wrapgen",
        )
    limits = facts.get("limits")
    limits = limits if isinstance(limits, dict) else {}
    datastore = facts.get("datastore")
    return Description(
        target=str(facts.get("target") or ""),
        mode=str(facts.get("mode") or ""),
        spec=str(facts.get("spec") or ""),
        timeout=float(limits.get("timeout") or 300),
        request_bytes=int(limits.get("request_bytes") or protocol.BODY_CAP),
        parallel=int(limits.get("parallel") or 1),
        attempts=int(limits.get("attempts") or 3),
        batch_size=int(limits.get("batch_size") or 1),
        item_timeout=float(limits.get("item_timeout") or 60),
        datastore=str(datastore.get("url") or "") or None if isinstance(datastore, dict) else None,
    )
