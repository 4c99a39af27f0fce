"""The only place that prints: through Rich on a terminal; piped the same text, plain, without loading Rich.

Rich honours NO_COLOR and TERM. Nothing here knows what is shown. Names, messages, results and logs are
written by others: what a terminal would obey in them is shown instead, see `visible`.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

STATES = {
    "ok": "green",
    "finished-with-errors": "yellow",
    "stopped-by-budget": "red",
    "incomplete": "yellow",
    "running": "cyan",
    "killed": "yellow",
    "damaged": "red",
    "FAULTY": "bold red",
    "fault": "bold red",
    "not checked": "yellow",
}
"""The style of a state, wherever one is shown."""


_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and newline, what reorders text, and halves of characters."""


def visible(text: str) -> str:
    """A text in which whatever a terminal would obey is written as JSON escapes it: `\\u001b` for ESC."""
    return _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def one_line(text: str) -> str:
    """As `visible`, with line breaks and tabs written as escapes too."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def out(text: str) -> None:
    """Prints a text and a line break on standard output, at once: a program may wait for it in a pipe."""
    _write(sys.stdout, f"{visible(text)}\n")
    sys.stdout.flush()


def err(text: str) -> None:
    """Prints a text and a line break on standard error, at once."""
    _write(sys.stderr, f"{visible(text)}\n")
    sys.stderr.flush()


def answer(facts: Any, as_json: bool, *lines: str) -> None:
    """Prints what a command found or did: the facts as one line of JSON, or lines for people."""
    for line in (json.dumps(facts),) if as_json else lines:
        out(line)


def listing(entries: Iterable[dict[str, Any]], columns: Sequence[str], as_json: bool) -> None:
    """Prints objects: every field as JSON, or a table of some."""
    found = list(entries)
    if as_json:
        out(json.dumps(found))
        return
    values = ([entry.get(name) for name in columns] for entry in found)
    rows = [["" if value is None else " ".join(str(value).split()) for value in row] for row in values]
    table(columns, rows, header=False)


def marked(kind: str, text: str, colour: str) -> None:
    """Prints a line on standard error, its first word coloured on a terminal; without Rich, which is slow.

    Args:
        kind: the first word.
        text: what follows it.
        colour: of the first word, as numbers of ANSI's SGR.
    """
    plain = not sys.stderr.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    first = f"{kind}:" if plain else f"\x1b[{colour}m{kind}:\x1b[0m"
    _write(sys.stderr, f"{first} {visible(text)}\n")


def passing(text: str) -> None:
    """Shows a line on a terminal's standard error; whatever is printed next takes its place."""
    if sys.stderr.isatty():
        _write(sys.stderr, f"\x1b[K{one_line(text)}\r")
        sys.stderr.flush()


def data(parts: Iterable[bytes], stream: TextIO | None = None) -> None:
    """Writes data as it is where it is piped; a terminal shows it as text.

    Args:
        parts: UTF-8; whole lines, or all of it in one.
        stream: None: standard output.
    """
    to = stream or sys.stdout
    if to.isatty():
        for part in parts:
            _write(to, visible(part.decode("utf-8", "replace")))
    else:
        to.flush()
        to.buffer.writelines(parts)
    to.flush()


def _write(stream: TextIO, text: str) -> None:
    encoding = stream.encoding or "utf-8"
    stream.write(text.encode(encoding, "backslashreplace").decode(encoding))


class Status:
    """The current step, in one moving line; nothing where there is no terminal."""

    def __init__(self, shown: Any) -> None:
        self._shown = shown

    def update(self, text: str) -> None:
        """Says something else."""
        if self._shown is not None:
            from rich.text import Text

            self._shown.update(Text(one_line(text)))

    def stop(self) -> None:
        """Takes the line away."""
        if self._shown is not None:
            self._shown.stop()


@contextmanager
def status(text: str) -> Iterator[Status]:
    """Shows the current step on standard error for as long as the context is open."""
    if not sys.stderr.isatty():
        yield Status(None)
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(one_line(text))) as shown:
        yield Status(shown)


def styled(*parts: str | tuple[str, str]) -> None:
    """Prints one line made of texts and of pairs of text and style."""
    found = [(part, "") if isinstance(part, str) else part for part in parts]
    if not sys.stdout.isatty():
        out("".join(text for text, _ in found))
        return
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True).print(Text.assemble(*((visible(text), style) for text, style in found)))


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    numbers: Sequence[str] = (),
    state: str = "",
    header: bool = True,
) -> None:
    """Prints a table; nothing for no rows.

    Args:
        columns: the names above it.
        rows: a cell for each column.
        numbers: columns that are aligned to the right.
        state: the column whose cells are coloured as states.
        header: whether the names are shown where the output is piped, too.
    """
    found = [[one_line(cell) for cell in row] for row in rows]
    if not found:
        return
    if not sys.stdout.isatty():
        _plain([list(columns), *found] if header else found, [name in numbers for name in columns])
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        shown.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    for row in found:
        cells = zip(columns, row, strict=True)
        shown.add_row(*(Text(cell, STATES.get(cell, "") if name == state else "") for name, cell in cells))
    Console().print(shown)


def _plain(rows: list[list[str]], to_the_right: Sequence[bool]) -> None:
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row, widths, to_the_right, strict=True)
        out("  ".join(c.rjust(width) if right else c.ljust(width) for c, width, right in cells).rstrip())
