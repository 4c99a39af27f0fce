"""The items of one call, and what became of each."""

from __future__ import annotations

import uuid
from typing import Any, Iterator

from .protocol import Failure, InputError, Request, dumps, encode_value, to_wire


class Item:
    """One input: its place in the call, its index in the run, its value and id."""

    call = ""  # what identifies the call, or the run, that it is part of
    taken: Any = None  # what a request to an endpoint takes of it
    usage: dict[str, Any] | None = None  # what its attempts cost, and the versions that answered
    version = ""  # of the model, as the endpoint's last answer for it reported
    wrong: tuple[str, ...] = ()  # what was wrong with its results so far
    said: Any = None  # what a model said, of which that was told

    def __init__(self, position: int, index: int, value: Any) -> None:
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)
        self.failure: Failure | None = None  # the one that it has before it is tried
        self.recordable = True  # False where a record would replace that of another item
        self.encoded = ""  # the value's JSON, once it was sent so
        self.sent = self.received = 0  # bytes to and from the target


class Outcome:
    """What became of an item: a result or a failure, as it travels, and how it went."""

    def __init__(self, value: Any, started_at: float | None, seconds: float, attempts: int, size: int = 0):
        """``value``: a result or a ``Failure``; ``size``: of a result that has been encoded with others."""
        self.value = value
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        self.failure = value if isinstance(value, Failure) else None
        self.record: Any = None
        self._text = ""
        if self.failure is None:
            self.wire: Any = to_wire(value)
            try:
                self._text = "" if size else encode_value(self.wire)
            except ValueError as error:
                self.failure = Failure("ParsingError", f"the result can't be written as JSON: {error}")
        if self.failure is not None:
            self.failure.attempts = attempts
            self.wire = {"$error": dict(self.failure.facts(), attempts=attempts)}
            self._text = dumps(self.wire)
        self.size = size or len(self._text)

    def encoded(self) -> str:
        """Its JSON as it travels."""
        return self._text or dumps(self.wire)

    def replaced(self, value: Any) -> Outcome:
        """Another result or failure of the same work."""
        return Outcome(value, self.started_at, self.seconds, self.attempts)


class Items:
    """The items of a request, read once from their travelling form; what can't be read fails alone."""

    def __init__(self, request: Request, values: list[Any]) -> None:
        """``values`` are the request's, or those of the file that it names."""
        self.request = request
        self.run = request.run  # the records'; a call that names neither run nor ids has one of its own
        self.call = request.run or uuid.uuid4().hex
        self.count = len(values)
        self.repeats: dict[int, int] = {}  # the first position of an item that is there again
        self._values = values

    def __iter__(self) -> Iterator[Item]:
        for position, value in enumerate(self._values):
            item = Item(position, self.request.index_of(position), value)
            item.call = self.call
            if self.request.ids is not None:
                item.id = self.request.ids[position]
            if type(value) is not str:
                self._read(item)
            yield item

    def _read(self, item: Item) -> None:
        try:
            if isinstance(item.value, InputError):  # a line of a file that is not JSON
                item.failure, item.value = item.value, None
                return
            item.value = self.request.value_of(item.value)
        except InputError as failure:
            item.failure = failure
        except ValueError as error:
            item.failure = InputError(f"the item can't be read: {error}")
