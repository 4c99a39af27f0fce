"""What a failure means: what its chunk does next, and how long everything waits. Pure."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum
from random import Random

from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import LossKind

BASE, CAP = 0.5, 30.0
"""Seconds between which a fault is waited out, with full jitter."""

THROTTLE_BASE, THROTTLE_CAP = 2.0, 60.0
"""Seconds after a 429 that does not say how long."""

PATIENCE = 600.0
"""Seconds that nothing may work, whatever the reason, before a run gives up for now."""

MOST_REFUSALS = 6
"""Refusals in a row after which a chunk is halved: its halves tell whether it is the outage's cause."""

MOST_LOSSES = 10
"""The same for one item: after these, a minute or two, it is given up where the platform answers at all."""


class Reaction(Enum):
    """What a chunk does after a send that was lost."""

    HALVE = "halve"
    AGAIN = "again"
    HOLD = "hold"
    GIVE_UP = "give-up"
    STOP = "stop"


_H, _A, _G, _HOLD, _S = Reaction.HALVE, Reaction.AGAIN, Reaction.GIVE_UP, Reaction.HOLD, Reaction.STOP
# A chunk of one can't be halved; one that is spent has used up the sends that an item may lose.
_REACTIONS: dict[LossKind, tuple[Reaction, Reaction, Reaction, Reaction]] = {
    #                many,  many spent, one,   one spent
    LossKind.TIMEOUT: (_H, _H, _A, _G),
    LossKind.TOO_LARGE: (_H, _H, _G, _G),
    LossKind.REFUSED: (_H, _H, _G, _G),
    LossKind.LOST: (_A, _H, _A, _G),
    LossKind.ENDED: (_H, _H, _A, _G),
    LossKind.THROTTLED: (_HOLD, _HOLD, _HOLD, _HOLD),
    LossKind.DOWN: (_HOLD, _H, _HOLD, _G),
    LossKind.STOPPED: (_S, _S, _S, _S),
}
_OWN = (LossKind.TIMEOUT, LossKind.TOO_LARGE, LossKind.REFUSED, LossKind.LOST, LossKind.ENDED)


def delay(losses: int, random: Random) -> float:
    """Seconds to wait after this many losses in a row (1 or more): full jitter, doubling up to the cap."""
    return random.uniform(BASE, max(BASE, min(CAP, BASE * 2.0 ** min(losses, 16))))


def throttle_delay(rounds: int, random: Random, retry_after: float | None) -> float:
    """Seconds to wait after a 429: what the platform says, else 2 s and up, with jitter.

    Args:
        rounds: 429s in a row, 1 or more.
        random: the source of chance.
        retry_after: what the platform asked for, or None.
    """
    if retry_after is not None:
        # A little apart, or all who were turned away come back in the same moment.
        return retry_after + random.uniform(0, 0.1 * retry_after)
    return random.uniform(THROTTLE_BASE, min(THROTTLE_CAP, THROTTLE_BASE * 2.0 ** min(rounds, 16)))


class SharedBackoff:
    """Holds every send for a while: what refused one would refuse the others.

    Patience counts from the first refusal after something worked, whatever the refusals are.

    Args:
        random: the source of chance.
        patience: seconds of refusals, without an answer between them, after which waiting ends.

    Attributes:
        until: the moment, by the caller's clock, before which nothing is sent.
        deadline: the moment at which waiting ends; None while nothing is waited for.
        answers: sends that were answered so far.
    """

    def __init__(self, random: Random, patience: float = PATIENCE) -> None:
        self._random = random
        self.patience = patience
        self._rounds = 0
        self.until = 0.0
        self.deadline: float | None = None
        self.answers = 0

    def worked(self) -> None:
        """A send was answered."""
        self._rounds = 0
        self.deadline = None
        self.answers += 1

    def hold(self, now: float, fault: LossKind, retry_after: float | None) -> bool:
        """A send was refused: extends `until`. False once the patience is used up.

        Args:
            now: the moment.
            fault: THROTTLED or DOWN.
            retry_after: seconds that the platform asked for, or None.
        """
        # Those that were open together met the same thing: one round, whatever their number.
        self._rounds += now >= self.until or not self._rounds
        if fault is LossKind.THROTTLED or retry_after is not None:
            wait = throttle_delay(self._rounds, self._random, retry_after)
        else:
            wait = delay(self._rounds, self._random)
        if self.deadline is None:
            self.deadline = now + self.patience
        patient = now < self.deadline
        # The last try is made when the patience ends, however long the platform asks to wait.
        last = self.deadline if patient else now + self.patience  # a call that is open may work yet
        self.until = max(self.until, min(now + wait, last))
        return patient


def after_loss(
    chunk: Chunk, fault: LossKind, backoff: SharedBackoff, *, attempts: int
) -> tuple[Reaction, Chunk]:
    """What a lost send means for its chunk, and the chunk as it goes on.

    What the chunk itself may have caused counts as a loss. An outage is nobody's fault, so an item fails
    by one only if others were answered between its refusals: an outage fails no item, no item stalls a run.

    Args:
        chunk: as it was sent.
        fault: why no answer came.
        backoff: shared by everything that goes to the same platform.
        attempts: sends that a chunk may lose at one size.
    """
    alone = len(chunk) == 1
    others_worked = 0 <= chunk.answers_before < backoff.answers
    # Lost again while nobody else was answered: rather the platform than the chunk, until more is known.
    unproven = fault is LossKind.LOST and chunk.answers_before >= 0 and not others_worked
    down = fault is LossKind.DOWN or unproven
    own = fault in _OWN and not unproven
    losses, refusals = chunk.losses + own, chunk.refusals + down
    suspicions = chunk.suspicions + (others_worked and down)
    if down:
        suspect = others_worked and suspicions >= attempts
        most = MOST_REFUSALS if not alone else MOST_LOSSES if unproven else math.inf
        spent = suspect or refusals >= most
    else:
        spent = losses >= attempts
    sent = replace(
        chunk,
        tries=chunk.tries + 1,
        losses=losses,
        refusals=refusals,
        suspicions=suspicions,
        answers_before=backoff.answers,
    )
    return _REACTIONS[LossKind.DOWN if unproven else fault][2 * alone + spent], sent
