"""What requests to an endpoint note of an item from one to the next."""

from __future__ import annotations

from typing import Any

from .items import Item


class Notes:
    """Those of one item."""

    taken: Any = None  # what a request takes of it
    usage: dict[str, Any] | None = None  # what its attempts cost, and the versions that answered
    wrong: tuple[str, ...] = ()  # what was wrong with its results so far
    said: Any = None  # what a model said, of which that was told


def notes_of(item: Item) -> Notes:
    """The item's, made when they are first asked for."""
    if item.notes is None:
        item.notes = Notes()
    notes: Notes = item.notes
    return notes
