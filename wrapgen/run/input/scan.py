"""A look at the whole input before the first call: how many items, how large, which ids repeat.

What has to be compared over the whole input (ids, equal inputs) is compared on disk, as digests in buckets:
memory is constant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wrapgen.errors import RunError
from wrapgen.protocol import CHUNK_AIM
from wrapgen.run.scheduling.chunks import Entry

_BUCKETS = 512
_DIGEST = 16
_PLACE = 8
_PROGRESS_EVERY = 10_000
_BUFFER = 1 << 12


@dataclass(frozen=True)
class InputScan:
    """What an input holds.

    Args:
        items: how many.
        bytes: of all items as they travel.
        largest: bytes of the largest.
        sizes: how many items have up to so many bytes: a power of two to a count.
        oversize: items that are too large for a chunk and go by sideband.
        repeated: items that equal an earlier one; None where that was not asked for.
    """

    items: int
    bytes: int
    largest: int
    sizes: dict[int, int] = field(default_factory=dict)
    oversize: int = 0
    repeated: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As the ledger keeps it."""
        return {**vars(self), "sizes": {str(size): count for size, count in sorted(self.sizes.items())}}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> InputScan:
        """The reverse of `as_json`."""
        return cls(**{**content, "sizes": {int(size): n for size, n in content["sizes"].items()}})


def scan_input(
    entries: Iterable[Entry],
    folder: Path,
    *,
    aim: int = CHUNK_AIM,
    compare_items: bool = False,
    on_progress: Callable[[int], None] = lambda _: None,
) -> InputScan:
    """Reads every item once.

    Args:
        entries: all items of the run.
        folder: where the digests may go meanwhile.
        aim: bytes from which an item is oversize.
        compare_items: count equal items too.
        on_progress: told how many items have been read, now and then.

    Raises:
        RunError: a row can't be read, or an id appears twice; says where.
    """
    found = _Sizes(aim)
    with TemporaryDirectory(prefix="scan-", dir=folder) as name:
        ids, items = Buckets(Path(name), "id"), Buckets(Path(name), "item")
        waiting: list[int] = []
        for _, item, id_, _, _ in entries:
            if id_ is not None:
                ids.add(id_.encode(), found.count + len(waiting))
            if compare_items:
                items.add(item, found.count + len(waiting))
            waiting.append(len(item))
            if len(waiting) == _PROGRESS_EVERY:
                found.add(waiting)
                waiting.clear()
                on_progress(found.count)
        found.add(waiting)
        _refuse_repeated(ids)
        repeated = sum(1 for _ in items.repeated()) if compare_items else None
    return found.scan(repeated)


def scan_sizes(sizes: Iterator[int], *, aim: int, on_progress: Callable[[int], None]) -> InputScan:
    """The same for items without ids, of which only their sizes count."""
    found = _Sizes(aim)
    while some := list(islice(sizes, _PROGRESS_EVERY)):
        found.add(some)
        on_progress(found.count)
    return found.scan(None)


class _Sizes:
    """Statistics of sizes, many at a time: a few built-in functions go through them."""

    def __init__(self, aim: int) -> None:
        self.count = self._total = self._largest = self._oversize = 0
        self._aim = aim
        self._powers: Counter[int] = Counter()

    def add(self, sizes: list[int]) -> None:
        self.count += len(sizes)
        self._total += sum(sizes)
        self._powers.update(map(int.bit_length, sizes))
        self._largest = max(self._largest, *sizes, 0)
        if self._largest > self._aim:
            self._oversize += sum(size > self._aim for size in sizes)

    def scan(self, repeated: int | None) -> InputScan:
        sizes = {(1 << power) - 1: found for power, found in self._powers.items()}
        return InputScan(self.count, self._total, self._largest, sizes, self._oversize, repeated)


class Buckets:
    """Finds equal values among many, on disk.

    Args:
        folder: for its files.
        name: tells its files from others'.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self._paths = [folder / f"{name}-{number}" for number in range(_BUCKETS)]
        self._buffers = [bytearray() for _ in range(_BUCKETS)]

    def add(self, value: bytes, place: int) -> None:
        """Adds a value and where it stands."""
        digest = blake2b(value, digest_size=_DIGEST).digest()
        number = int.from_bytes(digest[:2], "big") % _BUCKETS
        buffer = self._buffers[number]
        buffer += digest
        buffer += place.to_bytes(_PLACE, "big")
        if len(buffer) > _BUFFER:
            self._flush(number)

    def repeated(self) -> Iterator[tuple[int, int]]:
        """The place of each value that equals an earlier one, and the place of the earlier one."""
        width = _DIGEST + _PLACE
        for number, path in enumerate(self._paths):
            self._flush(number)
            if not path.exists():
                continue
            seen: dict[bytes, bytes] = {}
            with path.open("rb", buffering=1 << 16) as file:
                while record := file.read(width):
                    before = seen.setdefault(record[:_DIGEST], record[_DIGEST:])
                    if before != record[_DIGEST:]:
                        yield int.from_bytes(record[_DIGEST:], "big"), int.from_bytes(before, "big")

    def _flush(self, number: int) -> None:
        if self._buffers[number]:
            with self._paths[number].open("ab") as file:
                file.write(self._buffers[number])
            self._buffers[number].clear()


def _refuse_repeated(ids: Buckets) -> None:
    found = sorted(ids.repeated())
    if not found:
        return
    place, before = found[0]
    more = f", and {len(found) - 1:,} more" if len(found) > 1 else ""
    raise RunError(
        f"row {place + 1:,} of the input has the id of row {before + 1:,}{more}",
        hint="ids must differ: choose another --id, or none to take the row's number",
    )
