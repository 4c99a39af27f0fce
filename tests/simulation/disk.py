"""The disk of a simulated run: a `StateStore` that forgets what was not synced when power fails."""

from __future__ import annotations

import errno
from contextlib import contextmanager

from greenlet import getcurrent

from wrapgen.errors import RunError


class SimLog:
    """A log; every effect is a point at which its process may be killed, or the disk may be full."""

    def __init__(self, disk, name: str) -> None:
        self.disk, self.name, self.data, self.synced = disk, name, bytearray(), 0

    @property
    def size(self) -> int:
        return len(self.data)

    def append(self, data: bytes) -> int:
        offset = len(self.data)
        taken = self.disk.point(f"append {self.name}", len(data))
        self.data += data[:taken]
        if taken < len(data):
            self.disk.fail(f"append {self.name}")
        self.disk.appended(self, data)
        return offset

    def sync(self) -> None:
        if self.disk.point(f"sync {self.name}", 1) < 1:
            self.disk.fail(f"sync {self.name}")
        self.synced = len(self.data)
        self.disk.on_sync(self)

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def cut(self, size: int) -> None:
        if not getcurrent().process.dead:
            del self.data[size:]
            self.disk.on_cut(self)
            self.synced = min(self.synced, size)

    def close(self) -> None:
        pass

    def lose_power(self, random) -> None:
        """Keeps what was synced, and of the rest a part, perhaps with a torn page."""
        rest = len(self.data) - self.synced
        del self.data[self.synced + random.randint(0, rest) :]
        if random.random() < 0.3 and (torn := len(self.data) - self.synced):
            at = self.synced + random.randrange(torn)
            self.data[at : at + 64] = bytes(len(self.data[at : at + 64]))
        self.synced = len(self.data)


class SimDisk:
    """A `StateStore`.

    Args:
        scratch: a real folder for what is derived.
        point: called with every effect and its bytes; returns how many of them are done. May end the process.
        on_append: told every entry of a log, with its bytes, once it is written.
        on_sync, on_cut: called with a log that has been synced, or cut.
    """

    name = "simulated"
    writes_behind = False

    def __init__(self, scratch, point, on_append, on_sync, on_cut) -> None:
        self.scratch, self.point, self.appended, self.on_sync = scratch, point, on_append, on_sync
        self.on_cut = on_cut
        self.logs: dict[str, SimLog] = {}
        self.holder = None

    def fail(self, what: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", what)

    def open(self, log: str, *, write: bool = False) -> SimLog:
        found = self.logs.get(log) or SimLog(self, log)
        if write:
            self.logs[log] = found
        return found

    def has(self, log: str) -> bool:
        return log in self.logs

    @contextmanager
    def locked(self):
        if self.busy():
            raise RunError("another runner is at work", hint="wait for it to end")
        self.holder = getcurrent().process
        try:
            yield
        finally:
            if self.holder is getcurrent().process:
                self.holder = None

    def busy(self) -> bool:
        return self.holder is not None and not self.holder.dead

    @contextmanager
    def provisional(self):
        yield

    def clear(self) -> None:
        self.logs.clear()
