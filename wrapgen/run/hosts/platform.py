"""A wrapper that a platform hosts. Needs Python's own library only: Spark and Lambda use it too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

from wrapgen.run.hosts.description import DESCRIBE, DESCRIBE_SECONDS, Description, read_description
from wrapgen.run.hosts.failures import CALL_ERRORS, lost_by, platform_answer
from wrapgen.run.hosts.sideband import DataSideband
from wrapgen.run.scheduling.replies import Lost


class CallClient(Protocol):
    """The part of the platform's client that makes calls."""

    def call_body(self, reference: str, body: bytes, *, timeout: float, run: str = "") -> bytes:
        """The body of the 200 answer.

        Raises:
            PlatformError, UsageError: of the class that fits.
        """


@dataclass(frozen=True)
class PlatformHost:
    """An exact version of a wrapper on a platform.

    Args:
        calls: the client.
        reference: `owner/name/1.0.0`.
        sideband: for large bodies.
        address: of the platform.
        run: the run that its calls are part of.
        concurrency: see `Host`.
    """

    calls: CallClient
    reference: str
    sideband: DataSideband | None = None
    address: str = ""
    run: str = ""
    concurrency: int | None = None

    def call(self, body: bytes, timeout: float) -> bytes | Lost:
        """One call of the wrapper; see `Host`."""
        try:
            return platform_answer(self._call(body, timeout))
        except CALL_ERRORS as error:
            return lost_by(error)

    def describe(self) -> Description:
        """What the wrapper says of itself; see `Host`."""
        return self._description

    @cached_property
    def _description(self) -> Description:
        return read_description(platform_answer(self._call(DESCRIBE, DESCRIBE_SECONDS)), self.reference)

    def _call(self, body: bytes, timeout: float) -> bytes:
        return self.calls.call_body(self.reference, body, timeout=max(1, timeout), run=self.run)

    def in_run(self, run: str) -> PlatformHost:
        """The same, which tells the platform a run's id."""
        return replace(self, run=run)

    def close(self) -> None:
        """Nothing: the owner of the client closes it."""
