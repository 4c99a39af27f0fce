"""How values are written on pages: times, sizes, durations, links. Pure; markup is for the templates."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Callable
from datetime import datetime, timezone
from itertools import accumulate
from typing import Any
from urllib.parse import quote, urlencode

import msgspec

_HASH = re.compile(r"\b[0-9a-f]{40}\Z")

INDENT = 2
"""Spaces for each level of JSON that is laid out."""

_check = msgspec.json.Decoder(msgspec.Raw).decode
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_STEPS = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1, ord(","): 0}
_NO_MARKS = bytes(set(range(256)) - set(_STEPS))

UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def moment(seconds: float) -> str:
    """Epoch seconds as a person reads them, in UTC."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")


def machine_moment(seconds: float) -> str:
    """Epoch seconds for the `datetime` attribute of a time element."""
    return datetime.fromtimestamp(seconds, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def duration(seconds: float) -> str:
    """A number of seconds with a unit that leaves it a handy number."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def size(count: int) -> str:
    """A number of bytes with a unit."""
    number = float(count)
    for unit in UNITS[:-1]:
        if number < 1024:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1024
    return f"{number:.1f} {UNITS[-1]}"


def number(value: float) -> str:
    """A count with separators."""
    return f"{value:,}"


def word(value: object) -> str:
    """A value as one word of a path."""
    return quote(str(value), safe="")


def short(name: str) -> str:
    """A version, or a name that ends with one: a git hash is cut to what tells commits apart."""
    return _HASH.sub(lambda found: found[0][:12], name)


def visible(name: str) -> str:
    """A name whose characters without a shape, which could make it look like another, are written out."""
    return "".join(
        f"\\u{ord(mark):04x}" if unicodedata.category(mark) in ("Cc", "Cf", "Zl", "Zp") else mark
        for mark in name
    )


def query(**values: object) -> str:
    """A query of a link."""
    return urlencode({name: str(value) for name, value in values.items()})


def compact(value: Any) -> str:
    """A value as JSON on one line."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def laid_out(text: str, most: int) -> str:
    """A JSON text laid out for reading; as it is where that has more than `most` bytes, or is no JSON."""
    raw = text.encode("utf-8", "replace")
    try:
        if len(raw) > most // 4 or len(raw) + _indents(raw) > most:
            return text
        return msgspec.json.format(text, indent=INDENT)
    except (msgspec.DecodeError, RecursionError):
        return text


def _indents(raw: bytes) -> int:
    """The bytes that laying out a JSON text adds, counted without doing it.

    Raises:
        msgspec.DecodeError, RecursionError: it is none.
    """
    _check(raw)  # from here on every string has an end
    marks = _STRING.sub(b"", raw).translate(None, _NO_MARKS)
    depths = accumulate(_STEPS[mark] for mark in marks)
    return sum(INDENT * depth + 2 for depth in depths)


FILTERS: dict[str, Callable[..., Any]] = {
    "moment": moment,
    "machine_moment": machine_moment,
    "duration": duration,
    "size": size,
    "number": number,
    "word": word,
    "short": short,
    "visible": visible,
}
"""What templates may write values with."""
