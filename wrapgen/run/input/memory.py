"""Items from a Python iterable: for the library, for tests, and as the pattern for other connectors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from wrapgen import protocol
from wrapgen.errors import RunError
from wrapgen.run.input.source import Row


class MemorySource:
    """Rows held in memory.

    Args:
        values: anything JSON, text or bytes.
    """

    name = "memory"
    several = False

    def __init__(self, values: Iterable[Any]) -> None:
        self._values = list(values)

    def parts(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """All of them, from a file without a name."""
        yield "", self.rows()

    def rows(self) -> Iterator[Row]:
        """Every value, numbered from 1."""
        for number, value in enumerate(self._values, start=1):
            yield Row(value, _encoded(number, value), number)

    def texts(self) -> Iterator[list[bytes]] | None:
        """Every value as JSON."""
        return ([_encoded(number, value)] for number, value in enumerate(self._values, start=1))

    def origin(self) -> dict[str, str | None]:
        """Nowhere: memory is gone with the process."""
        return {"location": None, "format": "memory"}

    def fingerprint(self) -> str:
        """A digest of the values."""
        digest = hashlib.sha256()
        for row in self.rows():
            digest.update(row.raw or b"")
            digest.update(b"\n")
        return f"sha256:{digest.hexdigest()}"


def _encoded(number: int, value: Any) -> bytes:
    try:
        return protocol.dumps(protocol.to_wire(value))
    except protocol.ProtocolError as error:
        raise RunError(f"item {number} of the input is {error}") from error
