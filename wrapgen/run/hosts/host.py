"""The seam between a run and whatever executes its wrapper. `memory` is its simplest form.

No statuses, sockets or exceptions of a transport cross it: what failed comes back as a `Lost`, in our terms.
"""

from __future__ import annotations

from typing import Protocol

from wrapgen.run.hosts.description import Description
from wrapgen.run.scheduling.replies import Lost


class Sideband(Protocol):
    """Where bodies go that are too large for a call."""

    def upload(self, body: bytes) -> str | Lost:
        """Stores JSON Lines of items; the URL that a wrapper can read them at."""

    def fetch(self, url: str) -> bytes | Lost:
        """The file at a URL that a wrapper answered with."""

    def discard(self, url: str) -> None:
        """Removes what `upload` stored; never raises."""


class Host(Protocol):
    """One version of a wrapper where it executes. Safe to use from several threads."""

    @property
    def reference(self) -> str:
        """What is executed, exactly: `owner/name/1.0.0`."""

    @property
    def address(self) -> str:
        """Where; empty where that does not matter."""

    @property
    def concurrency(self) -> int | None:
        """Calls that it can take at once; None: what the platform grants an account."""

    @property
    def sideband(self) -> Sideband | None:
        """For bodies that are too large for a call; None where there is none."""

    def call(self, body: bytes, timeout: float) -> bytes | Lost:
        """One call: the body of its answer, an object of JSON, or why there is none. Never raises.

        Args:
            body: the encoded input.
            timeout: seconds that it gets.
        """

    def describe(self) -> Description:
        """What the wrapper says of itself; asked once.

        Raises:
            RunError: it is no wrapper, or speaks another protocol.
            NotLoaded: it could not be started.
            PlatformError: it can't be reached.
        """

    def in_run(self, run: str) -> Host:
        """The same for calls of one run, whose id the host is told."""

    def close(self) -> None:
        """Lets go of what it holds."""
