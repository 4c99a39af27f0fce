"""The append-only file that makes a run resumable: JSON Lines, each in one write, synced before it counts.

Nothing here knows what the lines mean, except that the first is
the run's own (`"e": "run"`); that is `resume`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.ledger.store import Log, ReadableLog

_BLOCK = 1 << 16


class Ledger:
    """The ledger of one run, for appending.

    Args:
        log: where it is kept. A torn or damaged last line is cut off, and what is of no run that has begun.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        end = _whole(log) if _has_begun(log) else 0
        if end < log.size:
            log.cut(end)

    def append(self, entries: Iterable[Mapping[str, Any]], *, wait: bool = True) -> None:
        """Adds lines and syncs; returns when they are kept. No entries: no effect.

        Args:
            entries: what the lines hold.
            wait: False leaves it to a store that writes behind when they are kept.

        Raises:
            OSError: they can't be written, as on a full disk; none of them is there then.
        """
        data = b"".join(map(_line, entries))
        if not data:
            return
        end = self._log.size
        try:
            self._log.append(data)
            if wait:
                self._log.sync()
        except OSError:
            self._log.cut(end)
            raise


@dataclass
class Integrity:
    """What reading a ledger found of its digests.

    Args:
        checked: entries that match theirs.
        unchecked: entries without one, as wrapgen 0.1.0 wrote them.
        damaged: numbers of the lines that were left out: they do not match, or are no entries.
    """

    checked: int = 0
    unchecked: int = 0
    damaged: list[int] = field(default_factory=list)


def read_ledger(log: ReadableLog, integrity: Integrity | None = None) -> Iterator[dict[str, Any]]:
    """The entries of a ledger, oldest first. Constant memory.

    A last line that was cut off is left out, and so is one that does not match its digest: what it told of is
    not known to have happened, and is done again.

    Args:
        log: where it is kept.
        integrity: filled with what was found.

    Raises:
        RunError: the first entry is damaged, or one of a ledger without digests, before the last.
    """
    found = integrity or Integrity()
    if not _has_begun(log):
        return
    damaged = 0
    for number, line in enumerate(_lines(log), start=1):
        entry, checked = _parse(line, required=found.checked > 0)
        if damaged and not found.checked:
            raise _damaged(log, damaged)
        if checked and found.unchecked == 1 and number == 2:
            raise _damaged(log, 1)  # both were written at once
        if entry is None:
            damaged = number
            if line.endswith(b"\n"):
                found.damaged.append(number)
            continue
        found.checked += checked
        found.unchecked += not checked
        yield entry


def _has_begun(log: ReadableLog) -> bool:
    """Whether anything can have been sent.

    A run's first two entries are written at once, and nothing is sent before they are synced. Where the power
    was cut before, any part of them may be there, and of those with which later sessions opened.
    """
    lines = _lines(log)
    first = next(lines, None)
    if first is None or _parse(first)[0] is not None:
        return first is not None
    for number, line in enumerate(lines, start=2):
        entry = _parse(line)[0]
        tells_more = entry is not None and entry.get("e") != "open"
        if tells_more or (entry is None and number > 2 and line.endswith(b"\n")):
            return True
    return False


def _lines(log: ReadableLog) -> Iterator[bytes]:
    """The lines of a log, each with its end but for one that was cut off."""
    at, rest = 0, b""
    while block := log.read(at, _BLOCK):
        at += len(block)
        *lines, rest = (rest + block).split(b"\n")
        yield from (line + b"\n" for line in lines)
    if rest:
        yield rest


def _damaged(log: ReadableLog, number: int) -> RunError:
    return RunError(
        f"{log.name}:{number}: the ledger is damaged", hint="restore it, or start over with --fresh"
    )


def digest(data: bytes) -> str:
    """What tells whether bytes are still those that were written: 32 hexadecimal digits."""
    return blake2b(data, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """The digest of a file's content."""
    found = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            found.update(block)
    return found.hexdigest()


_MARK = b',"d":"'
_TAIL = len(_MARK) + 32 + len(b'"}\n')
"""Each line ends with the digest of the entry without it."""


def _line(entry: Mapping[str, Any]) -> bytes:
    body = json.dumps(entry, separators=(",", ":")).encode("ascii")
    return b"".join((body[:-1], _MARK, digest(body).encode("ascii"), b'"}\n'))


def _parse(line: bytes, *, required: bool = False) -> tuple[dict[str, Any] | None, bool]:
    """An entry, or None for what is none; and whether it matches its digest, which may be required."""
    body = line[:-_TAIL] + b"}"
    checked = line[-_TAIL:].startswith(_MARK)
    if (
        not line.endswith(b"\n")
        or (required and not checked)
        or (checked and line[-35:-3] != digest(body).encode("ascii"))
    ):
        return None, False
    try:
        entry = json.loads(body if checked else line)
    except (ValueError, RecursionError):
        return None, False
    return (entry if isinstance(entry, dict) else None), checked


def _whole(log: Log) -> int:
    """Bytes up to the end of the last entry, by the reader's rule: a last line that is none is cut off."""
    end = _line_end(log, log.size)
    start = _line_end(log, end - 1)
    return start if _parse(log.read(start, end - start))[0] is None else end


def _line_end(log: Log, end: int) -> int:
    """Bytes up to the end of the last line that ends before `end`."""
    while end > 0:
        start = max(0, end - _BLOCK)
        found = log.read(start, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
