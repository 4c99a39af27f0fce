"""The items of one call: their ids, which of them repeat others, and what became of each."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, Iterable, Iterator

from .protocol import Failure, InputError, Request, dumps, encode_value, to_wire


class Item:
    """One input: its place in the call, its index in the run, its value and id."""

    call = ""  # what identifies the call, or the run, that it is part of
    taken: Any = None  # what a request to an endpoint takes of it
    usage: dict[str, Any] | None = None  # what its attempts cost, and the versions that answered
    wrong: tuple[str, ...] = ()  # what was wrong with its results so far
    said: Any = None  # what a model said, of which that was told

    def __init__(self, position: int, index: int, value: Any) -> None:
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)
        self.failure: Failure | None = None  # the one that it has before it is tried
        self.known: Outcome | None = None  # the one that needs no call
        self.recordable = True  # False where a record would replace that of another item
        self.encoded = ""  # the value's JSON, once it was sent so
        self.sent = self.received = 0  # bytes to and from the target


class Outcome:
    """What became of an item: a result or a failure, as it travels, and how it went."""

    def __init__(
        self, value: Any, started_at: float | None, seconds: float, attempts: int, size: int = 0
    ) -> None:
        """``value``: a result or a ``Failure``; ``size``: of a result that has been encoded with others."""
        self.value = value
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        self.failure = value if isinstance(value, Failure) else None
        self.wire: Any = None
        self.record: Any = None
        self._encoded = ""
        if self.failure is None:
            self.wire = to_wire(value)
            try:
                self._encoded = "" if size else encode_value(self.wire)
            except ValueError as error:
                self.failure = Failure("ParsingError", f"the result can't be written as JSON: {error}")
        if self.failure is not None:
            self.failure.attempts = attempts
            self.wire = {"$error": dict(self.failure.facts(), attempts=attempts)}
            self._encoded = dumps(self.wire)
        self.size = size or len(self._encoded)

    def encoded(self) -> str:
        """Its JSON as it travels."""
        return self._encoded or dumps(self.wire)

    def drop_value(self) -> None:
        """Forget all that takes memory."""
        self.value = self.wire = self._encoded = ""

    def replaced(self, value: Any) -> Outcome:
        """Another result or failure of the same work."""
        return Outcome(value, self.started_at, self.seconds, self.attempts)


class Items:
    """Iterates over the items of a request once; ``repeats`` then maps each repeat to its first position.

    Ids are the caller's, else those that ``record_id`` finds in items, else numbers within a run of its own.
    """

    def __init__(self, request: Request, values: Iterable[Any], record_id: Any = None) -> None:
        named = request.run is not None or request.ids is not None
        self.request = request
        self.run = request.run if named or record_id else uuid.uuid4().hex
        self.has_lasting_ids = named or record_id is not None  # another call may mean the same records
        self.call = self.run if named and self.run else uuid.uuid4().hex
        self.count = 0
        self.repeats: dict[int, int] = {}
        self._values = values
        self._record_id: Any = None if named else record_id
        self._first: dict[str, tuple[int, str]] = {}

    def __iter__(self) -> Iterator[Item]:
        for position, value in enumerate(self._values):
            self.count = position + 1
            item = Item(position, self.request.index_of(position), value)
            item.call = self.call
            self._read(item)
            if (self._record_id is None and self.request.ids is None) or self._is_first(item):
                yield item

    def _read(self, item: Item) -> None:
        """From the travelling form to the value; what can't be read fails alone."""
        try:
            if isinstance(item.value, InputError):  # a line of a file that is not JSON
                raise item.value
            if type(item.value) is not str:
                item.value = self.request.value_of(item.value)
        except InputError as failure:
            item.failure, item.value = failure, None if failure is item.value else item.value
        except ValueError as error:
            item.failure = InputError(f"the item can't be read: {error}")

    def _is_first(self, item: Item) -> bool:
        """Give an item its id. False where it repeats an earlier one; a different item with its id fails."""
        content = _content(item)
        ids = self.request.ids
        item.id = ids[item.position] if ids else self._record_id.of_item(item, content)
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
