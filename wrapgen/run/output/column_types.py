"""Which type a column of JSON values has in a table that has types, and its cells as values of that type.

Values that no one type takes are JSON text, at the depth where they differ. Pure; `writers` makes files.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

MOST_FIELDS = 1000
"""Fields that a struct may have; objects with more are taken for maps, and are JSON text."""

_DEEPEST = 20  # levels of columns within columns, which readers of Parquet take
_LARGEST = 1 << 63
_EXACT = 1 << 53


@dataclass
class ColumnType:
    """What the values seen so far are.

    Args:
        name: nothing, bool, int, large (an int that no double keeps), float, text, list, struct or json.
        parts: of a struct, by name; of a list under the name of none.
    """

    name: str = "nothing"
    parts: dict[str, ColumnType] = field(default_factory=dict)

    def observe(self, value: Any, depth: int = 0) -> None:
        """Widens the type so that it takes a value too, so many levels down."""
        if value is None or self.name == "json":
            return
        name = _name_of(value) if depth < _DEEPEST else "json"
        if self.name != name:
            self.name = name if self.name == "nothing" else _wider(self.name, name)
        if self.name == "struct":
            for key, part in value.items():
                self._part(key).observe(part, depth + 1)
            if len(self.parts) > MOST_FIELDS:
                self.name = "json"
        elif self.name == "list":
            elements = self._part("")
            for element in value:
                elements.observe(element, depth + 1)
        if self.name == "json":
            self.parts.clear()

    def _part(self, name: str) -> ColumnType:
        found = self.parts.get(name)
        if found is None:
            found = self.parts[name] = ColumnType()
        return found

    def arrow(self) -> Any:
        """The type as Arrow has it."""
        import pyarrow

        if self.name == "list":
            return pyarrow.list_(self.parts[""].arrow())
        if self.name == "struct" and self.parts:  # Parquet has no struct without fields
            return pyarrow.struct([(utf8(name), part.arrow()) for name, part in self.parts.items()])
        plain = {"bool": pyarrow.bool_(), "float": pyarrow.float64()}
        return pyarrow.int64() if self.name in ("int", "large") else plain.get(self.name, pyarrow.string())

    def shaped(self, text: Callable[[Any], str | None]) -> Callable[[Any], Any]:
        """What makes a value one of this type.

        Args:
            text: a value as JSON text.
        """
        if self.name == "text":
            return lambda value: None if value is None else utf8(value)
        if self.name == "list":
            element = self.parts[""].shaped(text)
            return lambda value: None if value is None else [element(part) for part in value]
        if self.name == "struct" and self.parts:
            parts = [(name, utf8(name), part.shaped(text)) for name, part in self.parts.items()]
            return lambda value: (
                None if value is None else {key: shape(value.get(name)) for name, key, shape in parts}
            )
        if self.name in ("json", "struct"):
            return lambda value: None if value is None else utf8(text(value) or "")
        return lambda value: value


def _name_of(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if -_EXACT <= value <= _EXACT else "large" if -_LARGEST <= value < _LARGEST else "json"
    names: dict[type, str] = {float: "float", str: "text", list: "list", dict: "struct"}
    return names.get(type(value), "json")


def _wider(one: str, other: str) -> str:
    both = {one, other}
    if both == {"int", "large"}:
        return "large"
    return "float" if both == {"int", "float"} else "json"


def utf8(text: str) -> str:
    """A text with half a character, which UTF-8 can't say, as its escape."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "backslashreplace").decode("utf-8")
    return text
