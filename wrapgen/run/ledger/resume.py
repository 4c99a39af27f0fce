"""Going on with a run: what changed since, which items are open, and whether they are where they were."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from wrapgen.client.proxies import is_loopback
from wrapgen.errors import RunError
from wrapgen.run.input.items import Items
from wrapgen.run.ledger.replay import FINAL
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import Log
from wrapgen.run.output.outcomes import outcomes
from wrapgen.run.scheduling.chunks import Chunk, Entry


def in_their_places(items: Items, slots: Slots, spool: Log) -> None:
    """Makes sure that a changed input has every item of which something is known where it was, by its id.

    Outcomes and records would otherwise stand under items that they are not of.

    Raises:
        RunError: an item without an id of its own, another id, or none is in the place of such an item.
    """
    hint = "--fresh starts over, into a run of its own"
    known = _known_ids(slots, spool)
    at, was = next(known, (None, ""))
    for entry in items.entries():
        if at is None:
            return
        if entry.id is None:
            raise RunError("the input changed, and its items have no ids to know them by", hint=hint)
        if entry.index == at:
            if entry.id != was:
                raise RunError(
                    f"the input has other rows: number {at + 1:,} was {was}, now it is {entry.id}", hint=hint
                )
            at, was = next(known, (None, ""))
    if at is not None:
        raise RunError(f"the input has fewer rows: number {at + 1:,}, {was}, is gone", hint=hint)


def _known_ids(slots: Slots, spool: Log) -> Iterator[tuple[int | None, str]]:
    """Index and id of every item with an outcome, in run order."""
    return ((index, json.loads(line)["id"]) for index, _, line in outcomes(slots, spool))


def send_entry(seq: int, chunk: Chunk, unix_time: float) -> dict[str, Any]:
    """What the ledger says of a send before it leaves; `indexes_of` reads it back."""
    entry: dict[str, Any] = {"e": "send", "s": seq, "w": unix_time, "t": chunk.tries + 1}
    if chunk.grant is not None and chunk.grant.cost is not None:
        entry["cost"] = chunk.grant.cost
    if chunk.contiguous:
        return {**entry, "first": chunk.indexes[0], "n": len(chunk)}
    return {**entry, "i": list(chunk.indexes)}


def unfinished(entries: Iterator[Entry], slots: Slots, least_tries: int = 0) -> Iterator[Entry]:
    """The items without a final outcome, with the attempts and at least the tries that they have had."""
    for entry in entries:
        slot = slots.get(entry.index)
        if slot.fate in FINAL:
            continue
        yield entry._replace(attempts=slot.attempts, tries=max(entry.tries, slot.tries, least_tries))


def changed(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What makes a run another than the one that a ledger tells of, in words; empty for the same."""
    changes = []
    if before["reference"] != now["reference"]:
        changes.append(f"the wrapper was {before['reference']}, now {now['reference']}")
    elif before["wrapper"]["spec"] != now["wrapper"]["spec"]:
        changes.append("the wrapper describes itself differently")
    if before["input"]["fingerprint"] != now["input"]["fingerprint"]:
        changes.append(f"the input {now['input']['name']} has other content")
    changes.extend(
        f"{what} was {before[name]}, now {now[name]}"
        for name, what in (("run", "the run"), ("address", "the platform"), ("attempts", "--attempts"))
        if before.get(name, now[name]) != now[name]
        and not (name == "address" and is_loopback(before[name]) and is_loopback(now[name]))
    )
    changes.extend(
        f"--{name} was {was!r}, now {now['selection'].get(name)!r}"
        for name, was in before["selection"].items()
        if was != now["selection"].get(name)
    )
    return changes


def other_items(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """Whether the items may be others than those that a ledger tells of."""
    same = before["input"]["fingerprint"] == now["input"]["fingerprint"]
    return not (same and before["selection"] == now["selection"])
