"""`make simulate SEEDS=1-1000`: tries seeds; one seed alone is told as a trace."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

from simulation.faults import Faults  # noqa: E402
from simulation.published import add_range  # noqa: E402
from simulation.seeds import Tried, command, in_parallel, minimised, told  # noqa: E402


def main() -> int:
    """Exit code 1 where a rule is broken."""
    parser = argparse.ArgumentParser(prog="make simulate", description=__doc__)
    parser.add_argument("seeds", help="a-b, or one seed, which is told as a trace")
    parser.add_argument("--faults", default="", help="only these: kill=0.1,power=0.3")
    parser.add_argument("--items", type=int, help="so many items")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--publish", action="store_true", help="add the range to docs/numbers/simulation.md")
    given = parser.parse_args()
    first, _, last = given.seeds.partition("-")
    if not last:
        kinds = dict(pair.split("=") for pair in given.faults.split(",") if pair)
        faults = Faults(**{name: float(share) for name, share in kinds.items()}) if kinds else None
        lines = list(told(int(first), faults, given.items))
        print("\n".join(lines))
        return int(lines[-1] != "nothing is broken")
    return _range(range(int(first), int(last) + 1), given.processes, publish=given.publish)


def _range(seeds: range, processes: int, *, publish: bool) -> int:
    found = Tried()
    for part in in_parallel(seeds, processes):
        found.add(part)
        for seed, broken in list(part.failed.items())[:3]:
            print(f"seed {seed}: {broken[0]}", flush=True)
        print(
            f"\r{found.seeds:,} of {len(seeds):,} seeds, {len(found.failed)} failed", end="", file=sys.stderr
        )
    rate = found.seeds / found.seconds if found.seconds else 0
    sums = ", ".join(f"{count:,} {name}" for name, count in sorted(found.sums.items()))
    print(f"\n{found.seeds:,} seeds: {sums}; {rate:.0f} seeds per second of processor time")
    for seed, broken in list(found.failed.items())[:5]:
        print(f"seed {seed}: {broken[0]}\n  replay:    make simulate SEEDS={seed}")
        print(f"  minimised: {command(*minimised(seed))}")
    if publish and not found.failed:
        add_range(seeds, found)
    return int(bool(found.failed))


if __name__ == "__main__":
    sys.exit(main())
