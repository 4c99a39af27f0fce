"""Part 8: what hosting costs beside the calls: new workers, idle ones, the slowest calls, two runs at a time.

The algorithm does nothing. Each row that is made of others stands below them: what is left is our own part.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from bench import hosting, load, measure
from bench.measure import Failed, environment
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings
from bench.rows import Case, Rows, at_least, at_most, middle, paced, ratio

NOTHING = CASES / "nothing"
BOOTSTRAP = CASES.parent.parent / "wrapgen" / "worker" / "bootstrap.py"
TRIES = 5
"""Starts, of which the median is taken."""

RUN = 100_000
"""Items of the runs that share the platform."""

VENDOR = "import Algorithmia, adk"
"""What the vendor's own start of an algorithm imports."""

Figures = Mapping[str, float]


def _python(around: Surroundings) -> Path:
    """The interpreter of the hosted algorithm's environment; on first use it is published."""
    home = around.bench.work / "home"
    around.server("platform")
    _reference(around)
    found = sorted(home.glob("**/bin/python"), key=lambda path: path.lstat().st_mtime)
    return found[-1] if found else around.bench.tree.python


def _reference(around: Surroundings) -> str:
    note = around.bench.work / "nothing.reference"
    if not note.exists():
        note.write_text(hosting.publish(around.bench.tree, around.bench.work / "home", NOTHING))
    return note.read_text()


def _started(command: list[str]) -> float:
    """Milliseconds until a process has written its first byte."""
    taken = []
    for _ in range(TRIES):
        began = time.perf_counter()
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )
        assert process.stdout is not None
        process.stdout.read(1)
        taken.append(1000 * (time.perf_counter() - began))
        process.kill()
        process.communicate()
    return statistics.median(taken)


def _opened(command: list[str]) -> subprocess.Popen[bytes]:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=environment(), **pipes)


@contextmanager
def _waiting(command: list[str]) -> Iterator[int]:
    """A process that has written its first byte and waits, while the block runs."""
    process = _opened(command)
    try:
        assert process.stdout is not None
        process.stdout.read(1)
        yield process.pid
    finally:
        process.kill()
        process.communicate()


def _program(imports: str) -> str:
    return f"{imports}\nimport sys\nsys.stdout.write('.')\nsys.stdout.flush()\nsys.stdin.read()"


def bare(imports: str) -> Callable[[Surroundings], Figures]:
    """Measures a process of the algorithm's own Python that imports so much and then waits."""

    def figures(around: Surroundings) -> Figures:
        command = [str(_python(around)), "-c", _program(imports)]
        with _waiting(command) as pid:
            time.sleep(0.2)
            held = measure.memory(pid)
        return {"ms": _started(command), "mb": held}

    return figures


START_FILE = f"import sys; sys.path.insert(0, {str(BOOTSTRAP.parent)!r}); import bootstrap"


def worker(around: Surroundings) -> Figures:
    """The first call of a version whose worker was ended, less a call that follows; and its idle worker."""
    reference, server = _reference(around), around.server("platform")
    url = f"{server.address}/v1/algo/{reference}"
    first, held = [], []
    for _ in range(TRIES):
        hosting.post(url, {"n": 1}, server.key, timeout=60)
        pids = _workers(server.pid)
        held += [measure.memory(pid) for pid in pids]
        for pid in pids:
            _end(pid)
        time.sleep(0.3)
        taken = []
        for _ in range(5):
            began = time.perf_counter()
            hosting.post(url, {"n": 1}, server.key, timeout=60)
            taken.append(1000 * (time.perf_counter() - began))
        first.append(taken[0] - min(taken[1:]))
    if not held:
        raise Failed("no worker was found")
    return {"ms": statistics.median(first), "mb": statistics.median(held)}


def _workers(server: int) -> list[int]:
    """The first process of each worker: below the server, in an algorithm's folder."""
    found = [pid for pid in measure.family(server) if pid != server]
    return [pid for pid in found if "bootstrap" in _command(pid)]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def _end(pid: int) -> None:
    with suppress(OSError):
        os.kill(pid, signal.SIGKILL)


def slowest(around: Surroundings) -> Figures:
    """One connection: how long the slowest of some thousand calls took."""
    server = around.server("platform")
    url = f"{server.address}/v1/algo/{_reference(around)}"
    seconds = 1 if around.bench.smoke else 5
    found = load.wrk(
        url, {"n": 1}, around.bench.work / "load", connections=1, seconds=seconds, key=server.key
    )
    return {"p50": found.p50, "p99": found.p99}


def runs(count: int) -> Callable[[Surroundings], Figures]:
    """Measures so many runs at a time on one platform, each of its part of the same items; less start-up."""

    def figures(around: Surroundings) -> Figures:
        return paced(lambda items: _together(around, count, items), min(RUN, around.bench.items))

    return figures


def _together(around: Surroundings, count: int, items: int) -> measure.Usage:
    """So many runs that begin together, over so many items in all."""
    bench, server, wrapper = around.bench, around.server("platform"), _wrapper(around)
    variables = {"ALGORITHMIA_API": server.address, "ALGORITHMIA_API_KEY": server.key}
    commands = []
    for number in range(count):
        source = bench.work / f"shared-{count}-{number}.jsonl"
        source.write_text("".join(f'{{"n":{one}}}\n' for one in range(items // count)))
        output = bench.work / f"shared-{count}-{number}.out.jsonl"
        words = (wrapper, str(source), "-o", str(output), "--fresh", "--json")
        commands.append(" ".join(bench.tree.command("run", *words)))
    line = " & ".join(commands) + " & wait"
    return measure.run(["sh", "-c", line], servers=[server.pid], variables=variables, folder=bench.work)


def _wrapper(around: Surroundings) -> str:
    note = around.bench.work / "shared.reference"
    if not note.exists():
        tree, home = around.bench.tree, around.bench.work / "home"
        around.server("platform")
        folder = hosting.build(tree, CASES / "wrapgen" / "nothing.yaml", around.bench.work / "shared")
        note.write_text(hosting.publish(tree, home, folder))
    return note.read_text()


def _own(data: dict[str, Any]) -> float:
    """Megabytes of an idle worker beyond a Python that imported the same packages of the vendor."""
    names = "an idle worker of the platform", "the same Python with the vendor's client"
    theirs = [middle(data, "hosted", name, "mb") for name in names]
    return theirs[0] - theirs[1]


TOGETHER, ALONE = "two runs at a time", "one run of as many items"

PART = Rows(
    PART="hosted",
    title="Hosting",
    words=(
        "An algorithm that does nothing. A new worker is the first call of a version whose environment "
        "exists and whose worker was ended, less a call that follows; above it stands what it is made of, as "
        "processes of the algorithm's own Python. Memory is proportional. The slowest calls are those of one "
        "connection."
    ),
    columns={
        "ms": ("start ms", ",.0f"),
        "mb": ("idle MB", ",.1f"),
        "p50": ("p50 ms", ",.2f"),
        "p99": ("p99 ms", ",.2f"),
        "rate": ("items/s", ",.0f"),
        "cpu_us": ("CPU µs an item", ",.1f"),
    },
    cases=[
        Case("Python alone", bare("")),
        Case("the same with the worker's start file", bare(START_FILE)),
        Case("the same Python with the vendor's client", bare(VENDOR)),
        Case("an idle worker of the platform", worker),
        Case("calls over one connection", slowest),
        Case(ALONE, runs(1), smoke=True),
        Case(TOGETHER, runs(2), smoke=True),
    ],
    seconds=45,
    AIMS=[
        (
            "two runs at a time: at least 95 % of one run's total",
            ratio("hosted", TOGETHER, ALONE, "rate"),
            at_least(0.95),
            ".0%",
        ),
        (
            "p99 at one connection: under 3 ms",
            lambda data: middle(data, "hosted", "calls over one connection", "p99"),
            at_most(3),
            ".1f",
        ),
        ("an idle worker: MB beyond Python and the vendor's client", _own, at_most(5.0), ".1f"),
    ],
)
