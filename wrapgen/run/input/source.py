"""The seam between a run and where its items come from: one small protocol. `memory` is its simplest form."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

from wrapgen.run.remote_files import InputFile


class Row(NamedTuple):
    """One row of an input.

    Fields: the decoded value; its JSON text where the row came as JSON, else None; where it stands, for
    messages, such as a line number.
    """

    value: Any
    raw: bytes | None
    place: int


class Source(Protocol):
    """An input set: the same rows in the same order each time that it is read."""

    name: str
    """What a user calls it, such as a path."""

    several: bool
    """Whether its rows may be from more than one file."""

    paths: Sequence[InputFile]
    """The files that the rows are in; none where they are in no file."""

    def parts(self) -> Iterator[tuple[str, Iterator[Row]]]:
        """The files one by one: the name below the folder that all are in, and the rows."""

    def rows(self) -> Iterator[Row]:
        """Every row from the start, streamed.

        Raises:
            RunError: a row can't be read; names the place.
        """
        for _, rows in self.parts():
            yield from rows

    def texts(self) -> Iterator[list[bytes]] | None:
        """Each row as JSON text, as many together as are at hand; what comes as JSON is checked, not decoded.

        None where that is no quicker than by the rows.

        Raises:
            RunError: a row can't be read; names the place.
        """

    def origin(self) -> dict[str, str | None]:
        """Where the rows can be found again: `location` (absolute path or pattern, or None) and `format`."""

    def fingerprint(self) -> str:
        """Something that changes whenever the rows do."""
