"""`python -m bench`: measures everything side by side and writes bench/RESULTS.md.

With --against REV an older commit is measured in the same rounds, in turn, and RESULTS.md says what became
slower. An interrupted bench goes on where it was, and tries again what failed; --fresh starts over. A part
that fails, or takes far longer than expected, is noted as failed, and the next one begins.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bench import machine, peers, trees
from bench.measure import Failed, reason
from bench.options import Bench
from bench.parts import batch, distance, engines, generation, growth, registry, serving
from bench.parts.surroundings import Surroundings
from bench.render import beside, render
from bench.store import Store
from bench.trees import REFERENCE, WORKING

HERE = Path(__file__).resolve().parent
QUICK = ("1", "2")
OWN = (batch, serving, distance, generation, growth, engines)
PARTS = {str(number): part for number, part in enumerate((*OWN, *registry.TABLES), 1)}


def main() -> None:
    """Measures, then writes."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that its servers end with it
    given = options()
    if given.render:
        write(Store(given.out / "results.json"), given.out)
        return
    progress = given.out / "progress.json" if given.smoke else peers.CACHE / _progress(given)
    store = Store(progress, fresh=given.fresh or given.smoke)
    parts = [PARTS[each] for each in given.only]
    given.out.mkdir(parents=True, exist_ok=True)

    def publish() -> None:
        shutil.copyfile(progress, given.out / "results.json")
        write(store, given.out, plots=given.peers and not given.smoke)

    with tempfile.TemporaryDirectory(prefix="wrapgen-bench-") as folder:
        try:
            if given.peers and not given.smoke:
                note_versions(store)
            go(benches(given, store, Path(folder)), parts, publish)
        except Failed as error:  # no tree to measure; what fails within a part is noted there
            sys.exit(f"bench: {error}")
    if len(parts) == len(PARTS) or given.verdict:
        progress.unlink()
    if given.verdict:
        print(beside(store.data))


def _progress(given: argparse.Namespace) -> str:
    """The file that an interrupted bench goes on from: one for each pair of trees."""
    names = [trees.resolve(each)[:12] for each in (given.tree, given.against) if each]
    return "-".join(["progress", *["quick"] * given.quick, *names]) + ".json"


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", help="parts, as 1,2 or 3-6, or all")
    parser.add_argument("--items", type=int, help="of part 1 (100,000; quick: 40,000)")
    parser.add_argument("--programs", metavar="PATTERN", default="", help="of part 1, those that it matches")
    parser.add_argument("--seconds", type=float, default=60, help="most for a slow case, over all its rounds")
    parser.add_argument("--rounds", type=int, help="(3; quick: 4)")
    parser.add_argument(
        "--against", metavar="REV", help="an older commit, measured in the same rounds; may be HEAD"
    )
    parser.add_argument("--tree", metavar="REV", help="measure a commit in place of the working tree")
    parser.add_argument(
        "--quick",
        action="store_true",
        help=f"a verdict on serving and on items through a wrapper beside an older commit ({REFERENCE}), "
        "in under ten minutes; printed, and written below .cache. With --only and without --against: these "
        "parts, peers included, a few minutes each; what earlier ones measured stays on the page",
    )
    parser.add_argument("--without-peers", dest="peers", action="store_false", help="only what is ours")
    parser.add_argument("--fresh", action="store_true", help="forget what an interrupted bench measured")
    parser.add_argument("--render", action="store_true", help="only write RESULTS.md from results.json again")
    parser.add_argument("--smoke", action="store_true", help="everything tiny, nothing installed, no figures")
    parser.add_argument("--out", type=Path, help="folder of RESULTS.md, results.json and plots/ (bench/)")
    given = parser.parse_args()
    _complete(given)
    if unknown := [each for each in given.only if each not in PARTS]:
        parser.error(f"no such part: {', '.join(unknown)}")
    return given


def _complete(given: argparse.Namespace) -> None:
    """What is not given, by what is."""
    if given.smoke:
        given.items, given.seconds, given.rounds = 40, 1.0, 1
        given.out = given.out or Path(tempfile.mkdtemp(prefix="bench-"))
    given.verdict = bool(given.quick and (given.against or not given.only))
    if given.verdict:
        given.peers, given.against = False, given.against or REFERENCE
    if given.quick:
        given.out = given.out or peers.CACHE / "quick"
        if not given.verdict:
            given.seconds, given.rounds = min(given.seconds, 20.0), given.rounds or 2
    given.only = chosen(given.only) if given.only else list(QUICK if given.quick else PARTS)
    given.items = given.items or (40_000 if given.quick else 100_000)
    given.rounds = given.rounds or (4 if given.quick else 3)
    given.out = given.out or HERE


def chosen(words: str) -> list[str]:
    """The parts that `--only` names, in its order: numbers, ranges, or all."""
    found = []
    for word in list(PARTS) if words == "all" else words.split(","):
        first, _, last = word.partition("-")
        if first.isdigit() and last.isdigit():
            found += [str(number) for number in range(int(first), int(last) + 1)]
        else:
            found.append(word)
    return found


def benches(given: argparse.Namespace, store: Store, work: Path) -> list[Bench]:
    """One for the working tree and, if wanted, one for an older commit.

    Raises:
        Failed: a tree can't be checked out or installed.
    """
    extras = "" if given.smoke else "dev,spark" if "6" in given.only else "platform"
    cache = work / "trees" if given.smoke else peers.CACHE / "trees"
    tree = WORKING
    if given.tree:
        tree = trees.commit(given.tree, cache, extras)
    elif given.against and extras:
        tree = trees.working(cache, extras)
    bench = Bench(
        store=store,
        work=work,
        items=given.items,
        seconds=given.seconds,
        rounds=given.rounds,
        smoke=given.smoke,
        tree=tree,
        peers=given.peers,
        quick=given.quick,
        programs=given.programs,
    )
    store.about(tree=tree.name, against=given.against)
    if not given.against:
        return [bench]
    return [bench, bench.beside(trees.commit(given.against, cache, extras))]


def go(sides: list[Bench], parts: list[object], publish: Callable[[], None]) -> None:
    """Runs the parts in order, each told before it starts; after each the page is written."""
    bench = sides[0]
    store, expected = bench.store, [sum(map(part.minutes, sides)) for part in parts]
    each = ", ".join(f"{part.PART} {minutes:.0f}" for part, minutes in zip(parts, expected, strict=True))
    bench.say(f"load before: {machine.load()}; expected: {sum(expected):.0f} min ({each})")
    store.about(**machine.facts(), load=machine.load(), **machine.wrapgen_version(bench.tree.python))
    store.about(items=bench.items, seconds=bench.seconds, rounds=bench.rounds)
    for part, minutes in zip(parts, expected, strict=True):
        store.retry(part.PART)
        began = time.monotonic()
        bench.say(f"{part.PART}")
        try:
            with deadline(60 * (3 * minutes + 3)), ExitStack() as stack:
                part.measure_all([Surroundings(each.within(part.PART), stack) for each in sides])
        except Overdue:
            store.fail(part.PART, f"not done after {3 * minutes + 3:.0f} min")
        except Exception as error:  # one part never ends the others
            traceback.print_exc()
            store.fail(part.PART, reason(error))
        took = (time.monotonic() - began) / 60
        store.about(minutes={**store.data["about"].get("minutes", {}), part.PART: round(took, 1)})
        store.about(finished=time.strftime("%Y-%m-%d", time.gmtime()))
        bench.say(f"{part.PART}: {store.failed(part.PART) or 'done'}, {took:.1f} min")
        publish()


class Overdue(BaseException):
    """A part takes too long; nothing within a part catches it."""


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Raises `Overdue` within the block once it takes longer, and again each minute until it is left."""

    def expire(_: int, __: FrameType | None) -> NoReturn:
        raise Overdue

    before = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds, 60)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


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
