"""Records in a data URL: the union of a run's objects, read as streams.

A data URL is an object store without append, so each write of a wrapper is a new object, named from run,
first index, a digest, try and part. Settling adds merged objects and a manifest. Reading never needs the
manifest: whatever objects there are, their union by precedence is the answer.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from itertools import islice
from typing import Protocol

from wrapgen.errors import NotFound, RecordsUnreadable
from wrapgen.records.collected import Collected
from wrapgen.records.record import read

PART = re.compile(r"(?P<run>[A-Za-z0-9_-]+)-\d{12,}-[0-9a-f]{12}-t\d+-p\d+\.jsonl(?:\.gz)?\Z")
"""Names of the objects that wrappers write."""

MERGED = re.compile(r"(?P<run>[A-Za-z0-9_-]+)-settled-\d{6,}-[0-9a-f]{12}\.jsonl\Z")
"""Names of the objects that settling writes."""

PARALLEL = 8
"""Objects fetched at once."""

SMALL = 8_500_000
"""Bytes up to which an object is fetched whole; larger ones are streamed one at a time."""

BATCH = 1000
"""Records brought together at once."""

Progress = Callable[[int, int], None]
"""Told how many objects were read and how many are known."""


class RecordFile(Protocol):
    """A file in a listing: its name in the folder, and its size in bytes."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int: ...


class RecordStore(Protocol):
    """What reading and settling need of a data service; `DataCalls` of the client has it."""

    def files(self, url: str) -> Iterable[RecordFile]:
        """Every file of a folder."""

    def read(self, url: str) -> bytes:
        """A whole file; raises NotFound."""

    def stream(self, url: str) -> AbstractContextManager[Iterator[bytes]]:
        """A file in parts; raises NotFound."""

    def put(self, url: str, body: bytes) -> None:
        """Writes a whole file at once."""

    def delete(self, url: str) -> None:
        """Removes a file; raises NotFound."""


def run_of(name: str) -> str | None:
    """The run that an object's name says; None for a file that holds no records."""
    match = PART.match(name) or MERGED.match(name)
    return match["run"] if match is not None else None


def collect(
    store: RecordStore,
    url: str,
    into: Collected,
    *,
    run: str | None = None,
    objects_of: str | None = None,
    progress: Progress | None = None,
) -> tuple[str, ...]:
    """Brings every record under a data URL together.

    Somebody may settle the run meanwhile: an object that is gone when it is to be read has been merged into
    others, which the next look at the listing finds.

    Args:
        store: the data service.
        url: a collection or a connector's folder, or one object in it.
        into: takes the records.
        run: only this run's records.
        objects_of: every record in the objects that are named after this run.
        progress: told how far it is.

    Returns:
        the names of the objects that hold records.

    Raises:
        NotFound: there is no such folder.
        RecordsUnreadable: an object holds something else than records.
    """
    base = url.rstrip("/")
    if run_of(base.rpartition("/")[2]) is not None:
        if _collect_all(store, [(base, SMALL + 1)], into, run, lambda _: None):
            raise NotFound(f"there is no {base}")
        return (base.rpartition("/")[2],)
    named = objects_of or run
    done: set[str] = set()
    while True:
        waiting, gone = [], []
        for entry in store.files(base):
            owner = run_of(entry.name)
            if owner is not None and entry.name not in done and named in (None, owner):
                waiting.append((f"{base}/{entry.name}", entry.size))
        names = [where.rpartition("/")[2] for where, _ in waiting]
        before = len(done)

        def tell(count: int, before: int = before, known: int = len(names)) -> None:
            if progress is not None:
                progress(before + count, before + known)

        gone = _collect_all(store, waiting, into, run, tell)
        done.update(names)
        if not gone:
            return tuple(sorted(done))


def _collect_all(
    store: RecordStore,
    waiting: list[tuple[str, int]],
    into: Collected,
    run: str | None,
    tell: Callable[[int], None],
) -> list[str]:
    """Reads objects; returns the addresses of those that were gone."""
    gone: list[str] = []
    small = [where for where, size in waiting if size <= SMALL]
    count = 0
    for where, body in _fetched(store, small):
        if body is None:
            gone.append(where)
        else:
            _add(_lines([body], where), where, into, run)
        count += 1
        tell(count)
    for where, size in waiting:
        if size > SMALL:
            try:
                with store.stream(where) as parts:
                    _add(_lines(parts, where), where, into, run)
            except NotFound:
                gone.append(where)
            count += 1
            tell(count)
    return gone


def _fetched(store: RecordStore, addresses: list[str]) -> Iterator[tuple[str, bytes | None]]:
    """Whole bodies, some at once; None for an object that is gone."""

    def fetch(where: str) -> tuple[str, bytes | None]:
        try:
            return where, store.read(where)
        except NotFound:
            return where, None

    rest = iter(addresses)
    with ThreadPoolExecutor(PARALLEL) as threads:
        while window := list(islice(rest, PARALLEL)):
            yield from threads.map(fetch, window)


MOST_OF_A_LINE = 64 * 1024**2
"""Bytes that a record may have: an input and a result are a few megabytes each."""


def _lines(parts: Iterable[bytes], where: str) -> Iterator[bytes]:
    """The lines of a body, without line ends; unzips what is named so."""
    if where.endswith(".gz"):
        parts = _unzipped(parts, where)
    begun: list[bytes] = []  # the parts of a line whose end has not come
    size = 0
    for part in parts:
        first, *more = part.split(b"\n")
        begun.append(first)
        size += len(first)
        if size > MOST_OF_A_LINE:
            raise RecordsUnreadable(where=where, reason=f"a line has more than {MOST_OF_A_LINE:,} bytes")
        if more:
            yield b"".join(begun)
            yield from more[:-1]
            begun, size = more[-1:], len(more[-1])
    if size:
        yield b"".join(begun)


def _unzipped(parts: Iterable[bytes], where: str) -> Iterator[bytes]:
    unzip = zlib.decompressobj(wbits=31)
    try:
        for part in parts:
            content = unzip.decompress(part, 1 << 20)
            while content:
                yield content
                content = unzip.decompress(unzip.unconsumed_tail, 1 << 20)
    except zlib.error as error:
        raise RecordsUnreadable(where=where, reason="it is not gzip") from error
    if not unzip.eof:
        raise RecordsUnreadable(where=where, reason="it is cut off")


def _add(lines: Iterator[bytes], where: str, into: Collected, run: str | None) -> None:
    numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
    read_ones = (((read(line, f"{where} line {number}"))[0], line) for number, line in numbered)
    wanted = ((rank, line) for rank, line in read_ones if run is None or rank.run == run)
    while batch := list(islice(wanted, BATCH)):
        into.add(batch)
