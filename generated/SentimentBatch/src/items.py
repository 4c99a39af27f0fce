"""The items of one call and what became of them: positions, ids, repeats, outcomes.

Nothing here calls the target or records anything.
"""

import hashlib
import json
import uuid
from typing import Any  # noqa: F401 - for the type comments

from .protocol import Failure, InputError, check_length, dumps, from_wire, to_wire


class Item:
    """One input: its place in the call, its value, its id and run index.

    ``fault`` is the failure it already has (malformed, or an id taken by another item). ``recordable`` is
    False when a record would clash with the one of the item that has the id.
    """

    __slots__ = ("fault", "id", "index", "position", "recordable", "value")

    def __init__(self, position, index, value):
        # type: (int, int, Any) -> None
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)
        self.fault = None  # type: Failure | None
        self.recordable = True


class Outcome:
    """What became of an item: a result (and its JSON as it travels) or a failure, and how it went."""

    __slots__ = ("attempts", "encoded", "failure", "seconds", "started_at", "value")

    def __init__(self, started_at, seconds, attempts):
        # type: (float | None, float, int) -> None
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        self.value = None  # type: Any
        self.encoded = None  # type: str | bytes | None
        self.failure = None  # type: Failure | None

    @classmethod
    def of_result(cls, value, started_at, seconds, attempts):
        # type: (Any, float | None, float, int) -> Outcome
        """A result; one that JSON can't say becomes a ParsingError."""
        outcome = cls(started_at, seconds, attempts)
        try:
            outcome.encoded = dumps(to_wire(value))
        except ValueError as error:
            words = "the result can't be written as JSON: {}".format(error)
            return cls.of_failure(Failure("ParsingError", words, False, attempts), started_at, seconds)
        outcome.value = value
        return outcome

    def to_wire(self):
        # type: () -> Any
        """The result or the failure as it travels in a batch."""
        return to_wire(self.value) if self.failure is None else self.failure.to_wire()

    @classmethod
    def of_failure(cls, failure, started_at, seconds=0.0):
        # type: (Failure, float | None, float) -> Outcome
        """A failure, whose own ``attempts`` say how often the target was called."""
        outcome = cls(started_at, seconds, failure.attempts)
        outcome.failure = failure
        outcome.encoded = dumps(failure.to_wire())
        return outcome


class Task:
    """The items that go to the target together, and the attempts they share.

    A call that is under way is among the attempts; ``halved`` once cut from a larger task.
    """

    __slots__ = ("attempts", "first_send", "halved", "items", "started_at")

    def __init__(self, items, first_send, attempts=0, halved=False):
        # type: (list, bool, int, bool) -> None
        self.items = items
        self.first_send = first_send
        self.attempts = attempts
        self.halved = halved
        self.started_at = None  # type: float | None

    @property
    def splits(self):
        # type: () -> bool
        """Whether there is anything to bisect."""
        return len(self.items) > 1


class Items:
    """Iterates over the items of a request once; ``repeats`` then maps each repeat to its first position.

    ``run`` and the items' ids are the caller's. Where the caller names neither, ``item_id`` decides: "random"
    numbers the items within a run of their own, "content" or a path finds the id in the item itself.
    """

    def __init__(self, request, values, item_id="random"):
        # type: (Any, Any, str | list) -> None
        self._request = request
        self._values = values
        named = request.run is not None or request.ids is not None
        self._id_of = None if named or item_id == "random" else finder(item_id)
        self.run = request.run if named or self._id_of else uuid.uuid4().hex
        self.send = request.send
        self._first = {}  # type: dict
        self.count = 0
        self.repeats = {}  # type: dict

    def __iter__(self):
        for value in self._values:
            position = self.count
            self.count += 1
            for key in ("ids", "index"):
                listed = getattr(self._request, key)
                if isinstance(listed, list) and position >= len(listed):
                    raise InputError("${} has fewer entries than there are items".format(key))
            item = self._item(position, value)
            if item is not None:
                yield item
        check_length("$ids", self._request.ids, self.count)
        check_length("$index", self._request.index, self.count)

    def _item(self, position, value):
        """The item at a position, or None where it repeats an earlier one."""
        item = Item(position, self._request.index_of(position), value)
        if self._request.ids is not None:
            item.id = self._request.ids[position]
        try:
            if self._request.form != "item":
                item.value = from_wire(value)
            if self._request.ids is None and self._id_of is not None:
                item.id = content_id(item.value)
                item.id = self._id_of(item.value)
        except InputError as fault:
            item.fault = fault
        if self._request.ids is None and self._id_of is None:
            return item
        first, content = self._first.setdefault(item.id, (position, content_id(item.value)))
        if first == position:
            return item
        if content == content_id(item.value):
            self.repeats[position] = first
            return None
        item.fault = InputError("id {!r} is taken by a different item of this call".format(item.id))
        item.recordable = False
        return item


def finder(item_id):
    # type: (str | list) -> Any
    """The function that finds the id of an item: its content, or what is at a path of keys and places."""
    if item_id == "content":
        return content_id

    def at_path(value):
        for step in item_id:
            try:
                value = value[step]
            except (TypeError, KeyError, IndexError):
                raise InputError("the item has no id at {}".format(item_id)) from None
        if isinstance(value, str) and value:
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        raise InputError("the id at {} must be a text or a whole number".format(item_id))

    return at_path


def content_id(value):
    # type: (Any) -> str
    """The same short text for equal items, whatever the order of their keys."""
    text = json.dumps(to_wire(value), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()
