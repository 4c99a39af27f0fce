"""Settling: the many objects of a finished run become a few merged ones and a manifest.

Every order of events is safe, because reading takes the union of whatever objects there are: the merged
objects are written first, then read back and compared, then the manifest is written, and only then are the
superseded objects removed. Killed anywhere, nothing is lost, and settling again finishes the work.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from wrapgen.errors import NotFound, RecordsUnreadable
from wrapgen.records.collected import Collected
from wrapgen.records.objects import Progress, RecordStore, collect, run_of

MERGED_BYTES = 16_000_000
"""Bytes that a merged object aims at."""


@dataclass(frozen=True)
class SettledRun:
    """What settling a run did.

    Args:
        run: the run, as its objects are named.
        keys: records that are left, one per key.
        retryable: keys among them whose best is a retryable error: the run may not be finished.
        objects: names of the merged objects.
        removed: how many superseded objects were removed.
    """

    run: str
    keys: int
    retryable: int
    objects: tuple[str, ...]
    removed: int


def settle(store: RecordStore, url: str, run: str, *, progress: Progress | None = None) -> SettledRun:
    """Compacts one run's objects.

    Args:
        store: the data service; its key must be allowed to write.
        url: the collection or the connector's folder.
        run: the run, as its objects are named (`none` for records without a run).
        progress: told how far the reading is.

    Raises:
        NotFound: there is no such folder, or it holds no records of this run.
        RecordsUnreadable: an object holds something else than records; nothing was removed.
        PlatformError: the data service refuses or does not answer; nothing is lost, settle again.
    """
    base = url.rstrip("/")
    with Collected() as collected:
        known = collect(store, base, collected, objects_of=run, progress=progress)
        if not known:
            raise NotFound(f"{base} holds no records of the run {run}")
        written = []
        for number, body in enumerate(_bodies(collected.ordered())):
            name = f"{run}-settled-{number:06d}-{hashlib.sha256(body).hexdigest()[:12]}.jsonl"
            written.append(_written(store, f"{base}/{name}", body))
        tally = collected.tally()
    manifest = {
        "run": run,
        "records": tally.keys,
        "results": tally.results,
        "errors": tally.errors,
        "retryable": tally.retryable,
        "objects": written,
    }
    store.put(f"{base}/{manifest_name(run)}", (json.dumps(manifest, indent=2) + "\n").encode("ascii"))
    kept = {entry["name"] for entry in written}
    removed = sum(_remove(store, f"{base}/{name}") for name in known if name not in kept)
    return SettledRun(run, tally.keys, tally.retryable, tuple(sorted(kept)), removed)


def runs(store: RecordStore, url: str) -> list[str]:
    """The runs that have objects under a URL, as their objects are named."""
    owners = {run_of(entry.name) for entry in store.files(url.rstrip("/"))}
    return sorted(owner for owner in owners if owner is not None)


def manifest_name(run: str) -> str:
    """The file that lists a settled run's merged objects with their digests."""
    return f"{run}-manifest.json"


def _bodies(lines: Iterator[bytes]) -> Iterator[bytes]:
    """Joins lines to bodies of about the size of a merged object; the same lines give the same bodies."""
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        waiting.append(line)
        size += len(line) + 1
        if size >= MERGED_BYTES:
            yield b"\n".join(waiting) + b"\n"
            waiting, size = [], 0
    if waiting:
        yield b"\n".join(waiting) + b"\n"


def _written(store: RecordStore, where: str, body: bytes) -> dict[str, Any]:
    """Writes a merged object and reads it back, so that nothing is removed on faith; its manifest entry."""
    store.put(where, body)
    if store.read(where) != body:
        raise RecordsUnreadable(where=where, reason="what was written reads back differently")
    return {
        "name": where.rpartition("/")[2],
        "records": body.count(b"\n"),
        "bytes": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }


def _remove(store: RecordStore, where: str) -> int:
    """Removes an object; returns 0 if it is gone already."""
    try:
        store.delete(where)
    except NotFound:
        return 0
    return 1
