"""The type of a column, declared as Spark's DDL has it, as an Arrow type."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from wrapgen.errors import UsageError

_TOKEN = re.compile(r"\s*([A-Za-z_]\w*|`[^`]+`|\d+|[<>(),:])\s*")

_PLAIN = {
    "string": "string",
    "boolean": "bool_",
    "tinyint": "int8",
    "smallint": "int16",
    "int": "int32",
    "integer": "int32",
    "bigint": "int64",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "binary": "binary",
    "date": "date32",
}


def declared(schema: Any) -> Any:
    """The Arrow type of a column: `double`, `array<int>`, or of an object `label string, score double`.

    Args:
        schema: in Spark's DDL, or an Arrow type or schema.

    Raises:
        UsageError: it is neither.
    """
    import pyarrow as pa

    if isinstance(schema, pa.Schema):
        return pa.struct(list(schema))
    if isinstance(schema, pa.DataType):
        return schema
    try:
        return _Declaration(schema).whole()
    except (LookupError, TypeError, ValueError) as error:
        raise UsageError(
            f"not a schema: {schema!r}", hint="such as 'double' or 'label string, score double'"
        ) from error


class _Declaration:
    """The words of a declaration, read from the left; raises `ValueError` or `LookupError` at a wrong one."""

    def __init__(self, text: str) -> None:
        self._words: list[str] = _TOKEN.findall(text)
        if _TOKEN.sub("", text):
            raise ValueError(text)

    def whole(self) -> Any:
        """The type of the whole text."""
        fields = len(self._words) > 1 and self._words[1] not in ("<", "(")
        found = self._struct() if fields else self._type()
        if self._words:
            raise ValueError(self._words[0])
        return found

    def _struct(self) -> Any:
        import pyarrow as pa

        def field() -> Any:
            name = self._words.pop(0).strip("`")
            self._skip(":")
            return pa.field(name, self._type())

        return pa.struct(self._listed(field))

    def _type(self) -> Any:
        import pyarrow as pa

        word = self._words.pop(0).lower()
        if word in _PLAIN:
            return getattr(pa, _PLAIN[word])()
        if word == "timestamp":
            return pa.timestamp("us", "UTC")
        if word == "decimal":
            return pa.decimal128(*(self._within("()", lambda: int(self._words.pop(0))) or (10, 0)))
        if word == "struct":
            self._expect("<")
            found = self._struct()
            self._expect(">")
            return found
        return {"array": pa.list_, "map": pa.map_}[word](*self._within("<>", self._type))

    def _within(self, marks: str, read: Callable[[], Any]) -> list[Any]:
        if not self._skip(marks[0]):
            return []
        found = self._listed(read)
        self._expect(marks[1])
        return found

    def _listed(self, read: Callable[[], Any]) -> list[Any]:
        found = [read()]
        while self._skip(","):
            found.append(read())
        return found

    def _skip(self, mark: str) -> bool:
        found = self._words[:1] == [mark]
        del self._words[: int(found)]
        return found

    def _expect(self, mark: str) -> None:
        if not self._skip(mark):
            raise ValueError(mark)
