"""Growth of what a platform's home holds: accounts, versions of one algorithm, and finished calls.

Each size is reached through the API, but for versions, which are copies of a released one in the home's
database; then calls and listings are timed as a client sees them.
"""

from __future__ import annotations

import json
import sqlite3
import statistics
import time
import urllib.request
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from bench import hosting, load, measure
from bench.hosting import Server
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings

TIMED = 300
"""Calls and listings whose median is taken."""

CONNECTIONS = 16
"""At once, while a history is made."""

DATABASE = "platform.sqlite"
"""Of a home."""

Measure = Callable[[int], dict[str, Any]]


def accounts(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    """More users on one platform."""
    bench = around.bench
    home, server = stack.enter_context(around.platform(f"growth-accounts-{number}"))
    url = f"{server.address}/v1/algo/{hosting.publish(bench.tree, home, CASES / 'nothing')}"
    there = [1]

    def measured(size: int) -> dict[str, Any]:
        def add(at: int) -> None:
            fields = {"username": f"user{at}", "email": f"user{at}@acme.test", "fullname": ""}
            hosting.post(f"{server.address}/v1/users", fields, _admin(home))

        began, more = time.perf_counter(), range(there[0], size)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(add, more))
        adding = 1000 * (time.perf_counter() - began) / max(1, len(more))
        there[0] = max(there[0], size)
        return {**_timed(server, url, "/v1/users", _admin(home)), "add_ms": round(adding, 3)}

    return measured


def versions(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    """More versions of one algorithm, of which the newest is called as such."""
    bench = around.bench
    home, server = stack.enter_context(around.platform(f"growth-versions-{number}"))
    words = ("--as", "bench/Versions", "--skip-cases", "--release", "1.0.0")
    reference = "/".join(hosting.publish(bench.tree, home, CASES / "nothing", *words).split("/")[:2])

    def measured(size: int) -> dict[str, Any]:
        _copy_versions(home, size)
        url = f"{server.address}/v1/algo/{reference}/latestPrivate"
        return _timed(server, url, f"/v1/algorithms/{reference}/versions", server.key)

    return measured


def history(around: Surroundings, number: int, stack: ExitStack) -> Measure:
    """More finished calls, all of them made."""
    bench = around.bench
    home, server = stack.enter_context(around.platform(f"growth-history-{number}"))
    url = f"{server.address}/v1/algo/{hosting.publish(bench.tree, home, CASES / 'nothing')}"
    made = [0]

    def measured(size: int) -> dict[str, Any]:
        rate = 1000.0
        while made[0] < size:
            seconds = max(1, min(30, round((size - made[0]) / rate)))
            found = load.wrk(
                url, {"n": 1}, bench.work / "load", connections=CONNECTIONS, seconds=seconds, key=server.key
            )
            rate, made[0] = found.rate, made[0] + int(found.rate * seconds)
        held = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())
        return {
            **_timed(server, url, "/v1/users", _admin(home)),
            "home_mb": round(held / 1e6, 1),
            "calls": made[0],
        }

    return measured


def _copy_versions(home: Path, size: int) -> None:
    """Releases copies of the newest version, until there are so many."""
    database = home / DATABASE
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        connection.row_factory = sqlite3.Row
        version = dict(
            connection.execute(
                "SELECT v.* FROM versions v JOIN algorithms a ON a.id = v.algorithm_id "
                "WHERE a.name = 'Versions' ORDER BY v.number DESC"
            ).fetchone()
        )
        build = dict(
            connection.execute("SELECT * FROM builds WHERE id = ?", (version["build_id"],)).fetchone()
        )
        for minor in range(version["minor"] + 1, size):
            name = str(uuid.uuid4())
            _insert(connection, "builds", {**build, "id": name, "number": None})
            more = {"id": str(uuid.uuid4()), "number": None, "build_id": name, "minor": minor}
            _insert(connection, "versions", {**version, **more})


def _insert(connection: sqlite3.Connection, name: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    connection.execute(f"INSERT INTO {name} ({', '.join(row)}) VALUES ({marks})", list(row.values()))


def _admin(home: Path) -> str:
    """The key that may see and make accounts; in a smoke the platform's home is the bench's own."""
    return str(json.loads((home / "credentials.json").read_text("utf-8"))["admin_key"])


def _timed(server: Server, url: str, listing: str, key: str) -> dict[str, Any]:
    """What a call and the first page of a listing take, and the platform's memory."""
    hosting.post(url, {"n": 1}, server.key, timeout=60)
    calls, pages = [], []
    for _ in range(TIMED):
        began = time.perf_counter()
        hosting.post(url, {"n": 1}, server.key, timeout=60)
        calls.append(1000 * (time.perf_counter() - began))
    for _ in range(TIMED // 10):
        began = time.perf_counter()
        headers = {"Authorization": f"Simple {key}"}
        request = urllib.request.Request(server.address + listing, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            answer.read()
        pages.append(1000 * (time.perf_counter() - began))
    cuts = statistics.quantiles(calls, n=100)
    return {
        "p50": round(cuts[49], 3),
        "p99": round(cuts[98], 3),
        "list_ms": round(statistics.median(pages), 3),
        "memory_mb": round(measure.memory(server.pid), 1),
    }
