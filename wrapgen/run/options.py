"""What a run is made of, as values: options, the wrapper, its effects, time and chance. Decides nothing."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from wrapgen.errors import UsageError
from wrapgen.protocol import CHUNK_AIM, MAX_TIMEOUT, RUN_ID
from wrapgen.run.budget import SHARE
from wrapgen.run.chunks import MAX_SIZE
from wrapgen.run.lanes import Lanes, ThreadLanes
from wrapgen.run.ledger import Disk, RealDisk
from wrapgen.run.process import Call, Sideband, Terms
from wrapgen.run.retry import PATIENCE
from wrapgen.run.wrappers import Description

TELL = 30.0
"""Seconds that a wrapper's own limit leaves below the platform's."""

_BOUNDS: dict[str, tuple[float, float]] = {
    "timeout": (2, MAX_TIMEOUT),
    "workers": (1, math.inf),
    "chunk": (1, 100_000),
    "attempts": (1, math.inf),
    "budget": (0, 1),
    "patience": (0, math.inf),
}


@dataclass(frozen=True)
class Options:
    """What a user may say of a run beside its input and wrapper.

    Args:
        run: the run's id, 1 to 64 letters, digits, - and _; None makes one.
        timeout: seconds asked of the platform for each call; None: the wrapper's own limit and 30 s.
        workers: the most calls to keep open; None: what the account's limit allows.
        chunk: the most items in a call.
        attempts: calls of the target for one item; None: the wrapper's own limit.
        budget: the share of items that may fail; 1 never stops.
        patience: seconds that nothing may work before the run gives up for now.
        fresh: throw an earlier ledger of this output away.
        accept_changes: go on although input, wrapper or options changed.

    Raises:
        UsageError: the run id has another form, or a number is out of bounds.
    """

    run: str | None = None
    timeout: float | None = None
    workers: int | None = None
    chunk: int = MAX_SIZE
    attempts: int | None = None
    budget: float = SHARE
    patience: float = PATIENCE
    fresh: bool = False
    accept_changes: bool = False

    def __post_init__(self) -> None:
        if self.run is not None and not RUN_ID.match(self.run):
            raise UsageError(f"not a run id: {self.run!r}", hint="1 to 64 letters, digits, - and _")
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                upwards = f" and at most {most:,g}" if most < math.inf else ""
                raise UsageError(f"{name} must be at least {least:g}{upwards}, not {value!r}")


@dataclass(frozen=True)
class World:
    """Effects, time and chance of a session; tests pass their own.

    Args:
        disk: writes and syncs of ledger and spool.
        lanes: makes the lanes for a function that processes one chunk.
        clock: seconds that only go forward.
        wall: seconds since 1970.
        random: the source of chance.
        wait: waits so many seconds, True if the run was told to stop; None: until then.
    """

    disk: Disk = field(default_factory=RealDisk)
    lanes: Callable[[Callable[..., Any]], Lanes] = ThreadLanes
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)
    wait: Callable[[float], bool] | None = None


@dataclass(frozen=True)
class Wrapper:
    """The wrapper of a run.

    Args:
        reference: exact.
        description: what it says of itself.
        call: how to call it.
        sideband: where large bodies go.
        named: makes a way to call it that tells the platform a run's id; None where there is none.
        address: of its platform; empty where that does not matter.
    """

    reference: str
    description: Description
    call: Call
    sideband: Sideband | None = None
    named: Callable[[str], Call] | None = None
    address: str = ""

    def called_in(self, run: str) -> Call:
        """How to call it for a run, whose id the platform is told where that can be."""
        return self.named(run) if self.named else self.call

    @property
    def aim(self) -> int:
        """Bytes that a chunk's items may take."""
        return min(CHUNK_AIM, self.description.request_bytes * 8 // 10)

    def attempts(self, options: Options) -> int:
        """Calls of the target that an item may take."""
        return options.attempts or self.description.attempts

    def terms(self, run: str, options: Options, clock: Callable[[], float]) -> Terms:
        """What holds for every send."""
        return Terms(
            run=run,
            timeout=min(MAX_TIMEOUT, options.timeout or self.description.timeout + TELL),
            attempts=self.attempts(options),
            request_bytes=self.description.request_bytes,
            clock=clock,
            sideband=self.sideband,
        )
