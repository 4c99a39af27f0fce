"""Part 9: four shards of a run beside the run, on a target that does nothing: what dividing and merging cost.

Each shard is measured alone, as on a machine of its own, and the slowest counts. Start-up, which is the time
for 16 items, is left out. Every shard reads the whole input, and merging reads it and all outcomes once more.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from bench import measure
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings
from bench.rows import FEW, Case, Rows, at_least, paced, ratio

OF = 4
Figures = dict[str, float]


def items(around: Surroundings) -> int:
    """How many are run."""
    return min(around.bench.items, 40_000 if around.bench.quick else 200_000)


class Shards:
    """Runs of one input in a folder, whole or in shards.

    Args:
        around: the bench.
        count: items.
    """

    def __init__(self, around: Surroundings, count: int) -> None:
        self.bench = around.bench
        self.folder = around.bench.work / f"shards-{count}"
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.copytree(CASES / "nothing", self.folder / "nothing")
        spec = "version: 1\ntarget: {source: ./nothing}\nwrapper: {name: acme/BenchShards, mode: batch}\n"
        (self.folder / "spec.yaml").write_text(spec)
        rows = (f'{{"n":{number},"text":"{"words " * 12}"}}\n' for number in range(count))
        (self.folder / "in.jsonl").write_text("".join(rows))

    def command(self, *words: str) -> measure.Usage:
        """One command in the folder."""
        given = {"WRAPGEN_CACHE": str(self.bench.work / "specs")}
        return measure.run(self.bench.tree.command(*words, "--json"), variables=given, folder=self.folder)

    def run(self, *words: str) -> measure.Usage:
        """One run, or one shard of it."""
        return self.command("run", "spec.yaml", "in.jsonl", "-o", "out.jsonl", "--processes", "1", *words)

    def shards(self) -> list[measure.Usage]:
        """Every shard, one after the other."""
        return [self.run("--shard", f"{index}/{OF}") for index in range(OF)]

    def output(self) -> Path:
        """What is written."""
        return self.folder / "out.jsonl"


def whole(around: Surroundings) -> Figures:
    """One run."""
    return paced(lambda count: Shards(around, count).run(), items(around))


def divided(around: Surroundings) -> Figures:
    """Four shards: the time of the slowest, and the processor time of all."""
    few, every = Shards(around, FEW).shards(), Shards(around, items(around)).shards()
    slowest = max(one.seconds for one in every) - min(one.seconds for one in few)
    return _figures(items(around), slowest, sum(one.cpu for one in every) - sum(one.cpu for one in few))


def merged(around: Surroundings) -> Figures:
    """Merging them.

    Raises:
        Failed: the output is not that of one run.
    """
    used = []
    for count in (FEW, items(around)):
        shards = Shards(around, count)
        shards.run()
        alone = shards.output().read_bytes()
        for left in shards.folder.glob("out.jsonl*"):
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        shards.shards()
        used.append(shards.command("merge", "-o", "out.jsonl"))
        if shards.output().read_bytes() != alone:
            raise measure.Failed("the merged output is not that of one run")
    few, every = used
    return _figures(items(around), every.seconds - few.seconds, every.cpu - few.cpu)


def _figures(count: int, seconds: float, cpu: float) -> Figures:
    return {"rate": (count - FEW) / max(0.001, seconds), "cpu_us": 1e6 * max(0.0, cpu) / (count - FEW)}


PART = Rows(
    PART="shards",
    title="Four shards beside one run",
    words=(
        "Items a second (200,000 items, a target that does nothing, one process a run), without start-up. "
        "Each shard is measured alone, as on a machine of its own, and the slowest gives the rate; processor "
        "time is that of all four. Each reads the whole input. Merging compares every outcome with its "
        "digest, writes the output and checks it."
    ),
    columns={"rate": ("items/s", ",.0f"), "cpu_us": ("CPU µs an item", ",.1f")},
    cases=[
        Case("one run", whole, smoke=True),
        Case("four shards, each alone", divided),
        Case("wrapgen merge of the four", merged),
    ],
    seconds=60,
    AIMS=[
        (
            "four shards: at least 2.5 times the rate of one run",
            ratio("shards", "four shards, each alone", "one run", "rate"),
            at_least(2.5),
            ".2f",
        ),
        (
            "four shards together: at most 1.33 times the processor time of one run",
            ratio("shards", "one run", "four shards, each alone", "cpu_us"),
            at_least(0.75),
            ".2f",
        ),
    ],
)
