"""Part 5: more of everything: items in a run, connections, algorithms hosted. The target does nothing."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from bench import hosting, load, measure
from bench.hosting import Server
from bench.measure import Failed
from bench.options import Bench
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings

PART = "growth"
ITEMS = (10_000, 100_000, 1_000_000, 10_000_000)
CONNECTIONS = (1, 2, 4, 8, 16, 32, 64)
ALGORITHMS = (1, 10, 50, 200)
CALLS = 1000
"""To learn the latency of, over all algorithms in turn."""
LONGEST = 900.0


def minutes(bench: Bench) -> float:  # noqa: ARG001
    """About how long it takes."""
    return 10.0


def measure_all(bench: Bench, around: Surroundings) -> None:
    """Measures what the store does not have yet."""
    _items(bench, around)
    _connections(bench, around)
    _algorithms(bench, around)


def _items(bench: Bench, around: Surroundings) -> None:
    sizes = (40,) if bench.smoke else ITEMS
    if _open(bench, "items", sizes):
        with around.platform("growth-items") as (home, server):
            folder = hosting.build(CASES / "wrapgen" / "nothing.yaml", bench.work / "nothing")
            wrapper = hosting.publish(home, folder)
            for size in sizes:
                _note(bench, "items", size, lambda size=size: _run(bench, home, server, wrapper, size))


def _run(bench: Bench, home: Path, server: Server, wrapper: str, size: int) -> dict[str, float]:
    source, output = bench.work / "growing.jsonl", bench.work / "grown.jsonl"
    with source.open("w") as file:
        file.writelines(f'{{"n":{number}}}\n' for number in range(size))
    words = ["run", wrapper, str(source), "-o", str(output), "--home", str(home), "--fresh", "--json"]
    used = measure.run([*hosting.WRAPGEN, *words], servers=[server.pid], limit=LONGEST)
    with output.open("rb") as file:
        lines = sum(1 for _ in file)
    if lines != size:
        raise Failed(f"{lines} outcomes for {size} items")
    found = {**used.as_json(), "server_mb": round(used.peak_mb - used.own_mb, 1)}
    for path in (source, output):
        path.unlink()
    return found


def _connections(bench: Bench, around: Surroundings) -> None:
    sizes = (1,) if bench.smoke else CONNECTIONS
    if _open(bench, "connections", sizes):
        with around.platform("growth-connections", "--workers", str(bench.cores)) as (home, server):
            reference = hosting.publish(home, CASES / "nothing")
            url = f"{server.address}/v1/algo/{reference}"

            def answered(size: int) -> dict[str, float]:
                seconds = 1 if bench.smoke else 3
                found = load.wrk(
                    url, {"n": 1}, bench.work / "load", connections=size, seconds=seconds, key=server.key
                ).as_json()
                failed = found.pop("failed")  # which says here that a size could not be measured
                return {**found, "failed_calls": failed}

            for size in sizes:
                _note(bench, "connections", size, lambda size=size: answered(size))


def _algorithms(bench: Bench, around: Surroundings) -> None:
    sizes = (1,) if bench.smoke else ALGORITHMS
    if _open(bench, "algorithms", sizes):
        with around.platform("growth-algorithms") as (home, server):
            there: list[str] = []
            for size in sizes:
                _note(bench, "algorithms", size, lambda size=size: _hosted(bench, home, server, there, size))


def _hosted(bench: Bench, home: Path, server: Server, there: list[str], size: int) -> dict[str, float]:
    """Publishes until there are so many, calls each, then times calls over all of them."""
    began, more = time.perf_counter(), range(len(there), size)

    def one(number: int) -> str:
        return hosting.publish(home, CASES / "nothing", "--as", f"bench/Nothing{number}", "--skip-cases")

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


def _open(bench: Bench, kind: str, sizes: tuple[int, ...]) -> bool:
    """Whether anything of a kind is left to measure."""
    found = bench.store.get(PART, kind) or {}
    return any(str(size) not in found for size in sizes)


def _note(bench: Bench, kind: str, size: int, measured: Callable[[], dict[str, Any]]) -> None:
    """Measures one size, unless the store has it; what fails is noted too."""
    found = bench.store.get(PART, kind) or {}
    if str(size) in found:
        return
    try:
        found[str(size)] = measured()
    except (Failed, OSError) as error:
        found[str(size)] = {"failed": str(error)[:160]}
    bench.say(f"  {size:,} {kind}: {found[str(size)]}")
    bench.store.put(PART, kind, found)
