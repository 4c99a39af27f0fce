"""Part 3: the same with milliseconds added to every call that leaves the caller, by a delaying proxy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from bench.measure import reason
from bench.options import Bench, in_turn
from bench.parts.batch import run_on
from bench.parts.programs import Program, chosen
from bench.parts.surroundings import Surroundings
from bench.proxy import delayed

PART = "distance"
DELAYS = (0, 1, 20, 100)
ROUNDS = 2
SECONDS = 5.0
"""About how long one measurement is; the start-up not counted."""


@dataclass(frozen=True)
class Shape:
    """How a program calls: what decides how much distance costs it.

    Attributes:
        texts: in one call.
        together: calls at once.
    """

    texts: int
    together: int


SHAPES = {
    "the guide's serial loop": Shape(1, 1),
    "the guide's batch wrapper": Shape(1000, 1),
    "thread pool of 16, vendor's client": Shape(1, 16),
    "aiohttp to the platform": Shape(1, 64),
    "aiohttp to the platform, lists": Shape(100, 64),
    "wrapgen run, serial": Shape(1000, 36),
    "wrapgen run, parallel": Shape(1000, 8),
    "wrapgen run, sub-batches": Shape(1000, 8),
    "wrapgen run, inline": Shape(1000, 36),
}
"""By name of the program; ours as `wrapgen run` does it by itself: up to 1,000 items a call, as many calls as
an account may have open once the wrapper's own calls are counted."""


def minutes(bench: Bench) -> float:
    """About how long it takes."""
    return len(chosen(bench, SHAPES)) * (3 + len(DELAYS) * ROUNDS * (SECONDS + 1.5)) / 60


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures what the store does not have yet; two rounds tell enough unless they are compared."""
    ours = sides[0].bench
    rounds = ours.rounds if len(sides) > 1 else min(ROUNDS, ours.rounds)
    for delay in DELAYS[1:2] if ours.smoke else DELAYS:
        for number in range(rounds):
            for each in chosen(ours, SHAPES):
                for side in in_turn(sides, number):
                    if not side.bench.older or each.wrapper:
                        _one(side, sides[0], each, delay, number)


def _one(around: Surroundings, first: Surroundings, program: Program, delay: int, number: int) -> None:
    """One measurement, unless the store has it; of as many items as fit the pace of the first side."""
    bench = around.bench
    note: dict[str, Any] = bench.store.get(PART, program.name) or {"delays": {}}
    found = note["delays"].setdefault(str(delay), {"rounds": []})
    if "failed" in found or len(found["rounds"]) > number:
        return
    try:
        note["startup"], note["item"] = pace = _pace(first, program)
        found["rounds"].append(_measure(bench, around, program, delay, *pace))
    except Exception as error:
        found["failed"] = reason(error)
        bench.say(f"  {program.name} at {delay} ms: failed: {found['failed']}")
    else:
        taken = found["rounds"][-1]
        bench.say(
            f"  {number + 1}. {program.name} at {delay} ms: {taken['items']:,} in {taken['seconds']:.1f} s"
        )
    bench.store.put(PART, program.name, note)


def _pace(around: Surroundings, program: Program) -> tuple[float, float]:
    """Seconds of start-up and for each item, without distance: noted, else from part 1, else measured."""
    bench = around.bench
    noted = bench.store.get(PART, program.name)
    if noted and "item" in noted:
        return noted["startup"], noted["item"]
    known = bench.store.get("batch", program.name)
    if known and "item" in known and known["rounds"]:
        last = known["rounds"][-1]
        return known["startup"], max(1e-6, last["seconds"] - known["startup"]) / last["items"]
    variables, items = around.variables(program), 40 if bench.smoke else 2000
    startup = min(run_on(bench, around, program, variables, 16).seconds for _ in range(2))
    seconds = run_on(bench, around, program, variables, items).seconds
    return startup, max(0.01, seconds - startup) / items


def _measure(
    bench: Bench, around: Surroundings, program: Program, delay: int, startup: float, item: float
) -> dict[str, float]:
    shape = SHAPES[program.name]
    away = delay / 1000
    slowest = max(item, away / (shape.texts * shape.together))
    items = max(40, min(bench.items, int(SECONDS / slowest)))
    variables = around.variables(program)
    server = around.server("platform")
    with delayed(server.place, delay) if delay else nullcontext("") as place:
        if place:
            variables["ALGORITHMIA_API"] = f"http://{place}"
        used = run_on(bench, around, program, variables, items)
    rounds = math.ceil(math.ceil(items / shape.texts) / shape.together)
    ideal = startup + max(items * item, rounds * away) + away
    return {"items": items, "seconds": round(used.seconds, 3), "ideal": round(ideal, 3)}
