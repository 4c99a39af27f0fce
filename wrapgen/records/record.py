"""One record: its key and its rank, read from a line of JSON. The rules of precedence live here.

A record is the object that a wrapper writes for each item: run, id, index, try, input, result or error,
target, wrapper, started_at, duration_ms, attempts.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from wrapgen.errors import RecordsUnreadable

RETRYABLE, FINAL, RESULT = 0, 1, 2
"""Ranks: a result beats a final error, which beats a retryable one. The clock never decides."""


class Standing(NamedTuple):
    """What decides between records of one key: the rank, then the try."""

    run: str | None
    id: str
    position: int
    rank: int
    tries: int


def read(line: bytes, where: str) -> tuple[Standing, dict[str, Any]]:
    """The standing and the fields of one line.

    Args:
        line: one JSON object.
        where: names the line in an error, such as `data://acme/scores/x.jsonl line 3`.

    Raises:
        RecordsUnreadable: it is no record.
    """
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RecordsUnreadable(where=where, reason="it is not JSON") from error
    if not isinstance(fields, dict):
        raise RecordsUnreadable(where=where, reason="it is not an object")
    return standing(fields, where), fields


def standing(fields: dict[str, Any], where: str) -> Standing:
    """The standing of a record's fields.

    Raises:
        RecordsUnreadable: they are no record's.
    """
    run, key, index, tries = fields.get("run"), fields.get("id"), fields.get("index"), fields.get("try")
    if not (run is None or isinstance(run, str)) or not isinstance(key, str):
        raise RecordsUnreadable(where=where, reason="it has no run and id")
    if ("result" in fields) == ("error" in fields):
        raise RecordsUnreadable(where=where, reason="it must have a result or an error")
    return Standing(
        run=run,
        id=key,
        position=_small(index),
        rank=rank(fields),
        tries=_small(tries),
    )


def _small(value: Any) -> int:
    """A number that decides an order; what is none counts as 0."""
    return value if isinstance(value, int) and 0 <= value < 1 << 63 else 0


def rank(fields: dict[str, Any]) -> int:
    """RESULT, FINAL or RETRYABLE."""
    error = fields.get("error")
    if "error" not in fields:
        return RESULT
    return RETRYABLE if isinstance(error, dict) and error.get("retryable") is True else FINAL
