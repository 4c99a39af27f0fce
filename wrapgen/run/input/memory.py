"""Items from a Python iterable: for the library, for tests, and as the pattern for other connectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from wrapgen import protocol
from wrapgen.errors import RunError
from wrapgen.run.input.source import Row, Source


class MemorySource(Source):
    """Rows held in memory.

    Args:
        values: anything JSON, text or bytes.
    """

    name = "memory"
    several = False
    paths = ()

    def __init__(self, values: Iterable[Any]) -> None:
        self.values = list(values)

    def parts(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """All of them, numbered from 1, in a file without a name."""
        yield "", (Row(value, _encoded(at, value), at) for at, value in enumerate(self.values, start=1))

    def texts(self) -> Iterator[list[bytes]]:
        """Every value as JSON."""
        return ([row.raw or b""] for row in self.rows())

    def origin(self) -> dict[str, str | None]:
        """Nowhere: memory is gone with the process."""
        return {"location": None, "format": "memory"}

    def fingerprint(self) -> str:
        """A digest of the values."""
        content = b"".join(b"%b\n" % row.raw for row in self.rows() if row.raw is not None)
        return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _encoded(number: int, value: Any) -> bytes:
    try:
        return protocol.dumps(protocol.to_wire(value))
    except protocol.ProtocolError as error:
        raise RunError(f"item {number} of the input is {error}") from error
