"""The states of all shards of a run become the state of that run: one ledger and one spool.

The entries of all shards stand in one ledger in the order of time, as one runner would have written them.
Memory is constant: a line of each shard is held.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from operator import itemgetter
from typing import Any

from wrapgen.files import rename
from wrapgen.run.input.scan import InputScan
from wrapgen.run.input.shards import Shard
from wrapgen.run.ledger.folder import Folder
from wrapgen.run.ledger.ledger import Ledger, read_ledger
from wrapgen.run.ledger.replay import RunState
from wrapgen.run.ledger.store import CORRECTIONS, LEDGER, SPOOL, Log, StateStore
from wrapgen.run.scheduling.replies import LossKind

_BLOCK = 1 << 20
_TOGETHER = 2000

_UNFINISHED = "merging"
"""The log that becomes the ledger once all of it is there."""

_POINTS_INTO = {"done": SPOOL, "equal": SPOOL, "reopened": CORRECTIONS}
"""The log in which an entry of a kind tells a place."""


@dataclass(frozen=True)
class FinishedShard:
    """The state of a shard that is complete.

    Args:
        store: where it is.
        state: what its ledger tells.
        shard: which it is.
    """

    store: StateStore
    state: RunState
    shard: Shard

    @property
    def rows(self) -> range:
        """The run indexes of its items."""
        return self.shard.rows(int(self.state.header["input"]["rows"]))

    def as_json(self) -> dict[str, Any]:
        """What the merged run keeps of it."""
        state, ended = self.state, (self.state.end or {}).get("at")
        facts = {"shard": str(self.shard), "first": self.rows.start, "items": len(self.rows)}
        facts["wrapper_digest"] = state.header["wrapper"].get("digest")
        times = {"started_at": state.header["at"], "ended_at": ended}
        return {**facts, "calls": state.calls, "sessions": state.sessions, **times}


@dataclass(frozen=True)
class _UnopenedLedger:
    """A ledger that is open only while it is read: a process may not have as many files open as shards."""

    store: StateStore

    @property
    def name(self) -> str:
        """For messages."""
        return self.store.name

    def read(self, offset: int, length: int) -> bytes:
        """A stretch."""
        with closing(self.store.open(LEDGER)) as log:
            return log.read(offset, length)


def write_state(shards: Sequence[FinishedShard], folder: Folder) -> None:
    """Writes the state of the whole run into a folder: its ledger is there once all of it is.

    Args:
        shards: all of them, in their order.
        folder: what is in it is removed.
    """
    folder.clear()
    starts: dict[str, list[int]] = {}
    for name in (SPOOL, CORRECTIONS):
        if not any(one.store.has(name) for one in shards):
            starts[name] = [0] * len(shards)
            continue
        with closing(folder.open(name, write=True)) as log:
            starts[name] = [_copy(one, name, log) for one in shards]
            log.sync()
    streams = [
        _retold(one, {name: starts[name][at] for name in starts}, shards) for at, one in enumerate(shards)
    ]
    earliest = min(shards, key=lambda one: str(one.state.header["at"]))
    # What is written behind has no names to change; what is there of it is known by its sums.
    name = LEDGER if folder.writes_behind else _UNFINISHED
    with closing(folder.open(name, write=True)) as log:
        log.cut(0)
        ledger = Ledger(log)
        with closing(earliest.store.open(LEDGER)) as first:
            ledger.append([_of_all(next(read_ledger(first)), shards)])
        entries = _in_order_of_time(streams)
        while some := list(islice(entries, _TOGETHER)):
            ledger.append(some)
    if name != LEDGER:
        rename(folder.path / f"{name}.jsonl", folder.ledger)


def _copy(one: FinishedShard, name: str, to: Log) -> int:
    """Appends a log of a shard, as far as its ledger counts it; where it starts."""
    start = to.size
    with closing(one.store.open(name)) as log:
        size = one.state.spool_end if name == SPOOL else log.size
        for at in range(0, size, _BLOCK):
            to.append(log.read(at, min(_BLOCK, size - at)))
    return start


def _of_all(facts: dict[str, Any], shards: Sequence[FinishedShard]) -> dict[str, Any]:
    """The facts of a shard's run as those of the whole."""
    scans = [InputScan.from_json(one.state.header["survey"]) for one in shards]
    sizes: Counter[int] = Counter()
    for scan in scans:
        sizes.update(scan.sizes)
    survey = InputScan(
        items=sum(scan.items for scan in scans),
        bytes=sum(scan.bytes for scan in scans),
        largest=max(scan.largest for scan in scans),
        sizes=dict(sizes),
        oversize=sum(scan.oversize for scan in scans),
    )
    told = {name: value for name, value in facts["input"].items() if name not in ("shard", "rows")}
    parts = [one.as_json() for one in shards]
    return {**facts, "input": told, "survey": survey.as_json(), "shards": parts}


def _in_order_of_time(streams: Sequence[Iterator[tuple[float, dict[str, Any]]]]) -> Iterator[dict[str, Any]]:
    """The entries of all shards; a session lasts as long as any shard is at work."""
    at_work = 0
    for _, entry in heapq.merge(*streams, key=itemgetter(0)):
        if entry["e"] == "open":
            at_work += 1
            if at_work > 1:
                continue
        elif entry["e"] in ("end", "killed"):
            at_work -= 1
            if at_work or entry["e"] == "killed":
                continue
        yield entry


def _retold(
    one: FinishedShard, starts: Mapping[str, int], shards: Sequence[FinishedShard]
) -> Iterator[tuple[float, dict[str, Any]]]:
    """The entries of a shard with their moments, as they stand in the ledger of the whole run.

    Sends have numbers of their own there. One without an answer is lost when its session ended, since other
    shards go on; so is the end of a session that was killed.
    """
    moment, at_work, unanswered = 0.0, False, set[int]()
    for entry in islice(read_ledger(_UnopenedLedger(one.store)), 1, None):
        kind = entry["e"]
        if at_work and kind in ("open", "changed"):
            yield from ((moment, lost) for lost in _abandoned(one, unanswered, moment))
            yield moment, {"e": "killed"}
            at_work = False
        unanswered.clear() if kind == "open" else None
        moment = max(moment, _moment(entry, moment))
        at_work = kind == "open" or (at_work and kind != "end")
        if kind in ("unsent", "lost", "done"):
            if entry["s"] not in unanswered:
                continue  # of a send whose entry was damaged
            unanswered.remove(entry["s"])
        elif kind == "send":
            unanswered.add(entry["s"])
        if kind != "output":
            yield moment, _renumbered(entry, one, starts, shards)


def _renumbered(
    entry: dict[str, Any], one: FinishedShard, starts: Mapping[str, int], shards: Sequence[FinishedShard]
) -> dict[str, Any]:
    found = _of_all(entry, shards) if entry["e"] == "changed" else dict(entry)
    if "s" in found:
        found["s"] = found["s"] * one.shard.of + one.shard.index
    if found["e"] in _POINTS_INTO:
        found["at"] += starts[_POINTS_INTO[found["e"]]]
    found.pop("damaged", None)
    return found


def _abandoned(one: FinishedShard, sends: set[int], moment: float) -> Iterator[dict[str, Any]]:
    for send in sorted(sends):
        yield {
            "e": "lost",
            "s": send * one.shard.of + one.shard.index,
            "w": moment,
            "fault": LossKind.LOST.value,
            "type": "ConnectionError",
            "message": f"shard {one.shard} was killed before the answer came",
        }


def _moment(entry: Mapping[str, Any], before: float) -> float:
    if entry["e"] in ("open", "end", "changed"):
        return datetime.fromisoformat(str(entry["at"]).replace("Z", "+00:00")).timestamp()
    return float(entry.get("w", before))
