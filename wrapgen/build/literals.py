"""Values as source text: Python literals, JSON, one-line prose. The only way for a value into generated code.

A template may emit nothing but `Ready` text (and whole numbers), so a string of a spec can't become code by
being forgotten: `render` refuses it. Output is ASCII, the same on every Python, and stays as it is under ruff
and black.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

WIDTH = 76
"""Widest nested collection that stays on one line, so that black's 88 columns hold with a key before it."""

_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


class Ready(str):
    """Text that may stand in generated code as it is."""

    __slots__ = ()


def literal(value: Any) -> Ready:
    """A Python expression that evaluates to `value`, in the style of the usual formatters.

    Args:
        value: None, a bool, number, str, bytes, or a list, tuple or dict of such. Tuples become lists.

    Raises:
        TypeError: it is, or holds, something else; or a NaN or infinity.
    """
    return Ready(_literal(value, 0, top=True))


def json_text(value: Any, indent: int | None = 2) -> Ready:
    """`value` as ASCII JSON, keys in the order given, without a final newline."""
    return Ready(json.dumps(value, indent=indent, allow_nan=False))


def prose(value: Any) -> Ready:
    """Text for a comment, a docstring or Markdown: one line, plain ASCII, nothing that ends or formats it."""
    text = " ".join(str(value).split())
    return Ready(
        "".join(c if c.isascii() and c.isprintable() and c not in "\"`\\<>{}|'" else "?" for c in text)
    )


def shell_word(value: Any) -> Ready:
    """`value` as one word of a POSIX shell."""
    text = str(value)
    if re.fullmatch(r"[\w@%+=:,./-]+", text, re.ASCII):
        return Ready(text)
    return Ready("'" + text.replace("'", "'\"'\"'") + "'")


def _literal(value: Any, indent: int, *, top: bool = False) -> str:
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return _quoted(str(value))
    if isinstance(value, bytes):
        return "b" + _quoted(value.decode("latin-1"), byte=True)
    if isinstance(value, int):
        return repr(int(value))
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(f"no literal for {value}")
        return repr(value)
    if isinstance(value, (list, tuple)):
        return _collection("[", "]", [("", item) for item in value], indent, top=top)
    if isinstance(value, dict):
        pairs = [(f"{_literal(key, indent)}: ", item) for key, item in value.items()]
        return _collection("{", "}", pairs, indent, top=top)
    raise TypeError(f"no literal for {type(value).__name__}")


def _collection(opening: str, closing: str, pairs: list[tuple[str, Any]], indent: int, *, top: bool) -> str:
    """On one line where that is short, else an element a line, each with a comma, which formatters keep."""
    if not pairs:
        return opening + closing
    flat = opening + ", ".join(key + _literal(item, indent) for key, item in pairs) + closing
    if not top and "\n" not in flat and len(flat) + indent <= WIDTH:
        return flat
    inner = " " * (indent + 4)
    lines = "".join(f"{inner}{key}{_literal(item, indent + 4)},\n" for key, item in pairs)
    return f"{opening}\n{lines}{' ' * indent}{closing}"


def _quoted(text: str, *, byte: bool = False) -> str:
    """Double quotes, or single ones where that needs fewer escapes, as the formatters prefer."""
    quote = "'" if text.count('"') > text.count("'") else '"'
    return quote + "".join(_character(c, quote, byte) for c in text) + quote


def _character(character: str, quote: str, byte: bool) -> str:
    number = ord(character)
    if character == quote:
        return "\\" + character
    if character in _ESCAPES:
        return _ESCAPES[character]
    if 32 <= number < 127:
        return character
    if number < 256 and (byte or number < 128):
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
