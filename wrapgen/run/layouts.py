"""What an output holds of each outcome: as one JSON object, or as named cells. Pure; `writers` makes files.

A failed item is never left out and never looks like a result: in its place stands an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.items import Items, field_of
from wrapgen.run.output import outcomes
from wrapgen.run.spool import Slots, Spool

SHAPES = ("keyed", "bare", "joined")
"""keyed: index, id and result or error; bare: the result alone; joined: with the row that it came from."""


@dataclass(frozen=True)
class Layout:
    """What is written of each outcome.

    Args:
        shape: a name of SHAPES.
        keep: fields of the row to write instead of all of it; only joined.
        pick: fields of the result to write instead of all of it; a result without one gets null.
    """

    shape: str = "keyed"
    keep: Sequence[str] = ()
    pick: Sequence[str] = ()

    @property
    def verbatim(self) -> bool:
        """Whether a line of the spool is the output's line."""
        return self.shape == "keyed" and not self.pick


def objects(layout: Layout, items: Items, slots: Slots, spool: Spool) -> Iterator[Any]:
    """Every outcome in run order as the JSON value of its line."""
    for line, row in _with_rows(layout, items, slots, spool):
        result, error = _picked(layout, line), line.get("error")
        if layout.shape == "bare":
            yield {"$error": error} if error else result
            continue
        found: dict[str, Any] = {"index": line["index"], "id": line["id"]}
        if layout.shape == "joined":
            found["input"] = {name: _get(row, name) for name in layout.keep} if layout.keep else row
        found.update({"error": error} if error else {"result": result})
        yield found


def cells(layout: Layout, items: Items, slots: Slots, spool: Spool) -> Iterator[dict[str, Any]]:
    """Every outcome in run order as cells under column names, the same for all."""
    columns: list[str] | None = None
    for line, row in _with_rows(layout, items, slots, spool):
        found: dict[str, Any] = {}
        if layout.shape != "bare":
            found.update({"index": line["index"], "id": line["id"]})
        if layout.shape == "joined":
            columns = columns or _row_columns(layout, row)
            found.update(_row_cells(columns, layout, row, line["index"]))
        if layout.pick:
            picked = _picked(layout, line) or {}
            found.update({f"result.{name}": picked.get(name) for name in layout.pick})
        else:
            found["result"] = line.get("result")
        error = line.get("error") or {}
        found.update({"error_type": error.get("type"), "error_message": error.get("message")})
        yield found


def _with_rows(
    layout: Layout, items: Items, slots: Slots, spool: Spool
) -> Iterator[tuple[dict[str, Any], Any]]:
    rows = items.rows() if layout.shape == "joined" else None
    for index, _, line in outcomes(slots, spool):
        row = None
        if rows is not None:
            at, row = next(rows, (None, None))
            if at != index:
                raise RunError(
                    f"{items.name} does not hold its rows in the order of the run", hint="sort it by index"
                )
        yield json.loads(line), row


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


def _row_columns(layout: Layout, row: Any) -> list[str]:
    if layout.keep:
        return list(layout.keep)
    return list(row) if isinstance(row, dict) else []


def _row_cells(columns: list[str], layout: Layout, row: Any, index: int) -> dict[str, Any]:
    if not columns:
        return {"input": row}
    if not layout.keep and isinstance(row, dict) and not row.keys() <= set(columns):
        extra = sorted(row.keys() - set(columns))[0]
        raise RunError(
            f"row {index + 1:,} has a field {extra!r} that the first row does not have",
            hint="name the fields to write with --keep",
        )
    return {f"input.{name}": _get(row, name) for name in columns}
