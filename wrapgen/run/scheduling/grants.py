"""What each call of a run may spend: a share of the requests and tokens of a minute, and of the run's money.

The run owns the budget. Shares of open calls never add up to more than all of it, whatever executes them: a
call that spent more than its share allows in the time that it took keeps it until that much time has passed.
Pure: moments are passed in.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from wrapgen.run.scheduling.replies import LossKind

EXCEEDED = "BudgetExceeded"
"""What a call that has spent its money says why it stopped: its items go again with new money."""

_LEAST_REQUESTS = 6.0
"""Requests a minute below which a share of them is not divided any more."""

_LEAST_SHARE = 1 / 16
"""The same for tokens, as a share: how many of them a request takes is not known."""

_DUST = 1e-9
_MINUTE = 60.0

EXECUTED = (LossKind.TIMEOUT, LossKind.LOST, LossKind.ENDED, LossKind.DOWN)
"""Losses of calls that may have reached the wrapper, and spent what they were granted."""


@dataclass(frozen=True)
class SpendingLimits:
    """What a run may spend; None is no limit.

    Args:
        rpm: requests of the target a minute.
        tpm: tokens a minute.
        max_cost: money for the whole run, in the unit of the spec's price.
        each: the most that one attempt of one item may cost; with `max_cost` it has to be known.
        spent: what earlier sessions spent.
        part: of the rates of a whole, for one of several that share them.
        held: moments until which a share of the whole is used up; the next deliverer goes on from them.
    """

    rpm: float | None = None
    tpm: float | None = None
    max_cost: float | None = None
    each: float = 0.0
    spent: float = 0.0
    part: float = 1.0
    held: list[tuple[float, float]] = field(default_factory=list, compare=False)

    @property
    def limited(self) -> bool:
        """Whether anything is limited."""
        return not self.rpm is self.tpm is self.max_cost is None

    def divided(self, share: float) -> SpendingLimits:
        """The same for one of several that share a minute: its part of the requests and tokens."""
        rpm, tpm = (None if most is None else most * share for most in (self.rpm, self.tpm))
        return replace(self, rpm=rpm, tpm=tpm, part=self.part * share)


@dataclass(frozen=True)
class Grant:
    """What one call may spend: requests and tokens a minute, and money with all attempts; None: any."""

    rpm: float | None = None
    tpm: float | None = None
    cost: float | None = None

    def to_wire(self) -> dict[str, float]:
        """As `$rate` in the call's input."""
        return {name: value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Spent:
    """What a call spent: requests of the target, tokens, and money; None: it does not say."""

    requests: int = 0
    tokens: int = 0
    cost: float | None = None


class Grants:
    """Grants calls their shares, and takes these back.

    Args:
        limits: what the run may spend.

    Attributes:
        spent: money spent so far; that of calls without an answer counts as they might have spent it.
    """

    def __init__(self, limits: SpendingLimits) -> None:
        self.limits = limits
        self.spent = limits.spent
        self._open: dict[int, tuple[float, float, Grant]] = {}
        self._held = limits.held
        rpm = limits.rpm
        self._least = _LEAST_SHARE if rpm is None else min(1.0, _LEAST_REQUESTS / rpm)
        self._rated = rpm is not None or limits.tpm is not None

    def wait(self, now: float) -> float | None:
        """When the next call may leave: None at once, infinity when one has come back.

        With no call open, infinity means that the money is spent.
        """
        if self._money() + _DUST < self.limits.each:
            return math.inf
        if not self._rated or self._share(now) + _DUST >= self._least:
            return None
        return min((until for until, _ in self._held), default=math.inf)

    def grant(self, seq: int, attempts: int, calls: int, now: float) -> Grant:
        """What a call that leaves now may spend.

        Args:
            seq: its number.
            attempts: that it may make, over all of its items.
            calls: that may be open beside it in a moment, this one included.
            now: the moment.
        """
        limits = self.limits
        share = 1.0
        if self._rated:
            free = self._share(now)
            share = free / max(1, min(calls, int((free + _DUST) / self._least)))
        cost = None
        if limits.max_cost is not None:
            money = self._money()
            cost = min(money, max(limits.each, min(money / max(1, calls), attempts * limits.each)))
        rpm, tpm = (None if most is None else most * share for most in (limits.rpm, limits.tpm))
        grant = Grant(rpm, tpm, cost)
        self._open[seq] = (now, share, grant)
        return grant

    def back(self, seq: int, spent: Spent, now: float) -> None:
        """A call came back and says what it spent."""
        began, share, grant = self._open.pop(seq)
        self.spent += (grant.cost or 0.0) if spent.cost is None else spent.cost
        pairs = ((spent.requests, grant.rpm), (spent.tokens, grant.tpm))
        minutes = max((count / rate for count, rate in pairs if rate), default=0.0)
        self._hold(began + minutes * _MINUTE, share, now)

    def lost(self, seq: int, fault: LossKind, items: int, now: float) -> None:
        """A call brought no answer: what may have been executed counts as if it had spent what it might."""
        began, share, grant = self._open.pop(seq)
        if fault not in EXECUTED:
            return
        self.spent += grant.cost or 0.0
        minutes = items / grant.rpm if grant.rpm else 1.0 if grant.tpm else 0.0
        self._hold(began + minutes * _MINUTE, share, now)

    def _hold(self, until: float, share: float, now: float) -> None:
        if self._rated and until > now:
            self._held.append((until, share * self.limits.part))

    def _share(self, now: float) -> float:
        """The share of a minute's requests and tokens that is free."""
        self._held[:] = [held for held in self._held if held[0] > now]
        held = sum(share for _, share in self._held) / self.limits.part
        taken = sum(share for _, share, _ in self._open.values()) + held
        return max(0.0, 1.0 - taken)

    def _money(self) -> float:
        """What may still be granted; infinite without a limit."""
        if self.limits.max_cost is None:
            return math.inf
        granted = sum(grant.cost or 0.0 for _, _, grant in self._open.values())
        return self.limits.max_cost - self.spent - granted
