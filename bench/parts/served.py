"""Part 10: a wrapper that is served without a platform, beside the same by hand with FastAPI.

Both score the same texts with the same model under one uvicorn process with the same options, those of the
Dockerfile that `wrapgen build --serve` writes. Both ask for a token, and let a bad text of a list fail alone.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench import hosting, load, measure, peers, tweets
from bench.hosting import Server
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings
from bench.rows import Case, Rows, at_least, ratio

TOKEN = "bench-token"
CONNECTIONS = 16
OPTIONS = ("--http", "h11", "--loop", "asyncio", "--no-access-log", "--log-level", "warning")
DOCUMENT = {"document": tweets.SAMPLE}


@contextmanager
def _uvicorn(python: Path, app: str, folder: Path) -> Iterator[Server]:
    """One process of uvicorn with an application while the block runs."""
    port = hosting.free_port()
    command = [str(python), "-m", "uvicorn", app, "--app-dir", str(folder), "--port", str(port), *OPTIONS]
    variables = {"WRAPPER_TOKEN": TOKEN, "WRAPPER_WAITING": str(CONNECTIONS)}
    probe = ("/readyz" if app == "serve:app" else "/docs", None)
    with hosting.served(command, probe, port=port, variables=variables, accepted=True) as server:
        yield server


def wrapper_folder(around: Surroundings, kind: str = "container") -> Path:
    """The wrapper of a model, or in a smoke of nothing, with what serves it."""
    bench, name = around.bench, "nothing" if around.bench.smoke else "served"
    folder = bench.work / f"served-{kind}"
    if not folder.exists():
        shutil.copytree(CASES / name, bench.work / "target" / name, dirs_exist_ok=True)
        spec = bench.work / "target" / "served.yaml"
        text = (CASES / "wrapgen" / "served.yaml").read_text("utf-8")
        spec.write_text(text.replace("../served", f"./{name}"), "utf-8")
        measure.run(bench.tree.command("build", str(spec), "--serve", kind, "--output", str(folder)))
    return folder


def loaded(count: int, *, ours: bool) -> Callable[[Surroundings], Mapping[str, float]]:
    """Measures requests of so many texts, of which one is no list."""

    def figures(around: Surroundings) -> Mapping[str, float]:
        bench = around.bench
        python = bench.tree.python if bench.smoke else peers.python("fastapi")
        folder = wrapper_folder(around) if ours else CASES
        body = DOCUMENT if count == 1 else [DOCUMENT] * count
        path = "/" if ours else "/one" if count == 1 else "/many"
        with _uvicorn(python, "serve:app" if ours else "fastapi_served:app", folder) as server:
            seconds = 1 if bench.smoke else 5
            given = {"connections": CONNECTIONS, "key": TOKEN, "scheme": "Bearer"}
            before = sum(measure.shares([server.pid]).values())
            found = load.wrk(server.address + path, body, bench.work / "load", seconds=seconds, **given)
            used = sum(measure.shares([server.pid]).values()) - before
        return {"rate": found.rate, "p99": found.p99, "cpu_ms": 1000 * used / (found.rate * seconds)}

    return figures


PART = Rows(
    PART="served",
    title="A served wrapper",
    words=(
        "Requests a second and their times over 16 connections, one uvicorn process each with the options of "
        "the Dockerfile: `serve.py` of `wrapgen build --serve`, and the same by hand with FastAPI: a token, "
        "threads, and a list in which a bad text fails alone. The third column is the server's processor "
        "time, which varies less with what else a machine does."
    ),
    columns={
        "rate": ("requests/s", ",.0f"),
        "p99": ("p99 ms", ",.1f"),
        "cpu_ms": ("CPU ms a request", ".2f"),
    },
    cases=[
        Case("wrapgen build --serve, one item", loaded(1, ours=True), smoke=True),
        Case("FastAPI, one item", loaded(1, ours=False)),
        Case("wrapgen build --serve, 100 items", loaded(100, ours=True)),
        Case("FastAPI, 100 items", loaded(100, ours=False)),
    ],
    seconds=40,
    AIMS=[
        (
            f"a served wrapper, {texts}: at least 0.9 of FastAPI by hand",
            ratio("served", f"wrapgen build --serve, {texts}", f"FastAPI, {texts}", "rate"),
            at_least(0.9),
            ".2f",
        )
        for texts in ("one item", "100 items")
    ],
)
