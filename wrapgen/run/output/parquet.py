"""Outcomes as a Parquet file, whose columns have the types that their values have together."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

from wrapgen.errors import MissingExtra
from wrapgen.files import whole
from wrapgen.run.output.column_types import ColumnType, utf8
from wrapgen.run.output.layouts import FIXED, INPUT, LaidOut, cell_text, json_text

_BATCH = 10_000


class ParquetFile:
    """A table with types.

    Args:
        path: the file.

    Raises:
        MissingExtra: pyarrow is not installed.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError as error:
            raise MissingExtra(extra="parquet", needed_for=f"writing {path}") from error
        self._path, self._pyarrow, self._writer = path, pyarrow, parquet.ParquetWriter

    def write(self, outcomes: LaidOut) -> None:
        """Every cell by the type that its column's values have together; in the first edition as text."""
        names = outcomes.columns()
        types = [ColumnType("int" if name == "index" else "text") for name in names]
        values = [cell_text if one.name == "text" else _same for one in types]
        if outcomes.layout.edition > 1:
            types = [one if name in FIXED else ColumnType() for name, one in zip(names, types, strict=True)]
            values = [_value if name.startswith(INPUT) else _same for name in names]
            for row in outcomes.rows(names):
                for one, value, cell in zip(types, values, row, strict=True):
                    one.observe(value(cell))
        shapes = [one.shaped(cell_text) for one in types]
        schema = self._pyarrow.schema(
            [(utf8(name), one.arrow()) for name, one in zip(names, types, strict=True)]
        )
        cells = outcomes.rows(names)
        with whole(self._path) as file, self._writer(file, schema) as writer:
            while batch := list(islice(cells, _BATCH)):
                table = zip(values, shapes, schema.types, zip(*batch, strict=True), strict=True)
                arrays = [
                    self._pyarrow.array([shape(value(cell)) for cell in column], kind)
                    for value, shape, kind, column in table
                ]
                writer.write_table(self._pyarrow.Table.from_arrays(arrays, schema=schema))


def _same(value: Any) -> Any:
    return value


def _value(value: Any) -> Any:
    """A cell of the input's row as JSON has it, as results are already."""
    return value if value is None or isinstance(value, (str, int)) else json.loads(json_text(value))
