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
    False when a record would clash with the one of the item that has the id. ``encoded`` is its JSON, where
    it is sent as part of a list.
    """

    __slots__ = ("encoded", "fault", "id", "index", "position", "recordable", "value")

    def __init__(self, position, index, value):
        # type: (int, int, Any) -> None
        self.position = position
        self.index = index
        self.value = value
        self.id = str(index)
        self.fault = None  # type: Failure | None
        self.recordable = True
        self.encoded = None  # type: str | None


class Outcome:
    """What became of an item: a result or a failure, also as it travels and as JSON; and how it went."""

    __slots__ = ("attempts", "encoded", "failure", "seconds", "started_at", "value", "wire")

    def __init__(self, wire, started_at, seconds, attempts):
        # type: (Any, float | None, float, int) -> None
        """Raises ``ValueError`` when JSON can't say what travels."""
        self.encoded = dumps(wire)
        self.wire = wire
        self.started_at = started_at
        self.seconds = seconds
        self.attempts = attempts
        self.value = None  # type: Any
        self.failure = None  # type: Failure | None

    @classmethod
    def of_result(cls, value, started_at, seconds, attempts):
        # type: (Any, float | None, float, int) -> Outcome
        """A result; one that JSON can't say becomes a ParsingError."""
        try:
            outcome = cls(to_wire(value), started_at, seconds, attempts)
        except ValueError as error:
            words = "the result can't be written as JSON: {}".format(error)
            return cls.of_failure(Failure("ParsingError", words, False, attempts), started_at, seconds)
        outcome.value = value
        return outcome

    @classmethod
    def of_failure(cls, failure, started_at, seconds=0.0):
        # type: (Failure, float | None, float) -> Outcome
        """A failure, whose own ``attempts`` say how often the target was called."""
        outcome = cls(failure.to_wire(), started_at, seconds, failure.attempts)
        outcome.failure = failure
        return outcome


class Task:
    """The items that go to the target together, and the attempts they share.

    A call that is under way is among the attempts.
    """

    __slots__ = ("attempts", "first_send", "items", "started_at")

    def __init__(self, items, first_send):
        # type: (list, bool) -> None
        self.items = items
        self.first_send = first_send
        self.attempts = 0
        self.started_at = None  # type: float | None

    def is_over(self, failure):
        # type: (Failure) -> bool
        """Whether no further attempt follows this failure, though another could help."""
        del failure
        return False


def unfinished(task, stopped):
    # type: (Any, Failure | None) -> Outcome
    """What becomes of the items of a task that is open when work ends; the attempts they had stay theirs.

    ``stopped`` is what stops everyone; without it, time ran out.
    """
    if stopped is not None:
        failure = Failure(stopped.error_type, stopped.message, True, task.attempts)
    else:
        failure = out_of_time(task.attempts)
    return Outcome.of_failure(failure, task.started_at)


def out_of_time(attempts):
    # type: (int) -> Failure
    """The failure of an item that the soft stop found open."""
    when = "while the item was tried" if attempts else "before the item was tried"
    return Failure("DeadlineExceeded", "the time of this call ran out " + when, True, attempts)


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
        has_own_id = not named and item_id != "random"
        self._has_id = has_own_id or request.ids is not None
        self._path = item_id if has_own_id and item_id != "content" else None  # type: Any
        self.run = request.run if named or has_own_id else uuid.uuid4().hex
        self.send = request.send
        self._first = {}  # type: dict
        self.count = 0
        self.repeats = {}  # type: dict

    def __iter__(self):
        named = (("$ids", self._request.ids), ("$index", self._request.index))
        listed = [(key, given) for key, given in named if isinstance(given, list)]
        for position, value in enumerate(self._values):
            self.count = position + 1
            for key, given in listed:
                if position >= len(given):
                    raise InputError("{} has fewer entries than there are items".format(key))
            item = self._item(position, value)
            if item is not None:
                yield item
        for key, given in listed:
            check_length(key, given, self.count)

    def _item(self, position, value):
        """The item at a position, or None where it repeats an earlier one."""
        item = Item(position, self._request.index_of(position), value)
        try:
            if self._request.form != "item":
                item.value = from_wire(value)
        except InputError as fault:
            item.fault = fault
        if not self._has_id:
            return item
        content = self._content(item)
        item.id = self._own_id(item, content) if self._request.ids is None else self._request.ids[position]
        first, known = self._first.setdefault(item.id, (position, content))
        if first == position:
            return item
        if content == known:
            self.repeats[position] = first
            return None
        item.fault = InputError("id {!r} is taken by a different item of this call".format(item.id))
        item.recordable = False
        return item

    def _own_id(self, item, content):
        if self._path is None:
            return content
        try:
            return id_at(item.value, self._path)
        except InputError as fault:
            item.fault = item.fault or fault
            return content

    @staticmethod
    def _content(item):
        """The content id of an item; one that has none is like no other, and has its fault."""
        try:
            return digest(item.value) if item.fault else content_id(item.value)  # malformed: as it travelled
        except ValueError as error:
            item.fault = item.fault or InputError("the item can't be written as JSON: {}".format(error))
            return uuid.uuid4().hex


def id_at(value, path):
    # type: (Any, list) -> str
    """The id of an item at a path of keys and places. Raises ``InputError``."""
    for step in path:
        try:
            value = value[step] if isinstance(value, (dict, list)) else None
        except (TypeError, KeyError, IndexError):
            value = None
    if value is None:
        raise InputError("the item has no id at {}".format(path))
    if isinstance(value, str) and value:
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise InputError("the id at {} must be a text or a whole number".format(path))


_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def content_id(value):
    # type: (Any) -> str
    """The same short text for equal items, whatever the order of their keys. Raises ``ValueError``."""
    return digest(to_wire(value))


def digest(wire):
    # type: (Any) -> str
    """A short text for an item as it travels. Raises ``ValueError`` for what JSON can't say."""
    try:
        text = _canonical(wire)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    return hashlib.sha256(text.encode("ascii")).hexdigest()
