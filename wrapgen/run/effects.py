"""What a runner needs around it: its effects on the world, time, chance, and what holds it back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from wrapgen.run.lanes import Lanes
from wrapgen.run.ledger import Ledger
from wrapgen.run.spool import Slots, Spool
from wrapgen.run.summary import Progress


@dataclass(frozen=True)
class Effects:
    """Everything that a run does to the world, and its sources of time and chance.

    Args:
        ledger, spool, slots: the run's files.
        lanes: makes the calls.
        clock: seconds that only go forward.
        wall: seconds since 1970, for the ledger's readers.
        random: the source of chance.
        watch: told how the run stands after every change.
    """

    ledger: Ledger
    spool: Spool
    slots: Slots
    lanes: Lanes
    clock: Callable[[], float]
    wall: Callable[[], float]
    random: Random
    watch: Callable[[Progress], None]


@dataclass(frozen=True)
class Limits:
    """What holds a run back.

    Args:
        attempts: calls of the target that an item may take, and sends that a chunk may lose at one size.
        patience: seconds to wait for a platform that is down.
        aim: bytes of a chunk's items.
        together: items that the wrapper has in work at once.
    """

    attempts: int
    patience: float
    aim: int
    together: int = 1
