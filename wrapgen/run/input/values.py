"""What can't travel: a value that JSON can't say, and the item that fails in the place of its row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wrapgen import protocol


@dataclass(frozen=True)
class Unsendable:
    """A value that was read, but can't be said in JSON.

    Args:
        why: for the message of its item.
    """

    why: str


def refused_item(value: Any, where: str = "") -> bytes:
    """The item that a wrapper records as failed, without calling its target, in place of a value.

    Args:
        value: no JSON; the message names the first part of it that is none.
        where: its row, for the message.
    """
    error = protocol.ItemError("InputError", ", ".join(filter(None, [where, why_not_json(value)])))
    return protocol.dumps(error.to_wire())


def why_not_json(value: Any) -> str:
    """Why a value is no JSON, and in which column the first part stands that is none."""
    path, why = _fault(value) or ((), "it is not JSON")
    return f"column {'.'.join(map(str, path))!r}: {why}" if path else why


def _fault(value: Any) -> tuple[tuple[Any, ...], str] | None:
    """The way to the first part that JSON can't say, and why it can't."""
    if isinstance(value, Unsendable):
        return (), value.why
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        found = _fault(part)
        if found:
            return (name, *found[0]), found[1]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        name = "NaN" if value != value else "infinity" if value > 0 else "-infinity"
        return (), f"the value is {name}, which JSON can't say"
    if not parts and value is not None and not isinstance(value, (str, int, float, bool, dict, list)):
        return (), f"a value of type {type(value).__name__} is not JSON"
    return None
