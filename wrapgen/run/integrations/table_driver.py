"""What a driver of Spark or Ray decides before its tasks start: arguments, run, types of results."""

from __future__ import annotations

import importlib.util
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any
from uuid import uuid4

from wrapgen import protocol
from wrapgen.errors import MissingExtra, UsageError
from wrapgen.run.integrations.table_plan import CONTENT

PROBE = 20
"""Rows whose results say what type results have, where no schema is declared."""

DECLARE = "declare it: schema='double', 'label string, score double', or 'json'"

JSON = "json"
"""The schema that takes every result, as JSON text."""


class NoRows(UsageError):
    """Without a row there is no result that could say its type."""

    def __init__(self) -> None:
        super().__init__("there is no row that could say what type results have", hint=DECLARE)


def require(extra: str, engine: str, packages: Iterable[str]) -> None:
    """Checks for what an engine needs in Python; the first package is the engine itself.

    Raises:
        MissingExtra: one is not installed.
    """
    for at, name in enumerate(packages):
        if importlib.util.find_spec(name) is None:
            raise MissingExtra(extra=extra, needed_for=f"{engine} ({name} is missing)" if at else engine)


def check_numbers(**given: float | None) -> None:
    """Makes sure that numbers are 1 or more, or None.

    Raises:
        UsageError: one is not.
    """
    for name, value in given.items():
        if value is not None and value < 1:
            raise UsageError(f"{name} is {value}", hint="it is 1 or more")


def digest_or_column(columns: Sequence[str], id: str) -> str:  # noqa: A002  # the word of the public signature
    """The id as a plan has it: `content` is the digest, unless it could be a column."""
    if id != "content":
        return id
    if id in columns:
        raise UsageError(
            "id 'content' could be the digest of the item or the column of that name",
            hint=f"write {CONTENT!r} for the digest, or rename the column",
        )
    return CONTENT


def run_id(run: str | None, engine: str, application: str) -> str:
    """The run's id: the one that is given, or one that names the engine and its application.

    Raises:
        UsageError: it is malformed.
    """
    if run is None:
        return f"{engine}-{re.sub(r'[^A-Za-z0-9_-]', '-', application)[:40]}-{uuid4().hex[:8]}"
    if not protocol.RUN_ID.match(run):
        raise UsageError(f"not a run id: {run!r}", hint="1 to 64 letters, digits, - and _")
    return run


def inferred_type(texts: Sequence[str | None]) -> Any:
    """The Arrow type of results, given as JSON text: text where they have several types.

    Raises:
        UsageError: no result says a type.
    """
    import pyarrow as pa

    values = [None if text is None else json.loads(text) for text in texts]
    if not any(value is not None for value in values):
        raise UsageError(
            f"none of the first {PROBE} rows has a result that says its type",
            hint=DECLARE,
        )
    try:
        return widened(pa.infer_type(values))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        return pa.string()  # of several types: each as JSON text


def widened(found: Any) -> Any:
    """An inferred Arrow type with double for every integer: a later row may have a fraction there."""
    import pyarrow as pa

    if pa.types.is_integer(found):
        return pa.float64()
    if pa.types.is_list(found):
        return pa.list_(widened(found.value_type))
    if pa.types.is_struct(found):
        return pa.struct([(one.name, widened(one.type)) for one in found])
    return found
