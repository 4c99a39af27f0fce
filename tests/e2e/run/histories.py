"""The history of a real run: from its ledger, its output and the records in its datastore."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Any

from wrapgen.run.history import FINAL, RESULT, RETRYABLE, Event, History, Kind, LedgerHistory
from wrapgen.run.ledger.folder import Folder, folder_for
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.replay import rebuild
from wrapgen.run.ledger.store import LEDGER


def rank_of(told: dict[str, Any]) -> int:
    """The rank of an outcome or a record."""
    error = told.get("error")
    return RESULT if error is None else RETRYABLE if error.get("retryable") else FINAL


def history_of(output: Path, items: int, records: Iterable[dict[str, Any]]) -> History:
    """Judges a run that has ended.

    Args:
        output: JSON Lines of the layout keyed.
        items: how many there were.
        records: every record that was ever written, or the best of each key.
    """
    store = Folder(folder_for(output))
    with closing(store.open(LEDGER)) as log:
        header = next(read_ledger(log))
    told = LedgerHistory(items, header)
    rebuild(store, None, told.take)
    best: dict[int, int] = {}
    for record in records:
        best[record["index"]] = max(best.get(record["index"], 0), rank_of(record))
    lines = [json.loads(line) for line in output.read_bytes().splitlines()]
    ranks = [RESULT if "result" in line else FINAL for line in lines]
    history = told.history
    history.take(Event(Kind.RECORD, list(best), ranks=list(best.values())))
    history.take(Event(Kind.ACKNOWLEDGE, [line["index"] for line in lines], ranks=ranks))
    history.take(Event(Kind.END, counts={"succeeded": ranks.count(RESULT), "failed": ranks.count(FINAL)}))
    for item, rank in enumerate(ranks):  # an output line with a result has a record with one
        history.take(Event(Kind.REPLY, [item], ranks=[rank if rank == RESULT else RETRYABLE]))
    history.close(records=True)
    return history
