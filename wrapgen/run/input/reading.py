"""How the text of an input is read, as far as a user says it or it is found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wrapgen.run.input.formats import TABLES
from wrapgen.run.input.tables import DELIMITERS, Dialect, usual


@dataclass(frozen=True)
class Reading:
    """How the text of files is to be read; None where that is to be found out.

    Args:
        delimiter, quote: of tables; a quote that is empty says that quotes are text.
        encoding: of all text.
    """

    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None


AS_FOUND = Reading()
"""Nothing is given."""


def told(facts: Mapping[str, str | None]) -> str:
    """What was found out of files that their names don't say, in words; empty for the usual.

    Args:
        facts: the `origin` of their source.
    """
    words = [in_words(facts["format"])] if facts["format"] == "document" else []
    if facts["format"] in TABLES and "delimiter" in facts:
        dialect = Dialect(str(facts["delimiter"]), str(facts["quote"]))
        words += [in_words(dialect)] if dialect != usual(str(facts["format"])) else []
    return ", ".join([*words, *filter(None, [facts.get("encoding")])])


def in_words(found: Any) -> str:
    """A format, delimiter, dialect or encoding in words."""
    kinds = {"json": "an array of items", "document": "one JSON document", **DELIMITERS}
    return found.told() if isinstance(found, Dialect) else kinds.get(found, str(found))
