"""Version numbers: which releases lead from one to another. Pure; the platform only knows version types."""

from __future__ import annotations

from wrapgen.errors import UsageError
from wrapgen.references import Number

VERSION_TYPES = ("major", "minor", "revision")
"""What the platform can release, from the largest step to the smallest."""

MOST_RELEASES = 50
"""More releases than this to reach one version are refused: each needs a build of its own."""


def steps(rule: str, newest: Number) -> list[str]:
    """The version types to release, in order, so that the last one is what the rule asks for.

    Args:
        rule: `major`, `minor`, `revision`, or an exact number such as `1.0.5`.
        newest: the newest number released so far.

    Raises:
        UsageError: the rule is none, or no releases lead from `newest` to it.
    """
    if rule in VERSION_TYPES:
        return [rule]
    wanted = Number.parse(rule)
    if wanted is None or wanted == Number():
        raise UsageError(
            f"no version can be called {rule!r}", hint="give major, minor, revision or a number such as 1.0.5"
        )
    if wanted <= newest:
        raise UsageError(
            f"{wanted} can't be released: {newest} is released already, and numbers only rise",
            hint=f"give a number above {newest}, or major, minor or revision",
        )
    return _leading(newest, wanted)


def _leading(newest: Number, wanted: Number) -> list[str]:
    if wanted.major > newest.major:
        counts = (wanted.major - newest.major, wanted.minor, wanted.revision)
    elif wanted.minor > newest.minor:
        counts = (0, wanted.minor - newest.minor, wanted.revision)
    else:
        counts = (0, 0, wanted.revision - newest.revision)
    if sum(counts) > MOST_RELEASES:
        raise UsageError(
            f"{wanted} is {sum(counts)} releases away from {newest}, and each needs a build of its own",
            hint=f"choose a number within {MOST_RELEASES} releases",
        )
    return [kind for kind, count in zip(VERSION_TYPES, counts, strict=True) for _ in range(count)]
