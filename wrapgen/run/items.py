"""From a row to an item and its id: the whole row, one field, or a template. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from wrapgen import wire
from wrapgen.errors import RunError, UsageError
from wrapgen.run.chunks import Entry
from wrapgen.run.connectors.base import Row, Source

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")


@dataclass(frozen=True)
class Selection:
    """What of a row is the item, and what is its id; all of it kept in the ledger.

    Args:
        field: the item is this field of the row (`text`, or `user.text` for a nested one); None: no field.
        template: the item is this JSON text with `{field}` replaced; None: no template.
        id: the field that is the id; None: the run index is.
    """

    field: str | None = None
    template: str | None = None
    id: str | None = None


def entries(source: Source, selection: Selection, *, again: bool = False) -> Iterator[Entry]:
    """Every row of a source as an item with its run index.

    Args:
        source: the input.
        selection: what of a row is the item.
        again: the input has been read before, so what need not be decoded is not checked once more.

    Raises:
        RunError: a row has no such field, or its id is neither text nor a whole number; names the place.
        UsageError: the template is not JSON, or stands beside a field.
    """
    texts = source.texts() if again and selection == Selection() else None
    if texts is None:
        return _selected(source, selection)
    return (
        Entry(index, text if b"$error" not in text[:16] else _whole(Row(json.loads(text), text, index)), None)
        for index, text in enumerate(texts)
    )


def _selected(source: Source, selection: Selection) -> Iterator[Entry]:
    make = _maker(selection)
    pick_id = selection.id
    for index, row in enumerate(source.rows()):
        try:
            item = make(row)
            id_ = None if pick_id is None else _id(field_of(row.value, pick_id))
        except (LookupError, wire.WireError) as error:
            reason = error.args[0] if error.args else "unreadable"
            raise RunError(f"{source.name}, row at {row.place}: {reason}") from error
        yield Entry(index, item, id_)


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
            raise LookupError(f"there is no field {path!r}")
    return found


def _maker(selection: Selection) -> Callable[[Row], bytes]:
    if selection.field is not None and selection.template is not None:
        raise UsageError("give --field or --template, not both")
    if selection.field is not None:
        field = selection.field
        return lambda row: wire.dumps(wire.to_wire(field_of(row.value, field)))
    if selection.template is not None:
        try:
            template = json.loads(selection.template)
        except ValueError as error:
            raise UsageError(
                f"the template is not JSON: {error}", hint="""such as --template '{"document": "{text}"}'"""
            ) from error
        return lambda row: wire.dumps(wire.to_wire(_fill(template, row.value)))
    return _whole


def _whole(row: Row) -> bytes:
    """The row as it is. JSON rows are items as in `$batch`: $binary and $literal mean what they do there."""
    value, raw, _ = row
    if raw is None:
        return wire.dumps(wire.to_wire(value))
    if type(value) is dict and len(value) == 1 and "$error" in value:
        return b'{"$literal":' + raw + b"}"
    return raw


def _fill(template: Any, row: Any) -> Any:
    if isinstance(template, dict):
        return {key: _fill(value, row) for key, value in template.items()}
    if isinstance(template, list):
        return [_fill(value, row) for value in template]
    if not isinstance(template, str):
        return template
    whole = _PLACE.fullmatch(template)
    if whole and whole[1]:
        # Alone in its string, a field keeps its type.
        return field_of(row, whole[1])

    def put(match: re.Match[str]) -> str:
        if not match[1]:
            return match[0][0]
        value = field_of(row, match[1])
        return value if isinstance(value, str) else wire.dumps(value).decode("ascii")

    return _PLACE.sub(put, template)


def _id(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise LookupError(f"the id must be text or a whole number, not {json.dumps(value)[:40]}")
