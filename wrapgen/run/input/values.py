"""Values of rows: their fields and ids, what JSON can't say, and the item that fails in place of such a row.

Goes to Spark's executors and into Lambda functions: Python's own library and `protocol` only.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from itertools import islice
from typing import Any

from wrapgen import protocol

_NAMES_SHOWN = 30
"""Fields that an error lists at most."""


@dataclass(frozen=True)
class Unsendable:
    """A value that was read, but can't be said in JSON.

    Args:
        why: for the message of its item.
    """

    why: str


def failing_item(kind: str, message: str) -> bytes:
    """An item that the wrapper records as failed for this reason, without calling its target."""
    return protocol.dumps(protocol.ItemError(kind, message).to_wire())


def within_limits(item: bytes) -> bytes:
    """An item as it travels; one that is over the limits of JSON is its own failure."""
    reason = protocol.over_limit(item) if len(item) > protocol.SHORT else None
    return failing_item("InputError", f"the item {reason}") if reason else item


def refused_item(value: Any, where: str = "") -> bytes:
    """The item that a wrapper records as failed, without calling its target, in place of a value.

    Args:
        value: no JSON; the message names the first part of it that is none.
        where: its row, for the message.
    """
    return failing_item("InputError", ", ".join(filter(None, [where, why_not_json(value)])))


def why_not_json(value: Any) -> str:
    """Why a value is no JSON, and in which column the first part stands that is none."""
    try:
        path, why = _fault(value) or ((), "it is not JSON")
    except RecursionError:
        path, why = (), "it holds itself, or is nested too deep"
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


def field_of(value: Any, path: str) -> Any:
    """A field of a row: the key itself, or the way through nested objects and lists with dots.

    Raises:
        LookupError: there is none; says which.
    """
    if isinstance(value, dict) and path in value:
        return value[path]
    found = value
    for step in path.split("."):
        if isinstance(found, dict) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
            found = found[int(step)]
        else:
            raise LookupError(f"there is no field {path!r}{_instead(found)}")
    return found


def _instead(found: Any) -> str:
    """What there is where a field is missing."""
    if isinstance(found, dict):
        names = ", ".join(map(repr, islice(found, _NAMES_SHOWN))) or "none"
        return f"; there are: {names}{', ...' if len(found) > _NAMES_SHOWN else ''}"
    if isinstance(found, list):
        return f"; there is a list of {len(found)}, whose places are numbers from 0"
    return "; the row holds a single value"


def plain(value: Any) -> Any:
    """A value with bytes as base64 text, at any depth: within JSON there are none."""
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def id_of(value: Any) -> str:
    """A value as an id.

    Raises:
        LookupError: it is neither text nor a whole number, empty, or no text that UTF-8 has; says which.
    """
    if value == "":
        raise LookupError("the id is empty")
    if isinstance(value, str):
        # Every datastore keys its records by it, and none can hold half a surrogate pair.
        if not value.isascii() and any("\ud800" <= mark <= "\udfff" for mark in value):
            raise LookupError(f"the id {ascii(value)[:40]} is not text: UTF-8 can't say it")
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes) and value:
        return str(plain(value))
    if isinstance(value, Unsendable):
        raise LookupError(f"the id can't be read: {value.why}")
    raise LookupError(f"the id must be text or a whole number, not {json.dumps(plain(value))[:40]}")
