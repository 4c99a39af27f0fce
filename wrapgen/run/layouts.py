"""What a line of the output holds: the outcome under its index and id, or the result alone. No files here.

A failed item is never left out and never looks like a result: its line holds an error object.
"""

from __future__ import annotations

import json
from collections.abc import Callable

from wrapgen.run.states import Fate

Layout = Callable[[int, bytes], bytes]
"""An item's fate and its line in the spool; the line of the output."""


def keyed(fate: int, line: bytes) -> bytes:
    """`{"index", "id", "result"}`, or `{"index", "id", "error"}`."""
    if fate == Fate.OK.value:
        return line
    found = json.loads(line)
    found.pop("input", None)
    return json.dumps(found, separators=(",", ":")).encode("ascii") + b"\n"


def bare(fate: int, line: bytes) -> bytes:
    """The result as it came, or `{"$error": {...}}` as in a batch."""
    if fate == Fate.OK.value:
        # No string can hold this: its quotes would be escaped.
        return line[line.index(b',"result":') + 10 : -2] + b"\n"
    return json.dumps({"$error": json.loads(line)["error"]}, separators=(",", ":")).encode("ascii") + b"\n"


LAYOUTS: dict[str, Layout] = {"keyed": keyed, "bare": bare}
"""Name to layout."""
