"""A part whose measurements are rows of one table: every case once in each round, in turn.

A new part is a file in `parts/` that makes one `Rows`, and a line in `parts/registry.py`.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.measure import Usage, reason
from bench.options import in_turn
from bench.tables import spread, table

if TYPE_CHECKING:
    from bench.options import Bench
    from bench.parts.surroundings import Surroundings

FEW = 16
"""Items whose time is the start-up."""

Aim = tuple[str, Callable[[dict[str, Any]], float], Callable[[float], bool], str]
"""Words, what asks the data for the figure, whether it is reached, and how it is written."""


@dataclass(frozen=True)
class Case:
    """One row.

    Attributes:
        name: what the table calls it.
        measure: gives the figures of one round by column; raises `Failed` where it can't.
        smoke: it needs nothing but our own environment, and is measured in a smoke too.
    """

    name: str
    measure: Callable[[Surroundings], Mapping[str, float]]
    smoke: bool = False


@dataclass(frozen=True)
class Rows:
    """A part of the bench.

    Attributes:
        PART: its name in the store.
        title: of its section.
        words: what is measured, and how.
        columns: the heading and the format of each figure of a case.
        cases: the rows, in the order of the table.
        seconds: about how long one round takes; half of it in a quick bench.
        AIMS: what was aimed at.
    """

    PART: str
    title: str
    words: str
    columns: Mapping[str, tuple[str, str]]
    cases: Sequence[Case]
    seconds: float
    AIMS: Sequence[Aim] = ()

    def minutes(self, bench: Bench) -> float:
        """About how long it takes; of an older commit it is not measured."""
        return 0.0 if bench.older else self.seconds * bench.rounds / (120 if bench.quick else 60)

    def measure_all(self, sides: Sequence[Surroundings]) -> None:
        """Measures the rounds that the store does not have yet."""
        around = next(side for side in sides if not side.bench.older)
        cases = [case for case in self.cases if case.smoke or not around.bench.smoke]
        for number in range(around.bench.rounds):
            for case in in_turn(cases, number):
                self._round(around, case, number)

    def _round(self, around: Surroundings, case: Case, number: int) -> None:
        bench = around.bench
        note = bench.store.get(self.PART, case.name) or {"rounds": []}
        if "failed" in note or len(note["rounds"]) > number:
            return
        try:
            note["rounds"].append(dict(case.measure(around)))
        except Exception as error:  # a case that fails is a row that says so
            note["failed"] = reason(error)
        bench.say(f"  {number + 1}. {case.name}: {note.get('failed') or note['rounds'][-1]}")
        bench.store.put(self.PART, case.name, note)

    def section(self, part: Mapping[str, Any], _: Mapping[str, Any]) -> str:
        """Its words and its table."""
        lines = []
        for case in self.cases:
            note = part.get(case.name)
            if note and "failed" in note:
                lines.append([case.name, f"failed: {note['failed']}", *[""] * (len(self.columns) - 1)])
            elif note:
                figures = [[each[key] for each in note["rounds"] if key in each] for key in self.columns]
                patterns = [pattern for _, pattern in self.columns.values()]
                lines.append([case.name, *map(spread, figures, patterns)])
        return f"{self.words}\n\n" + table(["", *(head for head, _ in self.columns.values())], lines)


def paced(measured: Callable[[int], Usage], count: int) -> dict[str, float]:
    """Items a second and processor time an item, without start-up: the time for a few items.

    The few are measured twice and the quicker counts: what is made on first use is no part of either.
    """
    few, again, every = measured(FEW), measured(FEW), measured(count)
    more, startup = count - FEW, min(few.seconds, again.seconds)
    return {
        "rate": more / max(0.001, every.seconds - startup),
        "cpu_us": 1e6 * max(0.0, every.cpu - min(few.cpu, again.cpu)) / more,
        "startup": startup,
    }


def middle(data: Mapping[str, Any], part: str, case: str, key: str) -> float:
    """The median of a figure over the rounds."""
    return statistics.median(each[key] for each in data["parts"][part][case]["rounds"])


def ratio(part: str, ours: str, theirs: str, key: str) -> Callable[[dict[str, Any]], float]:
    """Asks for the median of the rounds' ratios of two cases, which were measured side by side."""

    def ask(data: dict[str, Any]) -> float:
        rounds = zip(*(data["parts"][part][case]["rounds"] for case in (ours, theirs)), strict=False)
        return statistics.median(mine[key] / other[key] for mine, other in rounds)

    return ask


def at_least(bound: float) -> Callable[[float], bool]:
    """Reached from there on."""
    return lambda value: value >= bound


def at_most(bound: float) -> Callable[[float], bool]:
    """Reached up to there."""
    return lambda value: value <= bound
