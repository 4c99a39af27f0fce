"""How long to wait before something is sent again. Chance is passed in; nothing here sleeps."""

from __future__ import annotations

from random import Random

BASE, CAP = 0.5, 30.0
"""Seconds between which a fault is waited out, with full jitter."""

THROTTLE_BASE, THROTTLE_CAP = 2.0, 60.0
"""Seconds after a 429 that does not say how long."""


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
