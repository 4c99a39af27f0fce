"""What a real run left, read as a history and judged by the one checker (`wrapgen/run/history.py`).

    found = Evidence(items=160)
    found.records(records)                    # of the datastore; also again and again while the run goes on
    found.ledger(Folder(folder_for(output)))  # any StateStore; each shard's in turn
    found.calls(home / "logs", run)           # of the platform's log
    found.output(output)                      # the layout keyed; `acknowledged` for rows and messages
    assert not found.broken()

Whatever is not given is not judged. A run without a ledger (Spark, Ray, a queue) keeps its outcomes in the
datastore alone: there the best record of an item is what was kept of it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wrapgen.run.history import FINAL, RESULT, RETRYABLE, Event, History, Kind, LedgerHistory
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import indexes_of, rebuild
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import LEDGER, SPOOL, StateStore
from wrapgen.run.output.outcomes import outcomes
from wrapgen.run.scheduling.replies import Fate

NEW_SENDS = 1 << 40
"""From one ledger to the next the numbers of sends grow by so much."""


def rank_of(told: dict[str, Any]) -> int:
    """The rank of an outcome, a record, or a row with a column `error`."""
    error = told.get("error")
    return RESULT if error is None else RETRYABLE if error.get("retryable") else FINAL


class Evidence:
    """Of one run.

    Args:
        items: how many it has; their numbers are 0, 1, 2, …
        attempts: calls of the target that one item may take; a ledger tells it itself.
    """

    def __init__(self, items: int, attempts: int = 0) -> None:
        self.history = History(items, attempts)
        self._ledgers = 0
        self._given_up = False
        self._best: dict[int, int] = {}
        self._records: list[Event] = []
        self._tries: dict[int, int] = {}  # the highest of an item's records
        self._told: list[tuple[int, int]] = []
        self._wrong: list[str] = []
        self._counts: dict[str, int] = {}
        self._calls: int | None = None

    def ledger(self, store: StateStore, item: Callable[[int], int] = int) -> None:
        """Reads ledger and spool.

        Args:
            store: the state of the run, or of one shard of it; no runner is at work on it.
            item: the number of an item from its index in this ledger.
        """
        with closing(store.open(LEDGER)) as log:
            header = next(read_ledger(log))
        told, offset = LedgerHistory(self.history, header), NEW_SENDS * self._ledgers
        self._ledgers += 1

        def take(entry: dict[str, Any]) -> None:
            self._given_up |= "gave_up" in entry
            if "s" in entry:
                entry = {**entry, "s": entry["s"] + offset}
            if "first" in entry or "i" in entry:
                entry = {**entry, "i": [item(index) for index in indexes_of(entry)]}
                entry.pop("first", None)
            told.take(entry)

        with TemporaryDirectory() as folder, closing(Slots(Path(folder) / "slots", fresh=True)) as slots:
            rebuild(store, slots, take)
            with closing(store.open(SPOOL)) as spool:
                for index, slot, line in outcomes(slots, spool):
                    outcome = json.loads(line)
                    if outcome["index"] != index:
                        self._wrong.append(f"the spool holds item {outcome['index']} in place of {index}")
                    if slot.fate != Fate.AGAIN:
                        self._told.append((item(index), RESULT if "error" not in outcome else FINAL))

    def records(
        self, found: Iterable[dict[str, Any]], item: Callable[[dict[str, Any]], int] | None = None
    ) -> None:
        """What the datastore holds now: every record, or the best of each key, as it is read.

        Args:
            found: the records, which are JSON objects.
            item: the number of a record's item; its `index` by default.
        """
        best: dict[int, int] = {}
        tries: dict[int, int] = {}
        for record in found:
            number = record["index"] if item is None else item(record)
            best[number] = max(best.get(number, 0), rank_of(record))
            tries[number] = max(tries.get(number, 0), record["try"])
        for number in self._best.keys() - best.keys():
            self._wrong.append(f"item {number} was recorded, and is no longer")
        self._best = best
        self._records.append(Event(Kind.RECORD, list(best), ranks=list(best.values())))
        self._tries = tries

    def calls(self, logs: Path, run: str, wrapper: str = "") -> None:
        """Counts the calls that came in under a run's id, by the platform's log.

        Args:
            logs: the folder of the log, HOME/logs.
            run: the run's id.
            wrapper: `owner/name/version`; empty for whatever came from outside.
        """
        self._calls = sum(
            call["run"] == run and call["algorithm"].startswith(wrapper)
            for call in logged_calls(logs)
            if call["request_id"] == call["session"] and "run" in call
        )

    def output(self, path: Path, item: Callable[[int], int] = int) -> None:
        """Reads an output: every item has one line, in order, and it is what was kept.

        Args:
            path: JSON Lines of the layout keyed.
            item: the number of an item from its index in this file.
        """
        lines = [json.loads(line) for line in path.read_bytes().splitlines()]
        numbers = [item(line["index"]) for line in lines]
        if numbers != sorted(set(numbers)):
            self._wrong.append("an item of the output is not in its place, or is there twice")
        ranks = [RESULT if "result" in line else FINAL for line in lines]
        self.acknowledged(dict(zip(numbers, ranks, strict=True)))
        for name, rank in (("succeeded", RESULT), ("failed", FINAL)):
            self._counts[name] = self._counts.get(name, 0) + ranks.count(rank)

    def acknowledged(self, told: dict[int, int]) -> None:
        """The rank of what was acknowledged of items: rows of a table, deleted messages."""
        self._told += told.items()

    def broken(self, records: bool = True) -> list[str]:
        """Judges; every rule that is broken, in words.

        Args:
            records: whether each outcome that was told has to be in the datastore.
        """
        history = self.history
        for event in self._records:
            history.take(event)
        if not self._given_up:  # what is recorded of an item that was given up has a try of its own
            for number, tries in self._tries.items():
                history.take(Event(Kind.REPLY, [number], -1, tries, [0]))
        if not self._ledgers:
            history.take(Event(Kind.SETTLE, list(self._best), ranks=list(self._best.values())))
        for number, rank in self._told:
            # Without a ledger an item may be executed again after its best record, and tell worse.
            if self._ledgers or rank >= self._best.get(number, 0):
                history.take(Event(Kind.ACKNOWLEDGE, [number], ranks=[rank]))
            history.take(Event(Kind.REPLY, [number], ranks=[rank if rank == RESULT else RETRYABLE]))
        if self._calls is not None and self._ledgers and not self._given_up:
            self._counts["calls"] = self._calls
        history.take(Event(Kind.END, counts=self._counts))
        history.close(records=records and bool(self._records))
        return [*self._wrong, *history.violations]


def logged_calls(logs: Path) -> Iterator[dict[str, Any]]:
    """The calls in a platform's log, the older file first."""
    for name in ("platform.1.jsonl", "platform.jsonl"):
        lines = (logs / name).read_bytes().splitlines() if (logs / name).exists() else []
        for line in lines:
            try:
                told = json.loads(line)
            except ValueError:  # the platform was killed while it wrote this line
                continue
            if told.get("event") == "call":
                yield told
