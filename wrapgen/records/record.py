"""One record: its key and its rank, read from a line of JSON. The rules of precedence live here.

A record is the object that a wrapper writes for each item: run, id, index, try, input, result or error,
target, wrapper, started_at, duration_ms, attempts.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from wrapgen.errors import RecordsUnreadable
from wrapgen.protocol import end_of_value, over_limit

RETRYABLE, FINAL, RESULT = 0, 1, 2
"""Ranks: a result beats a final error, which beats a retryable one. The clock never decides."""


class RecordRank(NamedTuple):
    """What decides between records of one key: the rank, then the try."""

    run: str | None
    id: str
    position: int
    rank: int
    tries: int


def read(line: bytes, where: str) -> tuple[RecordRank, dict[str, Any]]:
    """The rank and the fields of one line.

    Args:
        line: one JSON object.
        where: names the line in an error, such as `data://acme/scores/x.jsonl line 3`.

    Raises:
        RecordsUnreadable: it is no record.
    """
    try:
        fields = fields_of(line)
    except (ValueError, LookupError, RecursionError) as error:
        raise RecordsUnreadable(where=where, reason="it is not JSON") from error
    if not isinstance(fields, dict):
        raise RecordsUnreadable(where=where, reason="it is not an object")
    return rank_of(fields, where), fields


def payload_of(text: bytes) -> Any:
    """A part of a record, decoded; of one that is over the limits of JSON, in what it is.

    Raises:
        ValueError, RecursionError: it is not JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        if reason := over_limit(text):
            return {"$unreadable": f"it {reason}"}
        raise


def fields_of(line: bytes) -> Any:
    """A record's line, decoded, each of its parts as `payload_of` reads it.

    Raises:
        ValueError, LookupError, RecursionError: it is not JSON.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        if not over_limit(line):
            raise
    text = line.decode("utf-8").strip()
    fields: dict[str, Any] = {}
    at = 0
    while text[at] != "}":
        end = end_of_value(text, at + 1)
        name, at = json.loads(text[at + 1 : end]), text.index(":", end) + 1
        end = end_of_value(text, at)
        fields[name] = payload_of(text[at:end].encode())
        at = end + len(text[end:]) - len(text[end:].lstrip())
    return fields


def rank_of(fields: dict[str, Any], where: str) -> RecordRank:
    """The rank of a record's fields.

    Raises:
        RecordsUnreadable: they are no record's.
    """
    run, key, index, tries = fields.get("run"), fields.get("id"), fields.get("index"), fields.get("try")
    if not (run is None or isinstance(run, str)) or not isinstance(key, str):
        raise RecordsUnreadable(where=where, reason="it has no run and id")
    if ("result" in fields) == ("error" in fields):
        raise RecordsUnreadable(where=where, reason="it must have a result or an error")
    return RecordRank(
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
