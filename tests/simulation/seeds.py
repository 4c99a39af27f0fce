"""Seeds: each tried once, and what fails made smaller and told."""

from __future__ import annotations

import re
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from simulation.bucket_system import BucketSystem
from simulation.faults import Faults
from simulation.queue_system import QueueSystem
from simulation.system import System

MEMORY = Path("/dev/shm")
BUCKETS = 1_000_001
"""The first seed whose run keeps its state in a bucket."""

NEAR = 20
"""Seeds that are tried in place of one, where it breaks nothing without some fault."""


@dataclass
class Tried:
    """What became of seeds.

    Attributes:
        seeds: how many.
        failed: what each failing seed breaks.
        sessions, events, kills: in all of them.
        seconds: of processor time.
    """

    seeds: int = 0
    failed: dict[int, list[str]] = field(default_factory=dict)
    sums: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def add(self, other: Tried) -> None:
        """Takes in what became of others."""
        self.seeds += other.seeds
        self.failed.update(other.failed)
        self.sums.update(other.sums)
        self.seconds += other.seconds


def kind_of(seed: int) -> type[System]:
    """What a seed simulates: every fifth a queue and its workers, from BUCKETS on a state in a bucket."""
    if seed >= BUCKETS:
        return BucketSystem
    return System if seed % 5 else QueueSystem


def simulated(seed: int, faults: Faults | None = None, items: int | None = None) -> tuple[System, list[str]]:
    """One seed: the system as it ended, and what it breaks."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        system = kind_of(seed)(seed, Path(folder), faults, items)
        try:
            system.run()
            return system, system.judge()
        except Exception as error:
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name}:{where.lineno}"
            return system, [f"an exception: {type(error).__name__}: {error} ({place})"]


def tried(seeds: Iterable[int]) -> Tried:
    """What becomes of seeds, one after the other."""
    found = Tried()
    began = time.process_time()
    for seed in seeds:
        system, broken = simulated(seed)
        found.seeds += 1
        found.sums.update(
            sessions=system.sessions,
            events=len(system.events),
            steps=system.world.steps,
            kills=sum("killed" in what for _, _, what in system.world.trace),
            cuts=sum("power" in what for _, _, what in system.world.trace),
        )
        if broken:
            found.failed[seed] = broken
    found.seconds = time.process_time() - began
    return found


def in_parallel(seeds: range, processes: int, each: int = 250) -> Iterator[Tried]:
    """The same in several processes, some seeds at a time."""
    parts = [seeds[at : at + each] for at in range(0, len(seeds), each)]
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(tried, parts)


def minimised(seed: int) -> tuple[int, Faults, int]:
    """The fewest kinds of faults and items with which the same rule is broken, by this seed or another."""
    system, broken = simulated(seed)
    found = seed, system.planned, system.count
    while smaller := next(filter(None, (_breaks(rule_of(broken), *one) for one in _smaller(*found))), None):
        found = smaller
    return found


def rule_of(broken: list[str]) -> str:
    """The rule that the first of some violations breaks."""
    return re.sub(r"[\d,]+", "", broken[0].split(": ")[0])


def _smaller(seed: int, faults: Faults, items: int) -> Iterator[tuple[int, Faults, int]]:
    """With fewer items, or without one kind of faults."""
    yield from ((seed, faults, fewer) for fewer in (1, 2, 3, 5, 8) if fewer < items)
    kinds = [one.name for one in fields(Faults) if getattr(faults, one.name)]
    yield from ((seed, replace(faults, **{name: 0.0}), items) for name in kinds)


def _breaks(rule: str, seed: int, faults: Faults, items: int) -> tuple[int, Faults, int] | None:
    for one in (seed, *range(1, NEAR)):
        broken = simulated(one, faults, items)[1]
        if broken and rule_of(broken) == rule:
            return one, faults, items
    return None


def first_caught(
    most: int, faults: Faults | None = None, items: int | None = None, first: int = 1
) -> int | None:
    """The first seed that breaks something; None if none of so many does."""
    return next((seed for seed in range(first, first + most) if simulated(seed, faults, items)[1]), None)


def told(seed: int, faults: Faults | None = None, items: int | None = None) -> Iterator[str]:
    """A seed as a readable trace."""
    system, broken = simulated(seed, faults, items)
    given = {one.name: getattr(system.planned, one.name) for one in fields(Faults)}
    what = f"{type(system).__name__}, wrapper {system.kind}, {system.count} items"
    yield f"seed {seed}: {what}, {system.options}"
    yield f"faults: {', '.join(f'{name}={share}' for name, share in given.items() if share) or 'none'}"
    yield from (f"{moment:12.3f}  {who:<12}  {what[:200]}" for moment, who, what in system.world.trace)
    yield from broken or ["nothing is broken"]


def command(seed: int, faults: Faults, items: int) -> str:
    """What replays a seed in its small form."""
    kinds = ",".join(f"{one.name}={value}" for one in fields(Faults) if (value := getattr(faults, one.name)))
    return f"make simulate SEEDS={seed} FAULTS='{kinds}' ITEMS={items}"
