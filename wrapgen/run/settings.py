"""What a user may say of a run, and what a session is made with: its effects, time and chance."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from wrapgen.errors import UsageError
from wrapgen.protocol import MAX_TIMEOUT, RUN_ID
from wrapgen.run.hosts.call_threads import CallThreads, OpenCalls
from wrapgen.run.hosts.chunk_call import ChunkCall
from wrapgen.run.input.shards import Shard
from wrapgen.run.scheduling.limits import BUDGET, MAX_SIZE
from wrapgen.run.scheduling.policy import PATIENCE

_BOUNDS: dict[str, tuple[float, float]] = {
    "timeout": (2, MAX_TIMEOUT),
    "workers": (1, math.inf),
    "chunk": (1, 100_000),
    "attempts": (1, math.inf),
    "budget": (0, 1),
    "patience": (0, math.inf),
    "max_cost": (0, 1e15),
}


EQUAL = ("each", "once")
"""What may be done with equal items: see Options."""


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
        max_cost: money that the run may spend, in the unit of the spec's price; None: any.
        equal: `once` sends one of equal items and answers the others with its outcome; `each` sends them all.
        patience: seconds that nothing may work before the run gives up for now.
        fresh: throw an earlier ledger of this output away.
        pin: stop where answers report another version of the target than the first did.
        accept_changes: go on although input, wrapper or options changed.
        shard: do only this shard of the run, with its part of the limits on calls, rates and cost.
        take_over: with the state in a bucket, go on at once where its last runner was not seen to end.

    Raises:
        UsageError: the run id has another form, a number is out of bounds, or a shard is to start over alone.
    """

    run: str | None = None
    timeout: float | None = None
    workers: int | None = None
    chunk: int = MAX_SIZE
    attempts: int | None = None
    budget: float = BUDGET
    max_cost: float | None = None
    equal: str = "each"
    patience: float = PATIENCE
    fresh: bool = False
    accept_changes: bool = False
    pin: bool = False
    shard: Shard | None = None
    take_over: bool = False

    def __post_init__(self) -> None:
        if self.run is not None and not RUN_ID.match(self.run):
            raise UsageError(f"not a run id: {self.run!r}", hint="1 to 64 letters, digits, - and _")
        if self.equal not in EQUAL:
            raise UsageError(f"equal must be {' or '.join(EQUAL)}, not {self.equal!r}")
        if self.shard is not None and self.fresh and self.run is None:
            raise UsageError(
                "--fresh starts a run over, and all of its shards have to",
                hint="give each of them the same new id: --run ID",
            )
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                upwards = f" and at most {most:,g}" if most < math.inf else ""
                raise UsageError(f"{name} must be at least {least:g}{upwards}, not {value!r}")


@dataclass(frozen=True)
class World:
    """Effects, time and chance of a session; tests pass their own.

    Args:
        calls: makes the threads for what sends one chunk.
        clock: seconds that only go forward.
        unix_time: seconds since 1970.
        random: the source of chance.
        wait: waits so many seconds, True if the run was told to stop; None: until then.
    """

    calls: Callable[[ChunkCall], OpenCalls] = CallThreads
    clock: Callable[[], float] = time.monotonic
    unix_time: Callable[[], float] = time.time
    random: Random = field(default_factory=Random)
    wait: Callable[[float], bool] | None = None
