"""`python -m bench`: measures everything side by side and writes bench/RESULTS.md.

An interrupted bench goes on where it was; --fresh starts over.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench import machine, peers
from bench.measure import Failed
from bench.options import Bench
from bench.parts import batch, distance, engines, generation, growth, serving
from bench.parts.surroundings import Surroundings
from bench.render import render
from bench.store import Store

HERE = Path(__file__).resolve().parent
PARTS = {"1": batch, "2": serving, "3": distance, "4": generation, "5": growth, "6": engines}


def main() -> None:
    """Measures, then writes."""
    given = options()
    if given.render:
        write(Store(given.out / "results.json"), given.out)
        return
    progress = peers.CACHE / ("smoke.json" if given.smoke else "progress.json")
    if given.smoke:
        given.out = given.out if given.out != HERE else Path(tempfile.mkdtemp(prefix="bench-"))
        progress = given.out / "progress.json"
    store = Store(progress, fresh=given.fresh or given.smoke)
    with tempfile.TemporaryDirectory(prefix="wrapgen-bench-") as folder:
        bench = Bench(store, Path(folder), given.items, given.seconds, given.rounds, given.smoke)
        go(bench, [PARTS[each] for each in given.only])
    if not given.smoke:
        note_versions(store)
    given.out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(progress, given.out / "results.json")
    write(store, given.out, plots=not given.smoke)
    if set(given.only) == set(PARTS):
        progress.unlink()


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", default="1,2,3,4,5,6", help="parts, as 1,2")
    parser.add_argument("--items", type=int, default=100_000, help="of part 1")
    parser.add_argument("--seconds", type=float, default=60, help="most for a slow case, over all its rounds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fresh", action="store_true", help="forget what an interrupted bench measured")
    parser.add_argument("--render", action="store_true", help="only write RESULTS.md from results.json again")
    parser.add_argument("--smoke", action="store_true", help="everything tiny, nothing installed, no figures")
    parser.add_argument(
        "--out", type=Path, default=HERE, help="folder of RESULTS.md, results.json and plots/"
    )
    given = parser.parse_args()
    given.only = given.only.split(",")
    if unknown := set(given.only) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    if given.smoke:
        given.items, given.seconds, given.rounds = 40, 1.0, 1
    return given


def go(bench: Bench, parts: list[object]) -> None:
    """Runs the parts in order, each told before it starts."""
    expected = ", ".join(f"{part.PART} {part.minutes(bench):.0f} min" for part in parts)
    bench.say(f"load before: {machine.load()}; expected: {expected}")
    bench.store.about(**machine.facts(), load=machine.load(), **machine.wrapgen_version())
    bench.store.about(items=bench.items, seconds=bench.seconds, rounds=bench.rounds)
    with ExitStack() as stack:
        around = Surroundings(bench, stack)
        for part in parts:
            began = time.monotonic()
            bench.say(f"{part.PART}")
            part.measure_all(bench, around)
            bench.say(f"{part.PART}: {(time.monotonic() - began) / 60:.1f} min")
    bench.store.about(finished=time.strftime("%Y-%m-%d", time.gmtime()))


def note_versions(store: Store) -> None:
    """What was compared with what."""
    names = sorted(path.stem for path in (HERE / "peers").glob("*.txt"))
    store.about(peers={name: peers.pinned(name) for name in names if name != "plots"})


def write(store: Store, out: Path, *, plots: bool = True) -> None:
    """RESULTS.md and the plots, from what the store has."""
    (out / "RESULTS.md").write_text(render(store.data), "utf-8")
    if not plots:
        return
    try:
        python = peers.python("plots")
    except Failed as error:
        print(error, file=sys.stderr)
        return
    subprocess.run([str(python), str(HERE / "plots.py"), str(out)], check=True)


if __name__ == "__main__":
    main()
