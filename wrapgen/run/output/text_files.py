"""Outcomes as files of text: JSON Lines, CSV and TSV."""

from __future__ import annotations

import csv
import io
import re
from itertools import chain
from pathlib import Path
from typing import Any

from wrapgen.files import whole
from wrapgen.run.output.layouts import LaidOut, cell_text

_ESCAPED = "backslashreplace"
_FORMULA = re.compile(
    r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2060\ufeff]*[=+@\u2212\ufe62\ufe63\ufe66\ufe6b\uff0b\uff0d\uff1d\uff20-]"
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?\Z")


class JsonLinesFile:
    """One line of JSON for each outcome.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, outcomes: LaidOut) -> None:
        """Writes the file; see `Sink`."""
        with whole(self._path) as file:
            file.writelines(outcomes.lines())


class DelimitedFile:
    """A table of text with a header.

    Args:
        path: the file.
        delimiter: divides cells.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self._path, self._delimiter = path, delimiter

    def write(self, outcomes: LaidOut) -> None:
        """Writes the file; see `Sink`."""
        safe, columns = outcomes.layout.safe, outcomes.columns()
        with whole(self._path) as file:
            # Half a character, which JSON can say and UTF-8 can't, becomes its escape.
            text = io.TextIOWrapper(file, encoding="utf-8", errors=_ESCAPED, newline="")
            writer = csv.writer(
                _Lines(text),
                delimiter=self._delimiter,
                lineterminator="\r\n",
                quoting=csv.QUOTE_ALL if safe else csv.QUOTE_MINIMAL,
            )
            writer.writerows(map(_harmless if safe else _texts, chain([columns], outcomes.rows(columns))))
            text.detach()  # flushes; closing is for `whole`


def _texts(row: list[Any]) -> list[str | None]:
    """Cells as text; a zero, at which some readers of tables end a cell, as JSON's escape."""
    return [cell.replace("\0", "\\u0000") if cell else cell for cell in map(cell_text, row)]


def _harmless(row: list[Any]) -> list[str | None]:
    """Cells that a spreadsheet would run as formulas, with an apostrophe in front; numbers stay numbers."""
    return [
        f"'{cell}" if cell and _FORMULA.match(cell) and not _NUMBER.match(cell) else cell
        for cell in _texts(row)
    ]


class _Lines:
    """Ends rows with a line feed; Python before 3.13 quotes cells only for what is in the line end."""

    def __init__(self, text: io.TextIOBase) -> None:
        self._write = text.write

    def write(self, row: str) -> None:
        """One row, as `csv` writes it."""
        self._write(row[:-2] + "\n")
