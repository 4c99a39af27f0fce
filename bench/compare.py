"""The working tree beside an older commit: every speed that both have rounds of, and what became slower.

A ratio is the median, over the rounds, of the working tree's speed divided by the older commit's in the same
round: 1.10 is 10 % faster. Its spread is the range of the rounds' ratios, and at least what is usual in its
part: a few rounds may agree by chance. Slower is what lost more than 5 %, and more than the spread.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

LOSS = 0.05
FEW = {2: 3.0, 3: 1.5}
"""What the range of so few rounds is multiplied with: more of them would show a wider one."""

Part = dict[str, Any]
Figures = Iterator[tuple[str, str, list[float]]]
"""What was measured, the unit, and the rounds. What a unit ends in decides: of `/s` more is better."""


@dataclass(frozen=True)
class Row:
    """One thing that both were measured with.

    Attributes:
        part: of the bench.
        name: what was measured.
        unit: of the figures.
        ours: rounds of the working tree.
        theirs: rounds of the older commit.
        ratios: of the speeds, round by round.
        spread: how far from 1 the ratio may be by chance; None after a single round.
    """

    part: str
    name: str
    unit: str
    ours: list[float]
    theirs: list[float]
    ratios: list[float]
    spread: float | None = None

    @property
    def ratio(self) -> float:
        """The working tree's speed divided by the older commit's."""
        return statistics.median(self.ratios)

    @property
    def verdict(self) -> str:
        """`slower`, `faster`, or nothing: the difference is small, or chance explains it."""
        if self.spread is None or abs(self.ratio - 1) <= max(LOSS, self.spread):
            return ""
        return "faster" if self.ratio > 1 else "slower"

    @property
    def range(self) -> float | None:
        """How far the rounds' ratios lie apart."""
        if len(self.ratios) < 2:
            return None
        return (max(self.ratios) - min(self.ratios)) * FEW.get(len(self.ratios), 1.0)


def rows(data: dict[str, Any]) -> list[Row]:
    """All comparisons, in the order of the parts."""
    return [row for part in FIGURES for row in _rows(part, data)]


def failures(data: dict[str, Any]) -> list[str]:
    """What the older commit could not be measured with, and why."""
    return [
        f"{part}, {name}: {note['failed']}"
        for part, notes in data.get("against", {}).items()
        for name, note in _notes(notes)
        if "failed" in note
    ]


def _notes(notes: Part, above: str = "") -> Iterator[tuple[str, Part]]:
    """Every object within a part's notes, and its name."""
    for name, note in notes.items():
        if isinstance(note, dict):
            yield f"{above}{name}", note
            yield from _notes(note, f"{above}{name}, ")


def _rows(part: str, data: dict[str, Any]) -> list[Row]:
    figures, items = FIGURES[part], data["about"]["items"]
    ours = {name: rounds for name, _, rounds in figures(data["parts"].get(part, {}), items)}
    found = [
        Row(part, name, unit, ours[name], theirs, _ratios(unit, ours[name], theirs))
        for name, unit, theirs in figures(data.get("against", {}).get(part, {}), items)
        if all(ours.get(name, ())) and all(theirs) and ours.get(name) and theirs
    ]
    ranges = [row.range for row in found if row.range is not None]
    usual = statistics.median(ranges) if ranges else 0.0
    return [replace(row, spread=None if row.range is None else max(row.range, usual)) for row in found]


def _ratios(unit: str, ours: list[float], theirs: list[float]) -> list[float]:
    """Of the speeds, of the rounds that both have."""
    pairs = zip(ours, theirs, strict=False)
    return [mine / other if unit.endswith("/s") else other / mine for mine, other in pairs]


def whole(note: Part, items: int) -> list[float]:
    """Seconds that each round of a program takes, or would take, for all items."""
    return [
        each["seconds"]
        if each["items"] >= items
        else note["startup"] + (each["seconds"] - note["startup"]) * items / each["items"]
        for each in note["rounds"]
    ]


def _batch(part: Part, items: int) -> Figures:
    for name, note in part.items():
        if not note.get("failed"):
            yield name, "items/s", [items / each for each in whole(note, items)]
            spent = [1e6 * each["cpu"] / each["items"] for each in note["rounds"] if each.get("cpu")]
            yield f"{name}: processor time", "µs an item", spent


def _serving(part: Part, _: int) -> Figures:
    for note in part.values():
        rounds = [] if note.get("failed") else note["rounds"]
        for key in [key for key in (rounds[0] if rounds else {}) if "/" in key]:
            texts, connections = key.split("/")
            name = f"{many(texts, 'text')} a request, {many(connections, 'connection')}"
            yield name, "requests/s", [each[key]["rate"] for each in rounds]
            yield f"{name}: processor time", "ms a request", [each[key].get("cpu_ms", 0.0) for each in rounds]
            if connections != "1":
                yield f"{name}: p99", "ms", [each[key]["p99"] for each in rounds]


def many(count: str, word: str) -> str:
    """A number and a word, which takes an s unless it is one."""
    return f"{count} {word}" if count == "1" else f"{count} {word}s"


def _distance(part: Part, _: int) -> Figures:
    for name, note in part.items():
        for delay, found in note["delays"].items():
            if "failed" not in found:
                rates = [each["items"] / each["seconds"] for each in found["rounds"]]
                yield f"{name}, {delay} ms away", "items/s", rates


def _generation(part: Part, _: int) -> Figures:
    for name, note in part.items():
        for key in ("cold", "warm", "import", "help"):
            rounds = [each[key] for each in note["rounds"] if each[key]]
            yield f"{name}: {key}", "ms", [statistics.median(each) for each in rounds]


def _growth(part: Part, _: int) -> Figures:
    for kind, sizes in part.items():
        for size, note in sizes.items():
            rounds = [] if "failed" in note else note["rounds"]
            for key, unit in GROWN[kind]:
                yield f"{int(size):,} {kind}: {key}", unit, [each[key] for each in rounds]


def _engines(part: Part, _: int) -> Figures:
    for name, note in part.items():
        if "failed" not in note:
            yield name, "items/s", [each["items"] / each["seconds"] for each in note["rounds"]]


GROWN = {
    "items": (("seconds", "s"),),
    "connections": (("rate", "calls/s"),),
    "algorithms": (("p50", "ms"), ("publish", "s")),
}
FIGURES = {
    "batch": _batch,
    "serving": _serving,
    "distance": _distance,
    "generation": _generation,
    "growth": _growth,
    "engines": _engines,
}
