"""What every sink of outcomes has to do, over memory and every format of files."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from wrapgen.errors import RunError
from wrapgen.run.hosts.description import Description
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.items import Selected, Selection
from wrapgen.run.input.memory import MemorySource
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.output.layouts import LaidOut, Layout
from wrapgen.run.output.memory import MemorySink
from wrapgen.run.output.sink import Sink, sink_for
from wrapgen.run.session import Session
from wrapgen.run.settings import Options

ROWS = [{"text": f"row {n}", "n": n} for n in range(40)]
ABOUT = Description("nlp/Target/1.0.0", "batch", "sha256:0", 300, 1_000_000, 8, 3, None)
ERROR = {"type": "InputError", "message": "as planned", "retryable": False, "attempts": 1}
BAD = 7


def answer(body: bytes, _: float) -> bytes:
    """Every item's text, but for one that fails."""
    items = json.loads(body)["$batch"]
    results = [{"$error": ERROR} if item["n"] == BAD else item["text"].upper() for item in items]
    return json.dumps({"result": {"$results": results, "$summary": {"calls": len(items)}}}).encode()


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    """A finished run."""
    items = Selected(MemorySource(ROWS), Selection())
    host = MemoryHost(answer, description=ABOUT)
    with Session(Folder(tmp_path / "run"), items, host, Options(budget=1)) as run:
        run.work()
        yield run


def read(path: Path) -> list[dict[str, Any]]:
    """What a file says of each outcome: its index, result or null, type of its error or null."""
    if path.suffix == ".parquet":
        from pyarrow import parquet

        rows = parquet.read_table(path).to_pylist()
    elif path.suffix == ".jsonl":
        lines = map(json.loads, path.read_bytes().splitlines())
        rows = [{**line, "error_type": line.get("error", {}).get("type")} for line in lines]
    else:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ","))
    return [
        {"index": int(row["index"]), "result": row.get("result") or None, "error": row["error_type"] or None}
        for row in rows
    ]


@pytest.fixture(params=["memory", "jsonl", "csv", "tsv", "parquet"])
def sink(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Sink, Callable[[], list[dict[str, Any]]]]:
    """One sink after the other, and what reads it back."""
    path = tmp_path / f"out.{request.param}"
    if request.param != "memory":
        return sink_for(path, Layout()), lambda: read(path) if path.exists() else []
    made = MemorySink()

    def back() -> list[dict[str, Any]]:
        copy = tmp_path / "lines.jsonl"
        copy.write_bytes(b"".join(made.lines))
        return read(copy)

    return made, back


def laid_out(session: Session, layout: Layout, rows: list[Any] = ROWS) -> LaidOut:
    """The run's outcomes."""
    return LaidOut(layout, Selected(MemorySource(rows), Selection()), session.slots, session.spool)


@pytest.mark.parametrize("layout", [Layout(), Layout("joined"), Layout("joined", ["n"])])
def test_every_outcome_is_there_once_in_order(session, sink, layout):
    """Results and errors stand under their indexes; a failed item is not left out."""
    made, back = sink
    made.write(laid_out(session, layout))
    assert back() == [
        {"index": n, "result": None, "error": "InputError"}
        if n == BAD
        else {"index": n, "result": f"ROW {n}", "error": None}
        for n in range(len(ROWS))
    ]


def test_writing_again_replaces_what_was_there(session, sink):
    """Two times is as good as once."""
    made, back = sink
    made.write(laid_out(session, Layout()))
    first = back()
    made.write(laid_out(session, Layout()))
    assert back() == first and len(first) == len(ROWS)


def test_outcomes_that_cannot_be_joined_leave_what_was_there(session, sink):
    """Whole or not at all: an input that is shorter than the run spoils nothing."""
    made, back = sink
    made.write(laid_out(session, Layout()))
    with pytest.raises(RunError, match="does not hold its rows"):
        made.write(laid_out(session, Layout("joined"), ROWS[:20]))
    assert len(back()) == len(ROWS)
