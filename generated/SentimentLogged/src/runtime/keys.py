"""What records are known by: the items of one call with their ids, and which of them repeat others."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, Iterator

from .items import Item, Items
from .protocol import InputError, Request, to_wire


class KeyedItems(Items):
    """Ids are the caller's, else what ``record_id`` finds in items, else numbers within a run of its own.

    An item with the id of an earlier one is not iterated over: equal, it is in ``repeats``; else it fails.
    """

    def __init__(self, request: Request, values: list[Any], record_id: Any = None) -> None:
        super().__init__(request, values)
        named = request.run is not None or request.ids is not None
        self.run = request.run if named or record_id else uuid.uuid4().hex
        self.has_lasting_ids = named or record_id is not None  # another call may mean the same records
        self._record_id: Any = None if named else record_id
        self._first: dict[str, tuple[int, str]] = {}

    def __iter__(self) -> Iterator[Item]:
        are_unique = self._record_id is None and self.request.ids is None
        return (item for item in super().__iter__() if are_unique or self._is_first(item))

    def _is_first(self, item: Item) -> bool:
        content = _content(item)
        if self._record_id is not None:
            item.id = self._record_id.of_item(item, content)
        first, known = self._first.setdefault(item.id, (item.position, content))
        if first == item.position:
            return True
        if content == known:
            self.repeats[item.position] = first
            return False
        item.failure = InputError(f"id {item.id!r} is taken by a different item of this call")
        item.recordable = False
        return True


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
