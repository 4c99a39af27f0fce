"""What all tables have in common: their rows as values of one class, asked for by equality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, TypeVar

from wrapgen.platform.storage.database import Database, as_column

T = TypeVar("T")


class Table(Generic[T]):
    """One table; subclasses say which, and add what equality can't ask.

    Args:
        database: holds it.

    Attributes:
        name: of the table.
        kind: the class of its values, with fields named after columns.
        query: gives all rows; empty for those of the table alone.
        order: in which they come.
        joined: fields that are columns of another table.
    """

    name: ClassVar[str]
    kind: ClassVar[Any]
    query: ClassVar[str] = ""
    order: ClassVar[str] = "rowid"
    joined: ClassVar[Mapping[str, str]] = {}

    def __init__(self, database: Database) -> None:
        self._database = database
        self.transaction = database.transaction

    def all(self, **equal: Any) -> list[T]:
        """Values whose columns are so, in the table's order."""
        return self._some("", equal)

    def first(self, **equal: Any) -> T | None:
        """The first of `all`, or None; reads no others."""
        return next(iter(self._some("LIMIT 1", equal)), None)

    def _some(self, limit: str, equal: Mapping[str, Any]) -> list[T]:
        where = " AND ".join(f"{self.joined.get(each, f'{self.name}.{each}')} = ?" for each in equal) or "1"
        query = self.query or f"SELECT * FROM {self.name}"  # noqa: S608 - names of ours
        sql = f"{query} WHERE {where} ORDER BY {self.order} {limit}"
        return self._database.all(self.kind, sql, *equal.values())

    def insert(self, value: T | None = None, /, *, instead: str = "ABORT", **more: Any) -> bool:
        """Adds a row from a value, and further columns; whether that happened.

        Args:
            value: its fields become columns, but for those of other tables.
            instead: what becomes of a row that is there already: `ABORT`, `IGNORE` or `REPLACE`.
            more: further columns.

        Raises:
            NotFound: what the row belongs to was deleted meanwhile.
        """
        columns = {**(vars(value) if value is not None else {}), **more}
        columns = {name: as_column(each) for name, each in columns.items() if name not in self.joined}
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT OR {instead} INTO {self.name} ({', '.join(columns)}) VALUES ({marks})"  # noqa: S608
        return bool(self._database.execute(sql, *columns.values()))

    def update(self, row_id: str, **changes: Any) -> None:
        """Replaces columns of the row of an id."""
        columns = ", ".join(f"{name} = ?" for name in changes)
        values = map(as_column, changes.values())
        self._database.execute(f"UPDATE {self.name} SET {columns} WHERE id = ?", *values, row_id)  # noqa: S608

    def delete(self, **equal: Any) -> bool:
        """Removes rows whose columns are so; whether there were any."""
        where = " AND ".join(f"{each} = ?" for each in equal)
        sql = f"DELETE FROM {self.name} WHERE {where}"  # noqa: S608
        return bool(self._database.execute(sql, *equal.values()))
