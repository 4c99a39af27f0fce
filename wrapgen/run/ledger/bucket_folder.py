"""The folder of a run whose logs are in a bucket: a copy of them here, made from the bucket each time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from wrapgen.errors import RunError, UsageError
from wrapgen.run.bucket import Bucket, is_remote
from wrapgen.run.ledger.bucket_log import LEASE, LOGS, NumberedObjects
from wrapgen.run.ledger.folder import ORIGIN, SUFFIX, FileLog, Folder
from wrapgen.run.ledger.store import LEDGER, Log


class BucketLog(FileLog):
    """A log in a bucket: what is appended goes to its copy here, and there.

    Args:
        path: the copy.
        objects: where it goes.
    """

    def __init__(self, path: Path, objects: NumberedObjects) -> None:
        super().__init__(path, write=True)
        self._log, self._objects = path.stem, objects

    def append(self, data: bytes) -> int:
        """Adds bytes, which are there after a `sync`, and soon without."""
        offset = super().append(data)
        if data:
            self._objects.append(self._log, offset, data)
        return offset

    def sync(self) -> None:
        """Returns when everything appended to any log of the run is in the bucket."""
        self._objects.sync()

    def cut(self, size: int) -> None:
        """Takes away everything from here on."""
        shorter = size < self.size
        super().cut(size)
        if shorter:
            self._objects.append(self._log, size, b"")


@dataclass(frozen=True)
class BucketFolder(Folder):
    """The state of a run in a bucket, and a folder of this machine with a copy of it; a `StateStore`."""

    objects: NumberedObjects
    writes_behind = True

    def open(self, log: str, *, write: bool = False) -> Log:
        """One of the logs."""
        if not write:
            return super().open(log)
        if log == LEDGER:
            self.objects.keep(self.input)
        return BucketLog(self._file(log), self.objects)

    def has(self, log: str) -> bool:
        """Whether something is in such a log."""
        file = self._file(log)
        return file.exists() and file.stat().st_size > 0

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Owns the state; see `NumberedObjects.claim`."""
        with super().locked():
            self.objects.claim()
            try:
                yield
            finally:
                self.objects.release()

    def confirm(self) -> None:
        """Writes the next number, which another owner would have taken."""
        self.objects.confirm()

    def clear(self) -> None:
        """Makes every log empty; the objects of the past stay, as their numbers are taken for good."""
        super().clear()
        for log in LOGS:
            self.objects.append(log, 0, b"")


@contextmanager
def open_state(
    name: str | Path, *, take_over: bool = False, on_wait: Callable[[str], None] = lambda _: None
) -> Iterator[Folder]:
    """The folder of a run, or the prefix of a bucket with a copy of it while the block runs.

    Args:
        name: path or URL.
        take_over, on_wait: see `NumberedObjects`.

    Raises:
        UsageError: the URL names no prefix of a bucket, or a library for it is missing.
        RunError: the bucket can't be read, or what is there is damaged.
    """
    if not is_remote(name):
        yield Folder(Path(name))
        return
    if not urlsplit(str(name)).path.strip("/"):
        raise UsageError(f"{name} is a whole bucket", hint="name a prefix, such as s3://bucket/runs/monday")
    with TemporaryDirectory(prefix="wrapgen-state-") as scratch:
        folder = Path(scratch)
        objects = NumberedObjects(Bucket(str(name)), folder, take_over=take_over, on_wait=on_wait)
        (folder / ORIGIN).write_text(objects.name, encoding="utf-8")
        objects.fetch()
        yield BucketFolder(folder, objects)


@contextmanager
def state_to_read(name: str, on_wait: Callable[[str], None] = lambda _: None) -> Iterator[Path]:
    """A copy of the state at a URL, or beside the output of that URL, while the block runs.

    The copy is locked while the runner that owns the state shows signs of life.

    Raises:
        RunError, UsageError: as `open_state`, or there is no run.
    """
    with ExitStack() as stack:
        for url in (name, name.rstrip("/") + SUFFIX):
            found = stack.enter_context(open_state(url, on_wait=on_wait))
            if isinstance(found, BucketFolder) and found.has(LEDGER):
                if found.objects.alive(LEASE / 2):
                    stack.enter_context(Folder(found.path).locked())
                yield found.path
                return
    raise RunError(f"there is no run in {name}", hint="name its --state, or its output")
