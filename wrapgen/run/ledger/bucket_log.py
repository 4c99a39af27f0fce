"""The state of a run in a bucket: numbered objects, each written whole, once, by the run's one owner.

A number is taken by a conditional write. A runner that takes the run over writes the next one, and the owner
before finds it taken, whatever it has missed: it stops, and nothing that it did since counts. No clock of any
machine decides that; a lease only keeps a new owner waiting while the old one shows signs of life. An object
holds what was appended to all logs since the one before, so none of them is ever ahead of another.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from random import random
from typing import Any, cast
from uuid import uuid4

from wrapgen.errors import RunError, TakenOver
from wrapgen.files import open_file
from wrapgen.run.bucket import Bucket
from wrapgen.run.ledger.ledger import digest, digest_of
from wrapgen.run.ledger.store import CORRECTIONS, LEDGER, SPOOL

LEASE = 20.0
"""Seconds without a sign of life, by the clock of who waits, after which an owner may be replaced."""

PATIENCE = 120.0
"""Seconds that a write is tried again for, while the bucket can't be reached or refuses."""

LOGS = (LEDGER, SPOOL, CORRECTIONS)
"""The logs that objects hold bytes of."""

_GATHER = 0.1  # seconds that appended bytes wait for more, unless something waits for them
_LAST = 10.0  # seconds that the end of the ownership is tried to be written for
_MOST = 4 << 20  # bytes of an object
_TOGETHER = 16  # objects that are read at once
_NUMBER = re.compile(r"\d{10}\Z")
_REACH = "see that the bucket is there, and that its credentials may read, list and write"


@dataclass(frozen=True)
class LogPart:
    """Bytes of a log from an offset on; what was there from it on is cut off."""

    log: str
    offset: int
    data: bytes


class NumberedObjects:
    """The objects of one state: copies them into a folder, and writes the next ones as their owner.

    Args:
        bucket: where they are.
        folder: of this machine; the logs are copied there.
        take_over: don't wait to see whether the last owner shows signs of life.
        lease: seconds of the lease.
        patience: seconds that one write is tried again for.
        on_wait: told, once, that a last owner is watched.
    """

    def __init__(
        self,
        bucket: Bucket,
        folder: Path,
        *,
        take_over: bool = False,
        lease: float = LEASE,
        patience: float = PATIENCE,
        on_wait: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.name = bucket.name
        self._bucket, self._folder = bucket, folder
        self._take_over, self._lease, self._patience, self._on_wait = take_over, lease, patience, on_wait
        self._next, self._last = 1, cast("dict[str, Any]", {"epoch": 0, "released": True})
        self._kept = ""  # the copy of the input that the last owners had
        self._owner = uuid4().hex
        self._epoch = 0
        self._lost = ""  # who owns the state instead
        self._turn, self._lock = threading.RLock(), threading.Lock()
        self._parts: deque[LogPart] = deque()
        self._sealed: bytes | None = None
        self._ended = threading.Event()

    def fetch(self) -> None:
        """Copies what was written since the last time.

        Raises:
            RunError: an object is missing or damaged, or the bucket can't be read.
        """
        try:
            numbers = [int(name) for name in self._bucket.names() if _NUMBER.match(name)]
            last = numbers[-1] if numbers else 0
            if len(numbers) != last:
                raise _damaged(self.name, next(n for n in range(1, last + 1) if n not in set(numbers)))
            while self._next <= last:
                some = range(self._next, min(last + 1, self._next + _TOGETHER))
                for number, data in zip(some, self._bucket.read([_name(n) for n in some]), strict=True):
                    self._copy(number, data or b"")
                    self._next = number + 1
        except OSError as error:
            raise RunError(
                f"the state {self.name} can't be read: {error.strerror or error}", hint=_REACH
            ) from error

    def _copy(self, number: int, data: bytes) -> None:
        head, _, body = data.partition(b"\n")
        at = 0
        try:
            facts = json.loads(head)
            if facts["d"] != digest(body):
                raise ValueError(number)
            for log, offset, length in facts["parts"]:
                path = self._folder / f"{LOGS[LOGS.index(log)]}.jsonl"
                with os.fdopen(open_file(path, os.O_RDWR | os.O_CREAT), "r+b") as file:
                    if offset > file.seek(0, os.SEEK_END):
                        raise ValueError(number)
                    file.truncate(offset)
                    file.seek(offset)
                    file.write(body[at : at + length])
                at += length
            kept = str(facts.get("input", self._kept))
            self._last = {
                **{name: int(facts[name]) for name in ("epoch", "pid")},
                **{name: str(facts[name]) for name in ("who", "machine")},
                "released": facts["released"] is True,
            }
        except (LookupError, TypeError, ValueError, RecursionError) as error:
            raise _damaged(self.name, number) from error
        if kept != self._kept:
            self._bucket.download(f"input-{kept}", self._folder / "input")
            self._kept = kept

    def claim(self) -> None:
        """Makes this process the owner; what the last one wrote is copied.

        Raises:
            RunError: the last owner is alive, or the bucket can't be used, as without conditional writes.
        """
        if self._epoch:
            return
        while not self._epoch:
            self._refuse_living_owner()
            self._epoch = int(self._last["epoch"]) + 1
            claimed = self._object([])
            try:
                self._put(claimed)
            except TakenOver:  # something was written since this one looked
                self._epoch, self._lost = 0, ""
                self.fetch()
            except OSError as error:
                self._epoch = 0
                raise RunError(
                    f"the state {self.name} can't be written: {error.strerror or error}", hint=_REACH
                ) from error
        self._refuse_unconditional(claimed)
        for work in (self._write_behind, self._show_life):
            threading.Thread(target=work, name="wrapgen-state", daemon=True).start()

    def _refuse_living_owner(self) -> None:
        if self._last["released"] or self._take_over:
            return
        if self.alive(self._lease):
            raise RunError(
                f"another runner is at work in {self.name} ({self._last['who']})",
                hint="wait for it to end, or add --take-over: it stops at its next write",
            )

    def alive(self, seconds: float) -> bool:
        """Whether the last owner shows a sign of life within some seconds."""
        if self._last["released"] or _is_dead(self._last):
            return False
        self._on_wait(
            f"watching for up to {seconds:.0f} s whether {self._last['who']} is at work in {self.name}"
        )
        before, until = self._signs(), time.monotonic() + seconds
        while time.monotonic() < until:
            if self._ended.wait(self._lease / 40) or self._signs() != before:
                return True
        return False

    def _signs(self) -> list[bytes | None]:
        with suppress(OSError):
            return self._bucket.read([_name(self._next), f"alive-{self._last['epoch']}"])
        return []

    def _refuse_unconditional(self, claimed: bytes) -> None:
        """A bucket that takes the same number twice would take it from two owners; no fault tells that."""
        until, pause = time.monotonic() + self._patience, 0.05
        while True:
            try:
                self._bucket.create(_name(self._next - 1), claimed)
                break
            except OSError as error:
                if isinstance(error, FileExistsError) or error.errno == errno.EINVAL:  # s3fs of a bare 412
                    return
                if isinstance(error, PermissionError) or time.monotonic() > until:
                    self.release()
                    why = error.strerror or error
                    raise RunError(f"the state {self.name} can't be written: {why}", hint=_REACH) from error
            pause = _wait(pause)
        self.release()
        raise RunError(
            f"{self.name} ignores conditional writes (If-None-Match), so two machines could own one run",
            hint="keep the state in a bucket that has them, or in a folder",
        )

    def append(self, log: str, offset: int, data: bytes) -> None:
        """Takes bytes of a log, which are written soon; no bytes: cuts it off.

        Raises:
            TakenOver: another owner writes by now.
        """
        if not self._epoch:
            self.claim()
        with self._lock:
            self._parts.append(LogPart(log, offset, data))
        self._check()

    def sync(self) -> None:
        """Returns when everything that was appended is written.

        Raises:
            TakenOver: another owner writes by now.
            OSError: the bucket can't be reached, or refuses.
        """
        with self._turn:
            while data := self._sealed or self._seal():
                self._sealed = data  # as long as nothing is known of it, nothing else gets its number
                self._put(data)
                self._sealed = None
        self._check()

    def confirm(self) -> None:
        """Proves that this process still owns the state; raises as `sync`."""
        with self._turn:
            self.sync()
            self._put(self._object([]))

    def keep(self, path: Path) -> None:
        """Keeps the copy of an input that can't be read again, if there is one that is not kept."""
        kept = digest_of(path) if path.exists() else self._kept
        if kept != self._kept:
            self.sync()
            self._bucket.upload(path, f"input-{kept}")
            with self._turn:
                self._put(self._object([], input=kept))
            self._kept = kept

    def release(self) -> None:
        """Ends the ownership, if it is still this process's."""
        self._ended.set()
        self._patience = min(self._patience, _LAST)
        if self._epoch and not self._lost:
            with suppress(OSError, TakenOver), self._turn:
                self.sync()
                self._put(self._object([], released=True))
            log = self._folder / "processes.log"
            with suppress(OSError):
                if log.exists() and log.stat().st_size:
                    self._bucket.upload(log, f"processes-{self._epoch}.log")
        self._epoch, self._ended = 0, threading.Event()

    def _seal(self) -> bytes | None:
        """The next object, of as many bytes as fit; None for nothing."""
        found: list[LogPart] = []
        size = 0
        with self._lock:
            while self._parts and size < _MOST:
                part, room = self._parts.popleft(), _MOST - size
                if len(part.data) > room:
                    rest = LogPart(part.log, part.offset + room, part.data[room:])
                    self._parts.appendleft(rest)
                    part = LogPart(part.log, part.offset, part.data[:room])
                size += len(part.data)
                found.append(part)
        return self._object(found) if found else None

    def _object(self, parts: list[LogPart], *, released: bool = False, **more: str) -> bytes:
        body = b"".join(part.data for part in parts)
        facts = {
            "owner": self._owner,
            "epoch": self._epoch,
            "who": f"{socket.gethostname()}, process {os.getpid()}",
            "machine": _machine(),
            "pid": os.getpid(),
            "released": released,
            "parts": [[part.log, part.offset, len(part.data)] for part in parts],
            "d": digest(body),
            **more,
        }
        return json.dumps(facts, separators=(",", ":")).encode("ascii") + b"\n" + body

    def _put(self, data: bytes) -> None:
        """Writes the next object. An answer may be lost: what stands there says whose write it was."""
        name, until, pause = _name(self._next), time.monotonic() + self._patience, 0.05
        while True:
            self._check()
            try:
                self._bucket.create(name, data)
                break
            except OSError as error:
                found = self._found(name)
                if found == data:
                    break
                if found is not None:
                    self._lose(found)
                final = isinstance(error, (PermissionError, FileNotFoundError))
                if final or time.monotonic() > until:
                    raise
            pause = _wait(pause)
        self._next += 1

    def _found(self, name: str) -> bytes | None:
        with suppress(OSError):
            return self._bucket.read([name])[0]
        return None

    def _lose(self, found: bytes) -> None:
        who = "another runner"
        with suppress(LookupError, ValueError):
            who = str(json.loads(found.partition(b"\n")[0])["who"])
        self._lost = who
        self._check()

    def _check(self) -> None:
        if self._lost:
            raise TakenOver(name=self.name, who=self._lost)

    def _write_behind(self) -> None:
        """Writes what nothing waits for."""
        ended = self._ended
        while not ended.wait(_GATHER) and not self._lost:
            with suppress(OSError, TakenOver):  # the next who waits for a write is told
                if self._parts:
                    self.sync()

    def _show_life(self) -> None:
        """Shows signs of life, however long a write takes, and looks whether this is still the owner."""
        ended, beats = self._ended, 0
        while not ended.wait(self._lease / 4) and not self._lost:
            beats += 1
            with suppress(OSError, TakenOver):
                self._bucket.write(f"alive-{self._epoch}", b"%d" % beats)
                if self._turn.acquire(blocking=False):
                    try:
                        found = None if self._sealed else self._found(_name(self._next))
                        if found is not None:
                            self._lose(found)
                    finally:
                        self._turn.release()


def _wait(pause: float) -> float:
    """Waits for about so many seconds; how many it is the next time."""
    time.sleep(pause * (0.5 + random()))  # noqa: S311  # no secret
    return min(2 * pause, 5.0)


def _name(number: int) -> str:
    return f"{number:010d}"


def _damaged(name: str, number: int) -> RunError:
    return RunError(
        f"{name}: object {_name(number)} of the state is missing or damaged",
        hint="restore it, or start over in another --state",
    )


def _machine() -> str:
    """What tells this machine, since it was started, and its numbering of processes from others."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    return uuid4().hex


def _is_dead(owner: dict[str, Any]) -> bool:
    """Whether an owner was a process of this machine that has ended."""
    if owner["machine"] != _machine():
        return False
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
