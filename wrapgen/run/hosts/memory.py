"""A wrapper that is a function in this process, as a `Host`: for tests, and as a pattern for others."""

from __future__ import annotations

from collections.abc import Callable

from wrapgen.run.hosts.description import DESCRIBE, DESCRIBE_SECONDS, Description, read_description
from wrapgen.run.hosts.failures import CALL_ERRORS, lost_by, platform_answer
from wrapgen.run.hosts.host import Sideband
from wrapgen.run.scheduling.replies import Lost


class MemoryHost:
    """A function that answers as a wrapper does.

    Args:
        function: takes an encoded input and the seconds it gets; gives the body of the answer, or raises an
            error of the platform's client.
        reference, address, sideband: see `Host`.
        description: of the wrapper; None asks it.
    """

    concurrency: int | None = None

    def __init__(
        self,
        function: Callable[[bytes, float], bytes],
        reference: str = "memory/Wrapper/1.0.0",
        *,
        address: str = "",
        sideband: Sideband | None = None,
        description: Description | None = None,
    ) -> None:
        self.reference = reference
        self.address = address
        self.sideband = sideband
        self._function = function
        self._description = description

    def call(self, body: bytes, timeout: float) -> bytes | Lost:
        """One call of the function; see `Host`."""
        try:
            return platform_answer(self._function(body, timeout))
        except CALL_ERRORS as error:
            return lost_by(error)

    def describe(self) -> Description:
        """What the function says of itself; see `Host`."""
        if self._description is None:
            answer = platform_answer(self._function(DESCRIBE, DESCRIBE_SECONDS))
            self._description = read_description(answer, self.reference)
        return self._description

    def in_run(self, run: str) -> MemoryHost:
        """Itself: a call is not watched."""
        del run
        return self

    def close(self) -> None:
        """Nothing is held."""
