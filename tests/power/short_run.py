"""A short run from standard input to its files, as a program whose system calls are kept.

    python short_run.py FOLDER

Its wrapper is in this process: what it was sent, and that a run has ended, is told on standard output at that
moment.
"""

from __future__ import annotations

import io
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

from wrapgen.run.finish import run_to_files
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.input.inputs import in_their_run, open_input
from wrapgen.run.input.items import Selection
from wrapgen.run.ledger.folder import Folder, errors_for, folder_for, report_beside
from wrapgen.run.output.layouts import Layout
from wrapgen.run.session import Session
from wrapgen.run.settings import Options, World
from wrapgen.run.summary import EndState

VALUES = [{"n": number, "text": "é" * (900 if number == 4 else 3)} for number in range(14)]
FAILS = {"9"}
"""Ids of items that fail for good."""
AGAIN = {"3", "11"}
"""Ids of items that fail at their first try."""


class ShortWrapper:
    """A wrapper that tells what it is sent.

    Args:
        tell: called with a line for each call, before it is answered.
        fails: ids of items that fail for good.
    """

    def __init__(self, tell: Callable[[str], None], fails: set[str]) -> None:
        self._tell = tell
        self._fails = fails
        self.records: dict[str, list[tuple[int, bool]]] = {}

    def call(self, body: bytes, timeout: float) -> bytes:
        """One call."""
        asked = json.loads(body)
        items = asked["$batch"]
        if not items:
            return _answer([], {"wrapper": DESCRIPTION})
        first = asked["$index"]
        indexes = [first + at for at in range(len(items))] if isinstance(first, int) else first
        ids = asked.get("$ids") or [str(index) for index in indexes]
        self._tell(json.dumps({"ids": ids, "try": asked["$try"]}))
        results = [self._one(id_, item, asked["$try"]) for id_, item in zip(ids, items, strict=True)]
        return _answer(results, {"calls": len(items)})

    def _one(self, id_: str, item: Any, number: int) -> Any:
        if isinstance(item, dict) and "$error" in item:
            return item
        failed = id_ in self._fails or (id_ in AGAIN and number == 1)
        self.records.setdefault(id_, []).append((number, failed))
        if not failed:
            return {"seen": item["n"]}
        kind = "InputError" if id_ in self._fails else "ServerError"
        return {
            "$error": {"type": kind, "message": "planned", "retryable": kind == "ServerError", "attempts": 1}
        }


DESCRIPTION = {
    "protocol": 1,
    "mode": "both",
    "spec": "sha256:" + "ab" * 32,
    "target": "nlp/SentimentAnalysis/1.0.5",
    "limits": {
        "timeout": 300,
        "request_bytes": 10_000_000,
        "response_bytes": 10_000_000,
        "parallel": 2,
        "batch_size": 1,
        "attempts": 3,
        "item_timeout": 60,
    },
    "datastore": {"url": "data://acme/sentiment"},
}


def _answer(results: list[Any], summary: dict[str, Any]) -> bytes:
    result = {"$results": results, "$summary": {"items": len(results), **summary}}
    return json.dumps({"result": result, "metadata": {"content_type": "json", "duration": 0.1}}).encode()


def short_run(folder: Path, wrapper: ShortWrapper, **options: Any) -> EndState:
    """Runs all values into a folder, or goes on with that."""
    given = b"".join(json.dumps(value).encode() + b"\n" for value in VALUES)
    return _run(folder, "-", given, wrapper, **options)


def corrected_run(folder: Path, wrapper: ShortWrapper) -> EndState:
    """Sends what failed for good once more."""
    return _run(folder, str(errors_for(folder / "out.jsonl")), b"", wrapper)


def _run(folder: Path, name: str, given: bytes, wrapper: ShortWrapper, **options: Any) -> EndState:
    output = folder / "out.jsonl"
    state = Folder(folder_for(output))
    items = open_input(name, None, Selection(), state, stdin=io.BytesIO(given), data=None, replace=False)  # type: ignore[arg-type]
    items, corrections = in_their_run(items, state, output)
    host = MemoryHost(wrapper.call, "acme/SentimentBatch/1.0.0")
    world = World(random=Random(7), wait=lambda _: False)
    chosen = Options(chunk=4, workers=2, budget=1, **options)
    with Session(state, items, host, chosen, world, corrections=corrections) as session:
        done = run_to_files(session, output, Layout(), lambda _: None, time.monotonic, report_beside(output))
    return done.state


def _tell(line: str) -> None:
    os.write(1, line.encode() + b"\n")


def main(folder: Path) -> None:
    """The run that is recorded."""
    wrapper = ShortWrapper(_tell, FAILS)
    _tell(json.dumps({"ended": short_run(folder, wrapper).value}))
    wrapper = ShortWrapper(_tell, set())
    _tell(json.dumps({"ended": corrected_run(folder, wrapper).value}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
