"""Tables as text, CSV and TSV: reading them, and finding out what divides and quotes their cells."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator
from itertools import chain, islice
from typing import IO, Any, NamedTuple

from wrapgen.errors import RunError
from wrapgen.run.input.decoding import not_text, text_of
from wrapgen.run.input.source import Row

_SAMPLE = 200
"""Lines that say what divides cells, at most."""

_SAMPLE_SIZE = 1 << 20

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
"""What may divide cells without being named, in words."""

_OWN = {"csv": ",", "tsv": "\t"}
_EXCEL = re.compile(r"sep=(.)[\r\n]*\Z")
_QUOTED = re.compile(r'(?:^|\t)"')

NO_QUOTE = ""
"""The quote of a table in which a quote is text like any other."""

Lines = Callable[[], Iterator[str]]
"""Gives the lines of a file from its start, each time that it is called."""


class Dialect(NamedTuple):
    """How a table is written as text.

    Fields: what divides cells; what quotes them, or NO_QUOTE.
    """

    delimiter: str = ","
    quote: str = '"'

    def told(self) -> str:
        """In words."""
        divided = DELIMITERS.get(self.delimiter, repr(self.delimiter))
        return f"cells separated by {divided}, " + (
            f"quoted by {self.quote}" if self.quote else "quotes are text"
        )


def usual(format: str) -> Dialect:  # noqa: A002
    """The dialect that a format has where nothing says another."""
    return Dialect(_OWN[format])


def delimited(stream: IO[bytes], name: str, dialect: Dialect) -> Iterator[Row]:
    """The rows of a table with a header: one object of texts each.

    Empty lines are rows of a table of one column; in others they are left out.
    """
    lines = text_of(stream)
    header: list[str] = []
    place, skipped, reader = 1, 0, None
    try:
        first = next(lines, "").lstrip("\ufeff")
        skipped = 1 if _EXCEL.match(first) else 0
        reader = _reader(lines if skipped or not first else chain([first], lines), dialect)
        for cells in reader:
            at, place = place + skipped, reader.line_num + 1
            if not header:
                header = cells
                _refuse_doubled(header, name)
            elif len(cells) == len(header):
                yield Row(dict(zip(header, cells, strict=True)), None, at)
            elif cells:
                raise RunError(
                    f"{name}:{at}: {len(cells)} cells under {len(header)} columns",
                    hint="quote cells that hold the delimiter; or name it: --delimiter",
                )
            elif len(header) == 1:
                yield Row({header[0]: ""}, None, at)
    except csv.Error as error:
        raise RunError(f"{name}:{place + skipped}: not a table ({_words(error)})", hint=_QUOTES) from error
    except UnicodeDecodeError as error:
        raise not_text(name, reader.line_num + skipped if reader else 0, error) from error
    if place > 1 and not header:
        raise RunError(f"{name} holds nothing but empty lines: it has no header")


_QUOTES = "if quotes are text like any other, say --quote none"


def _words(error: csv.Error) -> str:
    return "a quote opens here and nothing closes it" if "end of data" in str(error) else str(error)


def _refuse_doubled(header: list[str], name: str) -> None:
    doubled = sorted({column for column in header if header.count(column) > 1})
    if doubled:
        raise RunError(f"{name}: the column {doubled[0]!r} appears twice in the header")


def _reader(lines: Iterator[str], dialect: Dialect) -> Any:
    csv.field_size_limit(sys.maxsize)
    if dialect.quote == NO_QUOTE:
        return csv.reader(lines, delimiter=dialect.delimiter, quoting=csv.QUOTE_NONE)
    return csv.reader(lines, delimiter=dialect.delimiter, quotechar=dialect.quote, strict=True)


def delimiter_of(lines: Iterator[str], format: str, name: str) -> str:  # noqa: A002
    """What divides the cells of a table: commas or tabs, as its format has it, or what its first lines say.

    Args:
        lines: of the file.
        format: csv or tsv: what the file is called.
        name: for messages.

    Raises:
        RunError: it can't be told with certainty; says what to give.
    """
    sample, own = _sample(lines), usual(format).delimiter
    told = _EXCEL.match(sample[0]) if sample else None
    if told:
        return told[1]
    header = next((line for line in sample if line.strip("\r\n")), "")
    if found := _no_table(header):
        raise RunError(
            f"{name}: its name says {format}, its first line is {found}",
            hint="name or convert it as what it is; or say --delimiter, if it is a table",
        )
    others = [one for one in DELIMITERS if one != own and one in header]
    if not others:
        return own
    fit = [one for one in (own, *others) if _fits(sample, one)]
    if fit == [own] or (not fit and (own in header or not _holds(sample, header, others))):
        return own
    if len(fit) == 1 and own == ",":
        return fit[0]
    seem = " or ".join(DELIMITERS[one] for one in fit) or "nothing that its header says"
    raise RunError(
        f"{name}: its delimiter is not certain: its name says {DELIMITERS[own]}, its lines {seem}",
        hint="""say it: --delimiter ';'""",
    )


def _sample(lines: Iterator[str]) -> list[str]:
    """The first lines, but not many that are long."""
    found, size = [], 0
    for line in islice(lines, _SAMPLE):
        found.append(line)
        size += len(line)
        if size > _SAMPLE_SIZE:
            break
    return found


def _no_table(header: str) -> str:
    if header.lower().startswith(("<!doctype", "<html", "<?xml")):
        return "that of a web page or XML"
    try:
        return "JSON" if isinstance(json.loads(header), (dict, list)) else ""
    except (ValueError, RecursionError):
        return ""


def _fits(sample: list[str], delimiter: str) -> bool:
    """Whether every row of a sample has the same number of cells, and more than one."""
    cut = len(sample) == _SAMPLE or sum(map(len, sample)) > _SAMPLE_SIZE
    quotes = ['"', NO_QUOTE] if delimiter == "\t" else ['"']
    looks = (_Look(iter(sample), Dialect(delimiter, quote)) for quote in quotes)
    # A sample may end within a cell.
    return any(
        one.same and one.width > 1 and (one.sound or (cut and one.lines == len(sample))) for one in looks
    )


def _holds(sample: list[str], header: str, marks: list[str]) -> bool:
    return any(mark in line for line in sample for mark in marks if line is not header)


class _Look:
    """What the lines of a table are in one dialect: lines, rows, cells of a row, if all have as many."""

    def __init__(self, lines: Iterator[str], dialect: Dialect) -> None:
        self.rows, self.width, self.same, self.sound = 0, 0, True, True
        reader = _reader(lines, dialect)
        try:
            for cells in filter(None, reader):
                self.width = self.width or len(cells)
                self.same = self.same and len(cells) == self.width
                self.rows += 1
        except csv.Error:
            self.sound = False
        self.lines = reader.line_num

    @property
    def whole(self) -> bool:
        """Whether it is a table in this dialect."""
        return self.same and self.sound


def quote_of(lines: Lines, delimiter: str, name: str) -> str:
    """What quotes the cells of a table: in one of tabs nothing, unless its quotes make sense as in CSV alone.

    Raises:
        RunError: it can't be told with certainty; says what to give.
    """
    if delimiter != "\t":
        return '"'
    if not any(_QUOTED.search(line) for line in lines()):
        return '"'  # it makes no difference
    text, quoted = (_Look(lines(), Dialect(delimiter, quote)) for quote in (NO_QUOTE, '"'))
    if not quoted.whole:
        return '"' if quoted.sound and not text.whole else NO_QUOTE
    if not text.whole:
        return '"'
    if text.rows != quoted.rows:
        raise RunError(
            f"{name}: its quotes as text leave {text.rows - 1:,} rows, as quotes {quoted.rows - 1:,}",
            hint="""say which: --quote none, or --quote '"'""",
        )
    return '"' if _needed(lines()) else NO_QUOTE


def _needed(lines: Iterator[str]) -> bool:
    """Whether every quoted cell is one that had to be quoted, or stands in a column of quoted cells."""
    idle: dict[int, int] = {}
    bare: dict[int, int] = {}
    for line in lines:
        for at, cell in enumerate(line.rstrip("\r\n").split("\t")):
            if cell.startswith('"'):
                idle[at] = idle.get(at, 0) + ('""' not in cell[1:-1])
            elif cell:
                bare[at] = bare.get(at, 0) + 1
    # A header may be without quotes above a column that has them.
    return all(not count or bare.get(at, 0) <= 1 for at, count in idle.items())
