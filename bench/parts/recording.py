"""Part 7: what a record costs, and checking a receipt.

A run of a spec around a target that does nothing records each item; beside it the same rows, read from a
file, are inserted or written in batches of 1,000 with nothing around. Start-up, which is the time for 16
items, is left out of both. A rate of ours has everything in it: reading, the call, the ledger and the output.
"""

from __future__ import annotations

import importlib.util
import json
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from bench import measure
from bench.measure import Failed
from bench.parts.programs import CASES
from bench.parts.surroundings import Surroundings
from bench.rows import Case, Rows, at_least, paced, ratio

SERVERS = CASES.parent.parent / "tests" / "contract" / "datastores" / "servers.py"
Figures = dict[str, float]


def items(around: Surroundings) -> int:
    """How many are recorded."""
    return min(around.bench.items, 20_000 if around.bench.quick else 50_000)


@contextmanager
def store(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty datastore while the block runs.

    Raises:
        Failed: this machine has no such server.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if kind == "files":
        yield f"file://{folder}/records"
    elif kind == "SQLite":
        yield f"sqlite:///{folder}/records.db"
    else:
        servers = _servers()
        try:
            server = servers.Postgres()
            server.start()
        except (OSError, RuntimeError, servers.Missing) as error:
            raise Failed(f"no PostgreSQL here: {error}") from None
        try:
            yield server.url(server.port)
        finally:
            server.stop()


@lru_cache
def _servers() -> Any:
    """The module of the tests that starts database servers."""
    loader = importlib.util.spec_from_file_location("bench_database_servers", SERVERS)
    assert loader is not None and loader.loader is not None
    module = importlib.util.module_from_spec(loader)
    sys.modules[loader.name] = module
    loader.loader.exec_module(module)
    return module


def recorded(kind: str) -> Callable[[Surroundings], Figures]:
    """Measures a run that records into a kind of datastore."""

    def figures(around: Surroundings) -> Figures:
        folder = around.bench.work / "recording" / kind
        with store(kind, folder) as url:
            spec = _spec(around, url)
            variables = {"BENCH_STORE": url}
            return paced(lambda count: _run(around, spec, count, variables), items(around))

    return figures


def unrecorded(around: Surroundings) -> Figures:
    """Measures the same run where it records nothing."""
    spec = _spec(around, "")
    return paced(lambda count: _run(around, spec, count), items(around))


def bare(kind: str) -> Callable[[Surroundings], Figures]:
    """Measures a batched insert, or a write, of the rows that a run recorded."""

    def figures(around: Surroundings) -> Figures:
        folder = around.bench.work / "recording" / kind
        rows = _rows(around)
        with store(kind, folder) as url:
            url = url.replace("postgresql://", "postgresql+psycopg2://")
            place = str(folder / "bare.jsonl") if kind == "files" else url

            def insert(count: int) -> measure.Usage:
                few = rows.with_name(f"rows-{count}.jsonl")
                with rows.open() as lines, few.open("w") as file:
                    file.writelines(line for _, line in zip(range(count), lines, strict=False))
                if kind != "files":
                    _emptied(around, place)
                return measure.run(
                    [str(around.bench.tree.python), str(CASES / "bare_rows.py"), str(few), place]
                )

            return paced(insert, items(around))

    return figures


def _emptied(around: Surroundings, url: str) -> None:
    drop = "connection.execute(sa.text('DROP TABLE IF EXISTS bare'))"
    code = f"import sqlalchemy as sa\nwith sa.create_engine({url!r}).begin() as connection: {drop}"
    measure.run([str(around.bench.tree.python), "-c", code])


def checked(parts: tuple[str, ...]) -> Callable[[Surroundings], Figures]:
    """Measures `wrapgen verify` of a run that recorded into a folder; `parts` are what there is of it."""

    def figures(around: Surroundings) -> Figures:
        bench, count = around.bench, items(around)
        with store("files", bench.work / "recording" / "verified") as url:
            spec = _spec(around, url)

            def verify(count: int) -> measure.Usage:
                source, output = _run_files(around, spec, count)
                if "ledger" not in parts:
                    shutil.rmtree(output.with_name(output.name + ".run"))
                named = output if "ledger" in parts else output.with_name(output.name + ".receipt.json")
                return measure.run(
                    bench.tree.command("verify", str(named), "--input", str(source)), folder=bench.work
                )

            return paced(verify, count)

    return figures


def _spec(around: Surroundings, url: str) -> Path:
    """A spec that records at a URL, or nothing without one, beside what it names."""
    spec = around.bench.work / "record.yaml"
    text = (CASES / "wrapgen" / "record.yaml").read_text("utf-8")
    place = "url_env: BENCH_STORE" if url.startswith("postgresql") else f"url: {url}"
    if not url:
        text = text.partition("datastore:")[0].replace("both", "batch")
    text = text.replace("url: STORE", place)
    target = around.bench.work / "nothing"
    shutil.copytree(CASES / "nothing", target, dirs_exist_ok=True)
    spec.write_text(text.replace("../nothing", "./nothing"), "utf-8")
    return spec


def _input(around: Surroundings, count: int) -> Path:
    source = around.bench.work / f"recorded-{count}.jsonl"
    source.write_text("".join(f'{{"n":{number},"text":"{"words " * 12}"}}\n' for number in range(count)))
    return source


def _run(
    around: Surroundings, spec: Path, count: int, variables: Mapping[str, str] | None = None
) -> measure.Usage:
    bench = around.bench
    source, output = _input(around, count), bench.work / "recorded.jsonl"
    for left in bench.work.glob(f"{output.name}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    words = ("run", str(spec), str(source), "-o", str(output), "--processes", "1", "--json")
    given = {"WRAPGEN_CACHE": str(bench.work / "specs"), **(variables or {})}
    return measure.run(bench.tree.command(*words), variables=given, folder=bench.work)


def _run_files(around: Surroundings, spec: Path, count: int) -> tuple[Path, Path]:
    _run(around, spec, count)
    return around.bench.work / f"recorded-{count}.jsonl", around.bench.work / "recorded.jsonl"


def _rows(around: Surroundings) -> Path:
    """The rows that a run records, as JSON Lines; made once."""
    rows = around.bench.work / "rows.jsonl"
    if not rows.exists():
        with store("SQLite", around.bench.work / "recording" / "rows") as url:
            _run(around, _spec(around, url), items(around))
            with sqlite3.connect(url.removeprefix("sqlite:///")) as database, rows.open("w") as file:
                found = database.execute("SELECT * FROM records")
                names = [column[0] for column in found.description]
                for row in found:
                    texts = [None if value is None else str(value) for value in row]
                    file.write(json.dumps(dict(zip(names, texts, strict=True))) + "\n")
    return rows


KINDS = ("files", "SQLite", "PostgreSQL")
_BARE = {"files": "write", "SQLite": "insert", "PostgreSQL": "insert"}

PART = Rows(
    PART="recording",
    title="Records and receipts",
    words=(
        "Items a second of a run that records each (50,000 items, one process, a target that does nothing), "
        "beside the same rows in batches of 1,000 with nothing around; start-up, the time for 16, left out. "
        "The database's own processor time is not in the third column. A receipt is checked with input, "
        "output and records at hand, with the ledger and without."
    ),
    columns={
        "rate": ("items/s", ",.0f"),
        "cpu_us": ("CPU µs an item", ",.1f"),
        "startup": ("start-up s", ".2f"),
    },
    cases=[
        Case("a run that records nothing", unrecorded),
        *(
            case
            for kind in KINDS
            for case in (
                Case(f"a run that records, {kind}", recorded(kind), smoke=kind == "files"),
                Case(f"bare batched {_BARE[kind]}, {kind}", bare(kind)),
            )
        ),
        Case("wrapgen verify, of a run", checked(("ledger",))),
        Case("wrapgen verify, of a receipt", checked(())),
    ],
    seconds=75,
    AIMS=[
        (
            f"recording, {kind}: at least 0.6 of a bare batched {_BARE[kind]}",
            ratio("recording", f"a run that records, {kind}", f"bare batched {_BARE[kind]}, {kind}", "rate"),
            at_least(0.6),
            ".2f",
        )
        for kind in KINDS
    ],
)
