"""One record: its key and its rank, read from a line of JSON. The rules of precedence live here.

A record is the object that a wrapper writes for each item: run, id, index, try, input, result or error,
target, wrapper, started_at, duration_ms, attempts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from wrapgen.errors import RecordsUnreadable

RETRYABLE, FINAL, RESULT = 0, 1, 2
"""Ranks: a result beats a final error, which beats a retryable one. The clock never decides."""


@dataclass(frozen=True)
class Standing:
    """What decides between records of one key: the rank, then the try."""

    run: str | None
    id: str
    index: int
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
    run, key, index, tries = (fields.get(name) for name in ("run", "id", "index", "try"))
    if not (run is None or isinstance(run, str)) or not isinstance(key, str):
        raise RecordsUnreadable(where=where, reason="it has no run and id")
    if ("result" in fields) == ("error" in fields):
        raise RecordsUnreadable(where=where, reason="it must have a result or an error")
    return Standing(
        run=run,
        id=key,
        index=index if isinstance(index, int) else 0,
        rank=rank(fields),
        tries=tries if isinstance(tries, int) else 0,
    )


def rank(fields: dict[str, Any]) -> int:
    """RESULT, FINAL or RETRYABLE."""
    error = fields.get("error")
    if "error" not in fields:
        return RESULT
    return RETRYABLE if isinstance(error, dict) and error.get("retryable") is True else FINAL
