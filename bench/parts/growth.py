"""Part 5: more of everything: items, connections, algorithms, accounts, versions, finished calls.

The target does nothing.

Small sizes are measured in every round; large ones take long and are measured once, of the working tree.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench import hosting, load, measure
from bench.hosting import Server
from bench.measure import Failed
from bench.options import Bench, in_turn
from bench.parts import grown_home
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings

PART = "growth"
SIZES = {
    # of the first round, of all rounds
    "items": ((10_000, 100_000, 1_000_000, 10_000_000), 1_000_000),
    "connections": ((1, 2, 4, 8, 16, 32, 64), 64),
    "algorithms": ((1, 10, 50, 200), 10),
    "accounts": ((1, 100, 1000, 10_000), 100),
    "versions": ((1, 10, 100, 1000), 1000),
    "history": ((0, 10_000, 100_000, 1_000_000), 10_000),
}
SMOKE = {"items": (40,), "connections": (1,), "algorithms": (1,), "accounts": (2,), "versions": (2,)}
QUICK = {"items": 100_000, "algorithms": 10, "accounts": 1000, "history": 100_000}
"""The largest sizes of a quick bench."""

CALLS = 1000
"""To learn the latency of, over all algorithms in turn."""
LONGEST = 900.0

Measure = Callable[[int], dict[str, Any]]
"""Measures one size."""


def minutes(bench: Bench) -> float:
    """About how long it takes."""
    return 1.0 * bench.rounds + (1.5 if bench.quick else 0.0 if bench.older else 11.0)


def measure_all(sides: Sequence[Surroundings]) -> None:
    """Measures what the store does not have yet."""
    for number in range(sides[0].bench.rounds):
        for kind, start in STARTS.items():
            with ExitStack() as stack:
                opened = [
                    (side.bench, start(side, number, stack), sizes)
                    for side in in_turn(sides, number)
                    if (sizes := _sizes(side.bench, kind, number))
                ]
                for size in sorted({size for _, _, sizes in opened for size in sizes}):
                    for bench, measured, sizes in opened:
                        if size in sizes:
                            _note(bench, kind, size, measured)


def _sizes(bench: Bench, kind: str, number: int) -> tuple[int, ...]:
    """The sizes that a round has left to measure."""
    found = bench.store.get(PART, kind) or {}
    first, repeated = SIZES[kind]
    sizes = SMOKE.get(kind, ()) if bench.smoke else first
    if bench.quick:
        sizes = tuple(size for size in sizes if size <= QUICK.get(kind, size))
    if number > 0 or bench.older:
        sizes = tuple(size for size in sizes if size <= repeated)
    notes = {size: found.get(str(size), {"rounds": []}) for size in sizes}
    return tuple(
        size for size in sizes if "failed" not in notes[size] and len(notes[size]["rounds"]) <= number
    )


def _items(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    bench = around.bench
    home, server = stack.enter_context(around.platform(f"growth-items-{number}"))
    folder = bench.work / f"nothing-{number}"
    wrapper = hosting.publish(
        bench.tree, home, hosting.build(bench.tree, CASES / "wrapgen" / "nothing.yaml", folder)
    )
    return lambda size: _run(bench, home, server, wrapper, size)


def _connections(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    bench, name = around.bench, f"growth-connections-{number}"
    home, server = stack.enter_context(around.platform(name, "--workers", str(bench.cores)))
    url = f"{server.address}/v1/algo/{hosting.publish(bench.tree, home, CASES / 'nothing')}"
    # wrk counts one long wait as all the calls that could have been made meanwhile: the start of a worker,
    # 140 ms once, made a p99 of 110. What a new worker takes is measured on its own.
    hosting.post(url, {"n": 1}, server.key, timeout=60)

    def answered(size: int) -> dict[str, float]:
        seconds = 1 if bench.smoke else 3
        found = load.wrk(
            url, {"n": 1}, bench.work / "load", connections=size, seconds=seconds, key=server.key
        ).as_json()
        failed = found.pop("failed")  # which says here that a size could not be measured
        return {**found, "failed_calls": failed}

    return answered


def _algorithms(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    bench = around.bench
    home, server = stack.enter_context(around.platform(f"growth-algorithms-{number}"))
    there: list[str] = []
    return lambda size: _hosted(bench, home, server, there, size)


STARTS = {
    "items": _items,
    "connections": _connections,
    "algorithms": _algorithms,
    "accounts": grown_home.accounts,
    "versions": grown_home.versions,
    "history": grown_home.history,
}


def _run(bench: Bench, home: Path, server: Server, wrapper: str, size: int) -> dict[str, float]:
    source, output = bench.work / "growing.jsonl", bench.work / "grown.jsonl"
    with source.open("w") as file:
        file.writelines(f'{{"n":{number}}}\n' for number in range(size))
    words = [wrapper, str(source), "-o", str(output), "--home", str(home), "--fresh", "--json"]
    used = measure.run(bench.tree.command("run", *words), servers=[server.pid], limit=LONGEST)
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != size:
        raise Failed(f"{lines} outcomes for {size} items")
    found = {**used.as_json(), "server_mb": round(used.peak_mb - used.own_mb, 1)}
    for path in (source, output):
        path.unlink()
    return found


def _hosted(bench: Bench, home: Path, server: Server, there: list[str], size: int) -> dict[str, float]:
    """Publishes until there are so many, calls each, then times calls over all of them."""
    began, more = time.perf_counter(), range(len(there), size)

    def one(number: int) -> str:
        words = ("--as", f"bench/Nothing{number}", "--skip-cases")
        return hosting.publish(bench.tree, home, CASES / "nothing", *words)

    with ThreadPoolExecutor(bench.cores) as pool:
        there += pool.map(one, more)
    publishing = (time.perf_counter() - began) / max(1, len(more))
    urls = [f"{server.address}/v1/algo/{reference}" for reference in there]
    for url in urls:
        hosting.post(url, {"n": 1}, server.key, timeout=60)
    taken = []
    for number in range(20 if bench.smoke else CALLS):
        started = time.perf_counter()
        hosting.post(urls[number % len(urls)], {"n": 1}, server.key, timeout=60)
        taken.append(1000 * (time.perf_counter() - started))
    cuts = statistics.quantiles(taken, n=100)
    return {
        "memory_mb": round(measure.memory(server.pid), 1),
        "p50": round(cuts[49], 3),
        "p99": round(cuts[98], 3),
        "publish": round(publishing, 3),
    }


def _note(bench: Bench, kind: str, size: int, measured: Measure) -> None:
    """Measures one size once more; what fails is noted too."""
    found = bench.store.get(PART, kind) or {}
    note = found.setdefault(str(size), {"rounds": []})
    try:
        note["rounds"].append(measured(size))
    except Exception as error:
        note["failed"] = measure.reason(error)
    bench.say(f"  {size:,} {kind}: {note.get('failed') or note['rounds'][-1]}")
    bench.store.put(PART, kind, found)
