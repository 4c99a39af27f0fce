"""The items of one call and what became of them: positions, ids, repeats, outcomes.

Nothing here calls the target or records anything.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any, Iterable, Iterator

from .protocol import (
    ITEM,
    Failure,
    InputError,
    Request,
    check_limits,
    dumps,
    encode_value,
    from_wire,
    to_wire,
)


class Item:
    """One input: its place in the call, its value, its id and run index."""

    __slots__ = (
        "encoded",
        "failure",
        "id",
        "index",
        "known",
        "position",
        "received",
        "recordable",
        "sent",
        "value",
    )

    def __init__(self, position: int, index: int, value: Any) -> None:
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)
        self.failure: Failure | None = None  # the one that it has before it is tried
        self.known: Outcome | None = None  # the one that needs no call
        self.recordable = True  # False where a record would replace the one of the item that has the id
        self.encoded = ""  # its JSON, where it is sent as part of a list
        self.sent = self.received = 0  # bytes to and from the target


class Outcome:
    """What became of an item: a result or a failure, also as it travels and as JSON; and how it went."""

    __slots__ = ("attempts", "encoded", "failure", "seconds", "started_at", "value", "wire")

    def __init__(
        self, wire: Any, encoded: str, started_at: float | None, seconds: float, attempts: int
    ) -> None:
        self.wire = wire
        self.encoded = encoded
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        self.value: Any = None
        self.failure: Failure | None = None

    @classmethod
    def of_result(cls, value: Any, started_at: float | None, seconds: float, attempts: int) -> Outcome:
        """A result; one that JSON can't say becomes a ParsingError."""
        wire = to_wire(value)
        try:
            outcome = cls(wire, encode_value(wire), started_at, seconds, attempts)
        except ValueError as error:
            message = f"the result can't be written as JSON: {error}"
            return cls.of_failure(Failure("ParsingError", message, False, attempts), started_at, seconds)
        outcome.value = value
        return outcome

    @classmethod
    def of_failure(cls, failure: Failure, started_at: float | None, seconds: float = 0.0) -> Outcome:
        """A failure, whose own ``attempts`` say how often the target was called."""
        wire = failure.to_wire()
        outcome = cls(wire, dumps(wire), started_at, seconds, failure.attempts)
        outcome.failure = failure
        return outcome


class Task:
    """The items that go to the target together, and the attempts they share; one under way is among them."""

    __slots__ = ("attempts", "items", "may_retry", "part", "seconds", "started_at")

    def __init__(self, items: list[Item], may_retry: bool) -> None:
        """``may_retry`` is False where earlier sends of the items may have used their attempts up."""
        self.items = items
        self.may_retry = may_retry
        self.part = False  # whether it was cut from a longer list
        self.attempts = 0
        self.seconds = 0.0  # that calls of the target took, without the pauses in between
        self.started_at: float | None = None

    def out_of_time(self) -> Failure:
        """The failure of items that time ran out for."""
        when = "while the item was tried" if self.attempts else "before the item was tried"
        return Failure("DeadlineExceeded", f"the time of this call ran out {when}", True, self.attempts)

    def unfinished(self, stopped: Failure | None) -> Outcome:
        """What becomes of its items when work ends before they do: ``stopped`` says why, else it was time."""
        failure = self.out_of_time()
        if stopped is not None:
            failure = Failure(stopped.error_type, stopped.message, True, self.attempts)
        return Outcome.of_failure(failure, self.started_at)


class Items:
    """Iterates over the items of a request once; ``repeats`` then maps each repeat to its first position.

    ``run`` and the items' ids are the caller's. Where the caller names neither, ``record_id`` finds the id in
    the item itself; without it, the items are numbered within a run of their own.
    """

    def __init__(self, request: Request, values: Iterable[Any], record_id: Any = None) -> None:
        self._request = request
        self._values = values
        named = request.run is not None or request.ids is not None
        self._record_id = None if named else record_id
        self.run = request.run if named or record_id else uuid.uuid4().hex
        self.has_lasting_ids = named or record_id is not None  # another call may mean the same records
        self.try_number = request.try_number
        self._first: dict[str, tuple[int, str]] = {}
        self.count = 0
        self.repeats: dict[int, int] = {}

    def __iter__(self) -> Iterator[Item]:
        for position, value in enumerate(self._values):
            self.count = position + 1
            item = Item(position, self._request.index_of(position), value)
            self._read(item)
            if (self._record_id is None and self._request.ids is None) or self._is_first(item):
                yield item

    def _read(self, item: Item) -> None:
        """From the travelling form to the value; what can't be read fails alone."""
        if isinstance(item.value, InputError):  # a line of a file that is not JSON
            item.failure, item.value = item.value, None
            return
        try:
            check_limits(item.value)
            if self._request.form != ITEM:
                item.value = from_wire(item.value)
        except InputError as failure:
            item.failure = failure
        except ValueError as error:
            item.failure = InputError(f"the item can't be read: {error}")

    def _is_first(self, item: Item) -> bool:
        """Give an item its id. False where it repeats an earlier one; a different item with its id fails."""
        content = self._content(item)
        item.id = self._request.ids[item.position] if self._request.ids else self._own_id(item, content)
        first, known = self._first.setdefault(item.id, (item.position, content))
        if first == item.position:
            return True
        if content == known:
            self.repeats[item.position] = first
            return False
        item.failure = InputError(f"id {item.id!r} is taken by a different item of this call")
        item.recordable = False
        return True

    def _own_id(self, item: Item, content: str) -> str:
        if self._record_id is None:
            return content
        try:
            if item.failure is None:
                return self._record_id.of_value(item.value)
        except InputError as failure:
            item.failure = failure
        return self._record_id.of_content(content)

    @staticmethod
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
