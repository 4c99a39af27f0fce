"""What records are known by: the items of one call with their ids, and which of them repeat others."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from .items import Item, Items
from .protocol import InputError, Request, to_wire


class KeyedItems(Items):
    """Ids are the caller's, else what ``record_id`` finds in items, else numbers within a run of its own.

    An item with the id of an earlier one ``repeats`` it where they are equal, and else fails.
    """

    def __init__(self, request: Request, values: list[Any], record_id: Any = None) -> None:
        super().__init__(request, values)
        named = request.run is not None or request.ids is not None
        self.has_lasting_ids = named or record_id is not None  # another call may mean the same records
        if not self.has_lasting_ids:
            self.run = uuid.uuid4().hex
        elif request.ids is not None or not named:
            self._find_repeated(None if named else record_id)

    def _find_repeated(self, record_id: Any) -> None:
        found: dict[str, tuple[Item, str]] = {}
        for item in self.listed:
            content = _content(item)
            if record_id is not None:
                item.id = record_id.of_item(item, content)
            first, known = found.setdefault(item.id, (item, content))
            if first is not item and content == known:
                item.repeats = first
            elif first is not item:
                item.failure = InputError(f"id {item.id!r} is taken by a different item of this call")
                item.recordable = False


def _content(item: Item) -> str:
    """A text that only equal items share; one that can't be written as JSON is like no other."""
    try:
        if item.value is not None or item.failure is None:
            return digest(to_wire(item.value) if item.failure is None else item.value)
    except ValueError as error:
        item.failure = item.failure or InputError(f"the item can't be written as JSON: {error}")
    return uuid.uuid4().hex


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: Any) -> bytes:
    """The same bytes for equal values, whatever the order of their keys. Raises ``ValueError``."""
    try:
        return _canonical(value).encode("ascii")
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def digest(value: Any) -> str:
    """A SHA-256 of a value as it travels. Raises ``ValueError`` for what JSON can't say."""
    return hashlib.sha256(canonical(value)).hexdigest()
