"""The disk that is passed in, as the module `os`: at every effect on a file something may happen."""

from __future__ import annotations

import errno
import os


class SimOs:
    """`point`, called with an effect and its bytes, returns how many of them are done, or ends the process.

    `done` is told what was done (append, sync or cut), the file's name and size, and what is new in it.
    """

    def __init__(self, point, done) -> None:
        self.point, self.done = point, done
        self.names, self.synced = {}, {}  # by descriptor; bytes by name
        self.fdatasync = self.fsync

    def __getattr__(self, name: str):
        return getattr(os, name)

    def open(self, path, flags: int, mode: int = 0o600) -> int:
        descriptor = os.open(path, flags, mode)
        self.names[descriptor] = str(path).rpartition("/")[2]
        return descriptor

    def write(self, descriptor: int, data: bytes) -> int:
        return self._do("append", descriptor, data, os.write)

    def fsync(self, descriptor: int) -> None:
        self._do("sync", descriptor, b"-", lambda *_: None)

    def ftruncate(self, descriptor: int, size: int) -> None:
        self._do("cut", descriptor, b"-", lambda *_: os.ftruncate(descriptor, size))

    def _do(self, what: str, descriptor: int, data: bytes, do) -> int:
        name = self.names[descriptor]
        taken = self.point(f"{what} {name}", len(data))
        do(descriptor, data[:taken])
        if taken < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")
        size = os.fstat(descriptor).st_size
        self.synced[name] = size if what == "sync" else min(size, self.synced.get(name, 0))
        self.done(what, name, size, bytes(data))
        return taken
