"""Part 1: the same tweets through everything.

Each program reads a file and writes one. It is run on 16 items first, which is its start-up; then on as many
as tell its speed; then in rounds, all programs in turn. One that would take longer than it may is given fewer
items in each round, and its time for all items is start-up plus items at the speed that it had.
"""

from __future__ import annotations

import re
import shutil
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import measure, tweets
from bench.measure import Failed
from bench.options import Bench, in_turn
from bench.parts.programs import PROGRAMS, Program, chosen
from bench.parts.surroundings import Surroundings

PART = "batch"
FIRST = 16
LONGEST = 120.0
"""Seconds after which a program is given up, unless a slow one may take longer."""

SLOW_START = 3.0
"""Seconds of start-up from which a pace is measured twice, and in a quick bench only once."""

NAMES = [each.name for each in PROGRAMS]
SLOW = {each.name for each in PROGRAMS if each.group in ("one", "chat") or re.search("Spark|Ray", each.name)}
"""What gets fewer items than the full input on most machines."""

SCORE = re.compile(rb'"(?:sentiment\\?|result)": ?\[?(-?[\d.]+(?:[eE]-?\d+)?)')


@dataclass(frozen=True)
class Pace:
    """How quick a program is: seconds before the first item, and for each item."""

    startup: float
    item: float

    def seconds(self, items: int) -> float:
        """For so many items."""
        return self.startup + items * self.item

    def items(self, bench: Bench) -> int:
        """How many a round takes: all, or what fits a share of the time."""
        if self.seconds(bench.items) <= bench.seconds:
            return bench.items
        fit = int((bench.seconds / bench.rounds - self.startup) / self.item)
        return min(bench.items, max(10 * FIRST, fit))


def minutes(bench: Bench) -> float:
    """About how long it takes, by what it took before."""
    programs, start = chosen(bench, NAMES), 6 if bench.quick else 12
    slow = sum(each.name in SLOW for each in programs)
    quick = len(programs) - slow
    return (slow * (bench.seconds + 15) + quick * (start + bench.rounds * bench.items / 8_000)) / 60


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures what the store does not have yet."""
    programs = {id(side): chosen(side.bench, NAMES) for side in sides}
    paces: dict[str, list[Pace]] = {}
    for each in PROGRAMS:
        for side in sides:
            if each in programs[id(side)] and (pace := _pace(side.bench, side, each)) is not None:
                paces.setdefault(each.name, []).append(pace)
    for number in range(sides[0].bench.rounds):
        for each in PROGRAMS:
            for side in in_turn(sides, number):
                if each in programs[id(side)] and each.name in paces:
                    items = min(pace.items(side.bench) for pace in paces[each.name])
                    _round(side.bench, side, each, items, number)


def _pace(bench: Bench, around: Surroundings, program: Program) -> Pace | None:
    """Tries a program; None when it fails, which is noted."""
    known = bench.store.get(PART, program.name)
    if known is not None:
        return None if known.get("failed") else Pace(known["startup"], known["item"])
    note: dict[str, Any] = {"group": program.group, "lines": program.lines, "rounds": []}
    try:
        variables = around.variables(program)
        few = [run_on(bench, around, program, variables, FIRST).seconds]
        if not (bench.smoke or (bench.quick and few[0] > SLOW_START)):
            few.append(run_on(bench, around, program, variables, FIRST).seconds)
        pace = _slope(bench, around, program, variables, min(few))
    except Exception as error:
        note["failed"] = measure.reason(error)
        bench.say(f"  {program.name}: failed: {note['failed']}")
        bench.store.put(PART, program.name, note)
        return None
    bench.say(f"  {program.name}: starts in {pace.startup:.1f} s, then {1 / pace.item:,.0f} items/s")
    note.update(startup=round(pace.startup, 3), item=pace.item)
    bench.store.put(PART, program.name, note)
    return pace


def _slope(
    bench: Bench, around: Surroundings, program: Program, variables: Mapping[str, str], startup: float
) -> Pace:
    """Takes more items until the time is clearly more than the start-up's; twice, where that varies much."""
    items, most = 250, min(bench.items, 16_000)
    while True:
        items = min(items, most)
        tries = 2 if startup > SLOW_START and not bench.quick else 1
        seconds = min(run_on(bench, around, program, variables, items).seconds for _ in range(tries))
        more = seconds - startup
        if more > max(1.0, startup / 2) or items >= most:
            return Pace(startup, max(more, 0.01) / max(1, items - FIRST))
        items *= 4


def _round(bench: Bench, around: Surroundings, program: Program, items: int, number: int) -> None:
    note = bench.store.get(PART, program.name)
    if note.get("failed") or len(note["rounds"]) > number:
        return
    try:
        used = run_on(bench, around, program, around.variables(program), items)
    except Exception as error:
        note["failed"] = measure.reason(error)
        bench.say(f"  {number + 1}. {program.name}: failed: {note['failed']}")
    else:
        note["rounds"].append({"items": items, "idle_mb": around.idle(program), **used.as_json()})
        bench.say(f"  {number + 1}. {program.name}: {items:,} in {used.seconds:.1f} s")
    bench.store.put(PART, program.name, note)


def run_on(
    bench: Bench, around: Surroundings, program: Program, variables: Mapping[str, str], items: int
) -> measure.Usage:
    """One run of a program on so many items; what it wrote is looked at."""
    source = tweets.write(bench.work / "tweets" / f"{items}.jsonl", items)
    output = bench.work / "scores.jsonl"
    for left in bench.work.glob("scores.jsonl*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    used = measure.run(
        [*around.command(program), str(source), str(output)],
        servers=around.servers(program),
        variables=variables,
        folder=bench.work,
        limit=max(LONGEST, 3 * bench.seconds),
    )
    _check(output, items)
    return used


def _check(output: Path, items: int) -> None:
    """Every text has its score, and the first tweets have the scores that they always had."""
    files = (
        sorted(output.glob("part-*" if list(output.glob("part-*")) else "*.json*"))
        if output.is_dir()
        else [output]
    )
    scores = [float(each) for file in files for each in SCORE.findall(file.read_bytes())]
    if len(scores) != items:
        raise Failed(f"{len(scores)} scores for {items} texts")
    if items >= FIRST and abs(statistics.fmean(scores)) < 0.01:
        raise Failed("these are no scores")
