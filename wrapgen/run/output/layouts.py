"""What an output holds of each outcome: as a line of JSON, or as named cells. Sinks make files of it.

A failed item is never left out and never looks like a result: in its place stands an error.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from wrapgen.errors import RunError
from wrapgen.run.input.items import Items
from wrapgen.run.input.values import field_of, plain
from wrapgen.run.ledger.spool import Slots
from wrapgen.run.ledger.store import Log
from wrapgen.run.output.outcomes import blocks, outcomes
from wrapgen.run.scheduling.replies import Fate

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


@dataclass(frozen=True)
class LaidOut:
    """The outcomes of a run in a layout, read from the spool as often as a sink needs them.

    Args:
        layout: what is written of each.
        items: of the run, for joining.
        slots, spool: where the outcomes are.
    """

    layout: Layout
    items: Items
    slots: Slots
    spool: Log

    def lines(self) -> Iterator[bytes]:
        """JSON Lines, one for each outcome in run order, perhaps many at once."""
        if not self.layout.verbatim:
            yield from map(_line, self._objects())
            return
        for stretch, block in blocks(self.slots, self.spool):
            if stretch.fates == {Fate.OK}:
                yield block
                continue
            at = 0
            for _, slot in stretch.slots():
                line = block[at : at + slot.length]
                yield line if slot.fate == Fate.OK else _without_input(line)
                at += slot.length

    def columns(self) -> list[str]:
        """The names of a table's columns, the same for all its rows.

        A row that is joined whole has the fields of all rows, in the order in which they occur.

        Raises:
            RunError: there are too many; or the input can't be read.
        """
        layout = self.layout
        found = [] if layout.shape == "bare" else ["index", "id"]
        if layout.shape == "joined":
            found += ["file"] if self._names_files else []
            found += _row_columns(layout, self.items)
        found += [f"result.{name}" for name in _once(layout.pick)] or ["result"]
        return [*found, "error_type", "error_message"]

    def rows(self, columns: list[str]) -> Iterator[list[Any]]:
        """Every outcome in run order as the cells under these columns."""
        layout = self.layout
        get = _get if layout.keep else dict.get
        fields = [name.removeprefix(_INPUT) for name in columns if name.startswith(_INPUT)]
        for line, row, file in self._with_rows():
            found = [] if layout.shape == "bare" else [line["index"], line["id"]]
            if self._names_files:
                found.append(file)
            found += [row] if _WHOLE_ROW in columns else [get(row, name) for name in fields]
            result, error = line.get("result"), line.get("error") or {}
            found += [_get(result, name) for name in _once(layout.pick)] if layout.pick else [result]
            yield [*found, error.get("type"), error.get("message")]

    def _objects(self) -> Iterator[Any]:
        """Every outcome in run order as the JSON value of its line."""
        layout = self.layout
        for line, row, file in self._with_rows():
            result, error = _picked(layout, line), line.get("error")
            if layout.shape == "bare":
                yield {"$error": error} if error else result
                continue
            found: dict[str, Any] = {"index": line["index"], "id": line["id"]}
            if layout.shape == "joined":
                if self._names_files:
                    found["file"] = file
                found["input"] = {name: _get(row, name) for name in layout.keep} if layout.keep else row
            yield {**found, **({"error": error} if error else {"result": result})}

    @property
    def _names_files(self) -> bool:
        """Whether outcomes tell the file that they came from."""
        return self.layout.shape == "joined" and self.layout.edition > 1 and self.items.several

    def _with_rows(self) -> Iterator[tuple[dict[str, Any], Any, str]]:
        rows = self.items.rows() if self.layout.shape == "joined" else None
        for index, _, line in outcomes(self.slots, self.spool):
            row, file = None, ""
            if rows is not None:
                at, row, file = next(rows, (None, None, ""))
                if at != index:
                    raise RunError(
                        f"{self.items.name} does not hold its rows in the order of the run",
                        hint="sort it by index",
                    )
            yield json.loads(line), row, file


def json_text(value: Any, *, ascii_only: bool = True) -> str:
    """JSON in any case: bytes of a row as base64 text, what JSON can't say as null."""
    encode = partial(json.dumps, separators=(",", ":"), ensure_ascii=ascii_only, allow_nan=False)
    try:
        return encode(value)
    except (TypeError, ValueError):
        text = json.dumps(plain(value), default=lambda _: None)
        return encode(json.loads(text, parse_constant=lambda _: None))


def cell_text(value: Any) -> str | None:
    """A cell as text: texts as they are, bytes as base64, the rest as JSON; None for null."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return str(plain(value))
    text = json_text(value, ascii_only=False)
    return None if text == "null" else text


def _line(content: Any) -> bytes:
    return json_text(content).encode("ascii") + b"\n"


def _without_input(line: bytes) -> bytes:
    content = json.loads(line)
    del content["input"]
    return _line(content)


def _once(names: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(names))


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
