"""The seam between a run and where its state is kept: a few logs that only grow, and a lock.

`folder` keeps them in files; the suite of tests has one in memory. What is derived from them is rebuilt, and
never here.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from wrapgen.errors import OutOfResource, RunError
from wrapgen.resources import resource_of

LEDGER, SPOOL, CORRECTIONS = "ledger", "spool", "corrections"
"""The logs of a run: what happened, the outcomes, and failed items as a user corrected them."""

SLOTS = "slots.bin"
"""The derived map from run index to outcome, in the scratch folder."""


class ReadableLog(Protocol):
    """Bytes that are read at any place."""

    @property
    def name(self) -> str:
        """For messages."""

    def read(self, offset: int, length: int) -> bytes:
        """A stretch; shorter at the end."""


class Log(ReadableLog, Protocol):
    """The same, and appended. What was synced is there whatever happens."""

    @property
    def size(self) -> int:
        """Bytes that it holds."""

    def append(self, data: bytes) -> int:
        """Adds bytes; where the first of them stands.

        Raises:
            OSError: not all of them could be added; `cut` takes away those that were.
        """

    def sync(self) -> None:
        """Returns when everything appended is kept for good."""

    def cut(self, size: int) -> None:
        """Takes away everything from here on."""

    def close(self) -> None:
        """Ends the use."""


class StateStore(Protocol):
    """Where the state of one run is kept.

    Attributes:
        writes_behind: what is appended is kept soon, also without `sync`, and never before what was appended
            earlier, to whichever log.
    """

    writes_behind: bool

    @property
    def name(self) -> str:
        """For messages."""

    @property
    def scratch(self) -> Path:
        """A folder of this machine for what is derived; it is there while the store is locked."""

    def open(self, log: str, *, write: bool = False) -> Log:
        """One of the logs.

        Args:
            log: its name.
            write: make it if it is missing; else one that is missing is empty.
        """

    def has(self, log: str) -> bool:
        """Whether there is such a log."""

    def locked(self) -> AbstractContextManager[None]:
        """Keeps every other runner away; ends with the process.

        Raises:
            RunError: another runner is at work, or nothing can be kept here.
        """

    def confirm(self) -> None:
        """Makes sure, where `locked` can be lost, that this runner still owns the state.

        Raises:
            TakenOver: another runner owns it by now.
            OSError: that can't be told.
        """

    def busy(self) -> bool:
        """Whether a runner is at work."""

    def provisional(self) -> AbstractContextManager[None]:
        """Where the block ends with an error before a run has begun, nothing of it is left."""

    def clear(self) -> None:
        """Removes every log."""


def unreadable(name: str, error: OSError) -> Exception:
    """The RunError for a fault of the file system met in reading; a lack of resources stays what it is."""
    if resource_of(error):
        return error
    return RunError(f"{name} can't be read: {error.strerror}", hint="restore it, or start over with --fresh")


@contextmanager
def writable(path: Path) -> Iterator[None]:
    """Makes a fault of the file system, such as a full disk, a RunError that names a run's folder."""
    try:
        yield
    except OSError as error:
        resource = resource_of(error)
        # Another folder may have space.
        if resource and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise OutOfResource(resource) from error
        reason = "a file is in its place" if isinstance(error, FileExistsError) else error.strerror
        raise RunError(
            f"the run's folder {path} can't be made or written to: {reason}",
            hint="name another output, or another folder with --state",
        ) from error
