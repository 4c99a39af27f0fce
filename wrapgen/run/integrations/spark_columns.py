"""The columns of a Spark data frame on their way through the tasks: any names, any types, and back.

Spark can't hand a task a name with a dot, two fields of one name, or intervals of months. So columns go under
names of our own, such types as text, and all come back as they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wrapgen.errors import UsageError
from wrapgen.run.input.arrow import cell_reader
from wrapgen.run.integrations.table_plan import ERROR, OUTPUT


class Columns:
    """The columns of a data frame.

    Args:
        df: the data frame.
        added: names of the columns that are added to it.

    Raises:
        UsageError: an added name is taken, or both are one.
    """

    def __init__(self, df: Any, added: Sequence[str]) -> None:
        self._names = list(df.columns)
        self._types = [field.dataType for field in df.schema.fields]
        self._added = list(added)
        self._same = str if df.sparkSession.conf.get("spark.sql.caseSensitive") == "true" else str.lower
        output, error = map(self._same, added)
        if output == error:
            raise UsageError(f"both added columns are {added[0]!r}", hint="name one with output= or error=")
        for name in self._names:
            if self._same(name) in (output, error):
                raise UsageError(
                    f"there is a column {name!r} already", hint="name another with output= or error="
                )

    def place(self, name: str) -> str:
        """The name that a column has on its way.

        Raises:
            UsageError: there is no such column, or more than one, or its type has no JSON.
        """
        found = [at for at, one in enumerate(self._names) if one == name]
        found = found or [at for at, one in enumerate(self._names) if self._same(one) == self._same(name)]
        if not found:
            raise UsageError(
                f"there is no column {name!r}", hint=f"the columns are: {', '.join(self._names)}"
            )
        if len(found) > 1:
            raise UsageError(f"{len(found)} columns are called {name!r}", hint="rename all but one")
        kind = self._types[found[0]]
        try:
            cell_reader(arrow_type(kind))
        except TypeError as error:
            raise UsageError(
                f"column {name!r} is {kind.simpleString()}, which has no JSON", hint="cast it to another type"
            ) from error
        return _safe(found[0])

    def sent(self, df: Any) -> Any:
        """The data frame as tasks get it.

        Raises:
            UsageError: a column can't go.
        """
        df = df.toDF(*map(_safe, range(len(self._names))))
        sendable = [_sendable(kind) for kind in self._types]
        return self._cast(df, [*sendable], ()) if sendable != self._types else df

    def back(self, df: Any) -> Any:
        """What tasks gave back, with the names and types that the columns had."""
        df = self._cast(df, self._types, (OUTPUT, ERROR))
        return df.toDF(*self._names, *self._added)

    def _cast(self, df: Any, kinds: list[Any], others: Sequence[str]) -> Any:
        if all(field.dataType == kind for field, kind in zip(df.schema.fields, kinds, strict=False)):
            return df
        cells = [
            df[_safe(at)] if df.schema[at].dataType == kind else df[_safe(at)].cast(kind).alias(_safe(at))
            for at, kind in enumerate(kinds)
        ]
        try:
            return df.select(*cells, *others)
        except Exception as error:  # Spark's own
            names = [
                name for name, kind in zip(self._names, self._types, strict=True) if _sendable(kind) != kind
            ]
            raise UsageError(
                f"columns {', '.join(map(repr, names))} can't go through a task", hint="cast them to text"
            ) from error


def _safe(at: int) -> str:
    return f"c{at}"


def arrow_type(kind: Any) -> Any:
    """The Arrow type of a Spark type.

    Raises:
        TypeError: Spark has none for it.
    """
    from pyspark.sql.pandas.types import to_arrow_type

    try:
        return to_arrow_type(kind, timezone="UTC")
    except TypeError as error:
        if "timezone" not in str(error):  # Spark before 4.2 takes no zone
            raise
        return to_arrow_type(kind)


def _sendable(kind: Any) -> Any:
    """A type as a task can get it: with text for what Arrow does not know, and no two fields of one name."""
    from pyspark.sql.types import ArrayType, MapType, StringType, StructField, StructType

    if isinstance(kind, ArrayType):
        return ArrayType(_sendable(kind.elementType), kind.containsNull)
    if isinstance(kind, MapType):
        return MapType(_sendable(kind.keyType), _sendable(kind.valueType), kind.valueContainsNull)
    if isinstance(kind, StructType):
        doubled = len(set(kind.names)) < len(kind.names)
        return StructType(
            [
                StructField(
                    _safe(at) if doubled else one.name, _sendable(one.dataType), one.nullable, one.metadata
                )
                for at, one in enumerate(kind.fields)
            ]
        )
    try:
        arrow_type(kind)
    except TypeError:
        return StringType()
    return kind
