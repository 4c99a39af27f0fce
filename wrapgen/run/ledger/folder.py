"""The folder of a run: where its files are, and the lock so that only one runner works in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from wrapgen.errors import RunError, UsageError
from wrapgen.files import make_folder, open_file
from wrapgen.run.ledger.ledger import read_ledger
from wrapgen.run.ledger.store import CORRECTIONS, LEDGER, SLOTS, SPOOL, Log, unreadable, writable

SUFFIX = ".run"
"""What the folder of a run is called after its output, unless the user says otherwise."""

ERRORS = ".errors.jsonl"
"""What the file of failed items is called after its output."""

RECEIPT = ".receipt.json"
"""What a receipt is called after its output."""


ORIGIN = ".wrapgen-copy-of"
"""The file that says what a folder is the copy of, where it is one."""


class FileLog:
    """A log in a file.

    Args:
        path: the file.
        write: make it if it is missing; else it is only read.
    """

    def __init__(self, path: Path, *, write: bool = False) -> None:
        self.name = str(path)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND if write else os.O_RDONLY
        try:
            self._descriptor = open_file(path if write or path.exists() else Path(os.devnull), flags)
        except OSError as error:
            raise error if write else unreadable(self.name, error) from error
        self.size = os.fstat(self._descriptor).st_size

    def append(self, data: bytes) -> int:
        """Writes all of it, however many writes that takes."""
        offset = self.size
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        self.size += len(data)
        return offset

    def sync(self) -> None:
        """Syncs data; metadata beyond the size is not needed."""
        getattr(os, "fdatasync", os.fsync)(self._descriptor)

    def read(self, offset: int, length: int) -> bytes:
        """A stretch."""
        try:
            return os.pread(self._descriptor, length, offset)
        except OSError as error:
            raise unreadable(self.name, error) from error

    def cut(self, size: int) -> None:
        """Takes away everything from here on."""
        os.ftruncate(self._descriptor, size)
        self.size = size

    def close(self) -> None:
        """Closes the file."""
        with suppress(OSError):  # what counts was synced
            os.close(self._descriptor)


@dataclass(frozen=True)
class Folder:
    """A run's folder, which need not exist yet; a `StateStore` in files."""

    path: Path
    writes_behind = False

    @property
    def name(self) -> str:
        """For messages: the path, or what the folder is a copy of."""
        return (self.path / ORIGIN).read_text(encoding="utf-8") if self.is_copy else str(self.path)

    @property
    def is_copy(self) -> bool:
        """Whether it is a copy of what is kept elsewhere."""
        return (self.path / ORIGIN).is_file()

    @property
    def scratch(self) -> Path:
        """The folder itself."""
        return self.path

    def open(self, log: str, *, write: bool = False) -> Log:
        """One of the logs, in a file of its name."""
        return FileLog(self._file(log), write=write)

    def has(self, log: str) -> bool:
        """Whether there is such a log."""
        return self._file(log).exists()

    def _file(self, log: str) -> Path:
        return self.path / f"{log}.jsonl"

    @property
    def ledger(self) -> Path:
        """The append-only truth."""
        return self._file(LEDGER)

    @property
    def input(self) -> Path:
        """The copy of an input that can't be read twice, such as standard input."""
        return self.path / "input"

    def process_log(self) -> IO[bytes]:
        """The log of what the processes of a run without a server print, opened for appending.

        Raises:
            RunError: it can't be written.
        """
        self.make()
        with writable(self.path):
            return os.fdopen(
                open_file(self.path / "processes.log", os.O_RDWR | os.O_CREAT | os.O_APPEND), "ab+"
            )

    def files(self) -> list[Path]:
        """Everything that a run may write into it, be it there or not."""
        names = ("lock", "processes.log", "input.new", "input.new.part", "report.html", "report.html.part")
        return [*self._state(), self.input, *(self.path / name for name in names)]

    def _state(self) -> list[Path]:
        return [*map(self._file, (LEDGER, SPOOL, CORRECTIONS)), self.path / SLOTS]

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the folder, making it if it is missing; the lock vanishes with the process.

        Raises:
            RunError: another runner is at work in it, or it can't be made or written to.
        """
        self.make()
        with self._lock() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise RunError(
                    f"another runner is at work in {self.path} (process {holder})", hint="wait for it to end"
                ) from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    @contextmanager
    def provisional(self) -> Iterator[None]:
        """Where the block ends with an error before a run has begun, nothing of it is left in the folder."""
        there = self.path.exists()
        try:
            yield
        except BaseException as error:
            begun = self.ledger.exists() and self.ledger.stat().st_size
            if not begun and self.path.is_dir() and not self.busy():
                for path in self.files():
                    path.unlink(missing_ok=True)
                with suppress(OSError):  # it holds what is not ours
                    if not there:
                        self.path.rmdir()
            if not begun and isinstance(error, RunError):
                error.hint = error.hint or "nothing was sent: correct it, and give the same command again"
            raise

    def make(self) -> None:
        """Makes the folder if it is missing.

        Raises:
            RunError: it can't be made.
        """
        with writable(self.path):
            make_folder(self.path)

    def _lock(self) -> IO[str]:
        with writable(self.path):
            return os.fdopen(open_file(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+")

    def confirm(self) -> None:
        """A lock of the file system is never lost before the process ends."""

    def busy(self) -> bool:
        """Whether a runner is at work in it."""
        try:
            with (self.path / "lock").open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            return False
        except BlockingIOError:
            return True
        return False

    def clear(self) -> None:
        """Removes what an earlier run left; not the copy of an input, which may be this run's."""
        for path in self._state():
            path.unlink(missing_ok=True)

    def header(self) -> dict[str, Any] | None:
        """The run's first entry, or None where there is none."""
        with closing(self.open(LEDGER)) as log:
            return next(read_ledger(log), None)

    def kept_reference(self, reference: str) -> str | None:
        """The exact version that the ledger keeps, if `reference` names its algorithm less exactly."""
        header = self.header()
        if header is None:
            return None
        kept = str(header.get("reference"))
        return kept if f"{kept}/".startswith(f"{reference.removeprefix('algo://').rstrip('/')}/") else None


def folder_for(output: Path) -> Path:
    """Where the ledger of an output lives, unless the user says otherwise."""
    return _beside(output, SUFFIX)


def output_of(folder: Path) -> Path | None:
    """The reverse of `folder_for`; None for a folder that is called otherwise."""
    return folder.with_name(folder.name.removesuffix(SUFFIX)) if folder.name.endswith(SUFFIX) else None


def errors_for(output: Path) -> Path:
    """Where the failed items of an output go."""
    return _beside(output, ERRORS)


def report_beside(output: Path) -> Path:
    """Where the report of an output belongs."""
    return _beside(output, ".report.html")


def receipt_beside(output: Path) -> Path:
    """Where the receipt of an output goes."""
    return _beside(output, RECEIPT)


def _beside(output: Path, suffix: str) -> Path:
    if not output.name:
        raise UsageError("the output has no name", hint="name a file with -o")
    return output.with_name(output.name + suffix)
