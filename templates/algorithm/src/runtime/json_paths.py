"""What ``mapping.py`` reads items and answers with, beside plain Python: it never takes a text for a list."""

from __future__ import annotations

import json
from typing import Any, Iterable


def elements(value: Any) -> list[Any]:
    """A list as it is. Raises ``TypeError`` for anything else, also for a text."""
    if not isinstance(value, list):
        raise TypeError(f"a list is expected, not {_kind(value)}")
    return value


def element(value: Any, index: int) -> Any:
    """One element of a list. Raises ``TypeError``, or ``IndexError``."""
    return elements(value)[index]


def at(value: Any, *steps: Any) -> Any:
    """What stands at a path of keys and indexes; None where there is nothing."""
    for step in steps:
        try:
            value = element(value, step) if isinstance(step, int) else value[step]
        except (LookupError, TypeError):
            return None
    return value


def text(value: Any) -> str:
    """A value inside a text: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value)


def rows(*columns: Iterable[Any]) -> list[Any]:
    """One row for each item, of columns that are equally long. Raises ``ValueError``."""
    lists = [elements(column) for column in columns]
    if len({len(one) for one in lists}) > 1:
        raise ValueError(f"its lists have {', '.join(str(len(one)) for one in lists)} elements")
    return list(zip(*lists))


def matched(results: list[Any], found: Iterable[Any], wanted: Iterable[Any]) -> list[Any]:
    """The results in the order of the ids ``wanted``, of those ``found``. Raises ``ValueError``."""
    by_id: dict[str, list[Any]] = {}
    for one, result in rows(list(found), results):
        by_id.setdefault(text(one), []).insert(0, result)
    try:
        return [by_id[text(one)].pop() for one in wanted]
    except LookupError:
        raise ValueError("it has no result for the id of an item") from None


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
