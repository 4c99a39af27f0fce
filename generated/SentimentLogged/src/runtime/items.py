"""The items of one call, and what became of each."""

from __future__ import annotations

import uuid
from typing import Any, Iterator

from . import protocol
from .protocol import Failure, InputError, Request, check_limits


class Item:
    """One input: its place in the call, its index in the run, its value and id, and its outcome."""

    call = ""  # what identifies the call, or the run, that it is part of
    failure: Failure | None = None  # the one that it has before it is tried
    outcome: Outcome | None = None
    repeats: Item | None = None  # an earlier one, whose outcome is its own
    recordable = True  # False where a record would replace that of another item
    encoded = ""  # the value's JSON, once it was sent so
    listed: tuple[int, str] | None = None  # the JSON of a list that begins with it, and its length
    sent = received = 0  # bytes to and from the target
    notes: Any = None  # what the target's own module keeps of it
    version = ""  # of the model, as the endpoint's last answer for it reported

    def __init__(self, position: int, index: int, value: Any) -> None:
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)


class Outcome:
    """A result or a failure, as it travels, and how it came about."""

    failure: Failure | None = None
    record: Any = None

    def __init__(self, value: Any, started_at: float | None, seconds: float, attempts: int, size: int = 0):
        """``value``: a result or a ``Failure``; ``size``: of a result that has been encoded with others."""
        self.value = value
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        if not isinstance(value, Failure):
            self.wire = protocol.to_wire(value)
            try:
                self._text = "" if size else protocol.encode_value(self.wire)
                self.size = size or len(self._text)
                return
            except ValueError as error:
                value = Failure("ParsingError", f"the result can't be written as JSON: {error}")
        value.__traceback__ = value.__context__ = None  # they would keep requests and connections alive
        value.attempts = attempts
        self.failure = value
        self.wire = {"$error": dict(value.facts(), attempts=attempts)}
        self._text = protocol.dumps(self.wire)
        self.size = len(self._text)

    def encoded(self) -> str:
        """Its JSON as it travels."""
        return self._text or protocol.dumps(self.wire)

    def replaced(self, value: Any) -> Outcome:
        """Another result or failure of the same work."""
        return Outcome(value, self.started_at, self.seconds, self.attempts)


class Items:
    """The items of a request, read from their travelling form; what can't be read fails alone."""

    raises = False  # whether the first failure ends the call

    def __init__(self, request: Request, values: list[Any]) -> None:
        """``values`` are the request's, or those of the file that it names."""
        self.request = request
        self.run = request.run  # the records'; a call that names neither run nor ids has one of its own
        self.call = request.run or uuid.uuid4().hex
        self._are_fine = _is_fine(values)  # all of them, which is known sooner than of each
        self.listed = [self._item(position, value) for position, value in enumerate(values)]

    def once(self) -> list[Item]:
        """Those that repeat no other."""
        return [item for item in self.listed if item.repeats is None]

    def outcomes(self) -> list[Outcome]:
        """Those of all items, in order."""
        found = [(item.repeats or item).outcome for item in self.listed]
        return [outcome for outcome in found if outcome is not None]

    def failures(self) -> Iterator[tuple[Item, Outcome, Failure]]:
        """The items that failed or were not tried."""
        for item in self.listed:
            if item.outcome is not None and item.outcome.failure is not None:
                yield item, item.outcome, item.outcome.failure

    def _item(self, position: int, value: Any) -> Item:
        item = Item(position, self.request.index_of(position), value)
        item.call = self.call
        if self.request.ids is not None:
            item.id = self.request.ids[position]
        try:
            if isinstance(value, InputError):  # a line of a file that is not JSON
                item.failure, item.value = value, None
            elif type(value) is not str:
                if not self._are_fine:
                    check_limits(value)
                item.value = value if self.request.form == protocol.ITEM else protocol.from_wire(value)
        except InputError as failure:
            item.failure = failure
        except ValueError as error:
            item.failure = InputError(f"the item can't be read: {error}")
        return item


def _is_fine(values: list[Any]) -> bool:
    try:
        check_limits(values, level=0)
    except ValueError:
        return False
    return True
