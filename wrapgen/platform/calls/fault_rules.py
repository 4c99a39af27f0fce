"""Faults on request, for people who test their own clients: off until somebody asks for them.

Rules say which calls are hit and how; the first rule that hits a call decides. Chance is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any, Literal

import msgspec

from wrapgen.errors import BadRequest
from wrapgen.platform.calls.call import CallLimits


class FaultRule(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """One rule.

    Args:
        algorithm: pattern of `owner/name`, in any letter case.
        share: part of the calls that are hit, 0 to 1.
        times: how many calls are hit before the rule is spent; None without end.
        latency: seconds that a call waits before anything else.
        status: 429 or 500 to 599: answered instead of running anything.
        reply: `dropped` or `truncated`: the algorithm runs, its reply gets lost or ends half-way.
        limits: limits of calls by name (see `CallLimits`), instead of the platform's.
    """

    algorithm: str = "*"
    share: float = 1.0
    times: int | None = None
    latency: float = 0.0
    status: int | None = None
    reply: Literal["whole", "dropped", "truncated"] = "whole"
    limits: dict[str, float] = {}

    def __post_init__(self) -> None:
        """Raises ValueError for what can't be."""
        known = vars(CallLimits())
        if self.status is not None and self.status != 429 and not 500 <= self.status <= 599:
            raise ValueError("status must be 429 or 500 to 599")
        if not 0 <= self.share <= 1 or self.latency < 0:
            raise ValueError("share must be 0 to 1, and latency not negative")
        if unknown := sorted(set(self.limits) - set(known)):
            raise ValueError(f"no such limit: {', '.join(unknown)}; there are {', '.join(known)}")
        self.limits = {name: type(known[name])(value) for name, value in self.limits.items()}

    def scale(self, limits: CallLimits) -> CallLimits:
        """The platform's limits with this rule's instead."""
        changes: dict[str, Any] = self.limits
        return replace(limits, **changes)


class FaultRules:
    """The rules of one server.

    Args:
        chance: gives numbers from 0 up to 1.
    """

    def __init__(self, chance: Callable[[], float]) -> None:
        self.rules: list[FaultRule] = []
        self._chance = chance

    def set(self, text: bytes) -> None:
        """Replaces all rules.

        Args:
            text: a JSON list of rules.

        Raises:
            BadRequest: it is not one.
        """
        try:
            self.rules = msgspec.json.decode(text, type=list[FaultRule])
        except msgspec.MsgspecError as error:
            raise BadRequest(f"these are no faults: {error}") from error

    def choose(self, path: str) -> FaultRule | None:
        """The rule that hits a call of `owner/name/...`, if one does; counts it."""
        algorithm = "/".join(path.strip("/").lower().split("/")[:2])
        for rule in self.rules:
            if rule.times == 0 or not fnmatchcase(algorithm, rule.algorithm.lower()):
                continue
            if self._chance() < rule.share:
                if rule.times is not None:
                    rule.times -= 1
                return rule
        return None
