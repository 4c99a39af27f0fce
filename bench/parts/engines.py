"""Part 6: the ways in beside each other: runner, SQS, Lambda and Spark, alone and whole."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from typing import Any

from bench.measure import Failed, end, environment
from bench.options import Bench, in_turn
from bench.parts.surroundings import Surroundings

PART = "engines"
ITEMS = 600
"""Through each whole engine, and a hundred times as many through each connector alone."""
ALONE = ("runner alone", "SQS worker alone", "Lambda handler alone", "Spark task alone")
WHOLE = ("runner", "SQS, one worker", "SQS, two workers", "Spark, local[2]")
LONGEST = 900.0
"""Seconds for one round."""


def minutes(bench: Bench) -> float:
    """About how long it takes."""
    return 1.5 * bench.rounds


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures the rounds that the store does not have yet; everything of a round in turn."""
    for number in range(sides[0].bench.rounds):
        for side in in_turn(sides, number):
            _note_round(side.bench, number)


def _note_round(bench: Bench, number: int) -> None:
    """One round of everything; a smoke looks at the connectors only, which take seconds."""
    wanted = ALONE if bench.smoke else ALONE + WHOLE
    notes = {name: bench.store.get(PART, name) or {"rounds": []} for name in wanted}
    if all("failed" in note or len(note["rounds"]) > number for note in notes.values()):
        return
    try:
        found, said = _round(bench, ["--alone"] if bench.smoke else [])
    except Failed as error:
        found, said = {}, str(error)
    for name, note in notes.items():
        if name in found:
            note["rounds"].append(found[name])
            bench.say(f"  {number + 1}. {name}: {found[name]['items']:,} in {found[name]['seconds']:.2f} s")
        else:
            note["failed"] = said
            bench.say(f"  {number + 1}. {name}: failed: {said}")
        bench.store.put(PART, name, note)


def _round(bench: Bench, words: list[str]) -> tuple[dict[str, dict[str, Any]], str]:
    """Items and seconds by name, and why what comes after the first failure is not there."""
    items = min(ITEMS, bench.items)
    process = subprocess.Popen(
        [str(bench.tree.python), bench.tree.script("engines"), str(items), "--json", *words],
        cwd=bench.tree.root,  # it starts commands with `-m`, which looks there first
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, log = process.communicate(timeout=LONGEST)
    except subprocess.TimeoutExpired:
        raise Failed(f"took longer than {LONGEST:.0f} s") from None
    finally:
        end(process)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    said = (log.strip().splitlines() or ["no output"])[-1][-160:]
    return {each["name"]: {"items": each["items"], "seconds": each["seconds"]} for each in lines}, said
