"""What an output holds of each outcome: as one JSON object, or as named cells. Pure; `writers` makes files.

A failed item is never left out and never looks like a result: in its place stands an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.input.items import Items
from wrapgen.run.input.values import field_of
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import Log
from wrapgen.run.output.outcomes import outcomes

SHAPES = ("keyed", "bare", "joined")
"""keyed: index, id and result or error; bare: the result alone; joined: with the row that it came from."""

EDITION = 2
"""From this edition on a joined item names its file, and Parquet has types."""

MOST_COLUMNS = 10_000
"""Columns that a table may get from the rows of the input."""

FIXED = ("index", "id", "file", "error_type", "error_message")
"""Columns of a table whose type is the same whatever the outcomes are."""

INPUT = "input"
"""How the name of a column starts that is of the input's row; it is all of it for rows without fields."""

_INPUT, _WHOLE_ROW = f"{INPUT}.", INPUT


@dataclass(frozen=True)
class Layout:
    """What is written of each outcome.

    Args:
        shape: a name of SHAPES.
        keep: fields of the row to write instead of all of it; only joined.
        pick: fields of the result to write instead of all of it; a result without one gets null.
        edition: 1 for outputs that 0.1.0 wrote, as their ledgers tell it by leaving it out.
        safe: no cell of a table of text is a formula for a spreadsheet.
    """

    shape: str = "keyed"
    keep: Sequence[str] = ()
    pick: Sequence[str] = ()
    edition: int = EDITION
    safe: bool = False

    @property
    def verbatim(self) -> bool:
        """Whether a line of the spool is the output's line."""
        return self.shape == "keyed" and not self.pick


def objects(layout: Layout, items: Items, slots: Slots, spool: Log) -> Iterator[Any]:
    """Every outcome in run order as the JSON value of its line."""
    for line, row, file in _with_rows(layout, items, slots, spool):
        result, error = _picked(layout, line), line.get("error")
        if layout.shape == "bare":
            yield {"$error": error} if error else result
            continue
        found: dict[str, Any] = {"index": line["index"], "id": line["id"]}
        if layout.shape == "joined":
            if _names_files(layout, items):
                found["file"] = file
            found["input"] = {name: _get(row, name) for name in layout.keep} if layout.keep else row
        found.update({"error": error} if error else {"result": result})
        yield found


def columns(layout: Layout, items: Items) -> list[str]:
    """The names of a table's columns, the same for all its rows.

    A row that is joined whole has the fields of all rows, in the order in which they occur.

    Raises:
        RunError: there are too many; or the input can't be read.
    """
    found = [] if layout.shape == "bare" else ["index", "id"]
    if layout.shape == "joined":
        found += ["file"] if _names_files(layout, items) else []
        found += _row_columns(layout, items)
    found += [f"result.{name}" for name in _once(layout.pick)] or ["result"]
    return [*found, "error_type", "error_message"]


def cells(layout: Layout, names: list[str], items: Items, slots: Slots, spool: Log) -> Iterator[list[Any]]:
    """Every outcome in run order as the cells under these columns."""
    whole = _WHOLE_ROW in names
    fields = [name.removeprefix(_INPUT) for name in names if name.startswith(_INPUT)]
    for line, row, file in _with_rows(layout, items, slots, spool):
        found = [] if layout.shape == "bare" else [line["index"], line["id"]]
        if _names_files(layout, items):
            found.append(file)
        if whole:
            found.append(row)
        elif layout.keep:
            found += [_get(row, name) for name in fields]
        else:
            found += [row.get(name) for name in fields]
        if layout.pick:
            result = line.get("result")
            found += [_get(result, name) for name in _once(layout.pick)]
        else:
            found.append(line.get("result"))
        error = line.get("error") or {}
        yield [*found, error.get("type"), error.get("message")]


def _names_files(layout: Layout, items: Items) -> bool:
    """Whether outcomes tell the file that they came from."""
    return layout.shape == "joined" and layout.edition > 1 and items.several


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _with_rows(
    layout: Layout, items: Items, slots: Slots, spool: Log
) -> Iterator[tuple[dict[str, Any], Any, str]]:
    rows = items.rows() if layout.shape == "joined" else None
    for index, _, line in outcomes(slots, spool):
        row, file = None, ""
        if rows is not None:
            at, row, file = next(rows, (None, None, ""))
            if at != index:
                raise RunError(
                    f"{items.name} does not hold its rows in the order of the run", hint="sort it by index"
                )
        yield json.loads(line), row, file


def _picked(layout: Layout, line: dict[str, Any]) -> Any:
    result = line.get("result")
    if not layout.pick or "error" in line:
        return result
    return {name: _get(result, name) for name in layout.pick}


def _get(value: Any, path: str) -> Any:
    try:
        return field_of(value, path)
    except LookupError:
        return None


def _row_columns(layout: Layout, items: Items) -> list[str]:
    if layout.keep:
        return [_INPUT + name for name in _once(layout.keep)]
    found: dict[str, None] = {}
    for index, row, _ in items.rows():
        if not isinstance(row, dict):
            return [_WHOLE_ROW]
        found.update(dict.fromkeys(row))
        if len(found) > MOST_COLUMNS:
            raise RunError(
                f"the first {index + 1:,} rows have more than {MOST_COLUMNS:,} fields together",
                hint="name the fields to write with --keep",
            )
    return [_INPUT + name for name in found] or [_WHOLE_ROW]
