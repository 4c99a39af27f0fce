"""How things look: through Rich on a terminal; piped the same words, plain, and without loading Rich.

Rich honours NO_COLOR and TERM. Nothing here knows what is shown.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

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


def styled(*parts: str | tuple[str, str]) -> None:
    """Prints one line made of texts and of pairs of text and style."""
    if not sys.stdout.isatty():
        print("".join(part if isinstance(part, str) else part[0] for part in parts))
        return
    from rich.console import Console
    from rich.text import Text

    Console(soft_wrap=True).print(Text.assemble(*parts))


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
    found = [list(row) for row in rows]
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
        print("  ".join(c.rjust(width) if right else c.ljust(width) for c, width, right in cells).rstrip())
