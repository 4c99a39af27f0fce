"""What the answer of a chunk's call says: results as the wrapper wrote them, and the summary.

Every result is kept as the text it arrived in: nothing is lost by decoding and encoding again, and that is
the larger part of the time that an item costs. Decides nothing: that is `chunk_call`.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wrapgen import protocol

try:
    from wrapgen.run.hosts import fast_json
except ImportError:  # nothing but Python's own library is here
    fast_json = None  # type: ignore[assignment]


def no_constant(name: str) -> Any:
    """Refuses NaN and infinity, which JSON can't say.

    Raises:
        ProtocolError: always.
    """
    raise protocol.ProtocolError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=no_constant)
scan: Callable[[str, int], tuple[Any, int]] = _DECODER.scan_once  # type: ignore[attr-defined]
"""`scan(text, at)` reads the JSON value that starts there: (value, end). StopIteration where none does."""

_BLANK = " \t\r\n"
_SPACE = re.compile(r"[ \t\r\n]*")

_PERHAPS_ERROR = ('{"$', '{"\\', *(f"{{{blank}" for blank in _BLANK))
"""How an object may start whose only member is `$error`: a key can be written with escapes."""


TARGET_SUMS = (
    *("attempts", "bytes_in", "bytes_out", "recorded", "refused", "unrecorded"),
    *("tokens_in", "tokens_out", "cost"),
)
"""Numbers of a `$summary` that are summed over a run; all but the cost are whole."""

TARGET_COUNTS = ("errors", "versions")
"""Counts of a `$summary` by type of error, and by the version of the target that answered."""

TARGET_NUMBERS = (*TARGET_SUMS, "p50_ms", "p99_ms")
"""Numbers of a `$summary` that the ledger keeps of each call, beside those of `calls` and `throttled`."""


@dataclass(frozen=True)
class Answered:
    """A wrapper's answer to form 3.

    Args:
        results: each result as one line of JSON, in the order of the items; or the URL they are at.
        summary: the `$summary` object.
    """

    results: list[str] | str
    summary: dict[str, Any] = field(default_factory=dict)


def read_answer(body: bytes) -> Answered | protocol.ItemError:
    """Reads the body of a call that came back with status 200.

    Returns:
        The answer, or the error that the platform reports for the call as a whole.

    Raises:
        ProtocolError: it is cut off, or is no answer of a wrapper.
    """
    found = fast_json.answer(body) if fast_json else None
    if found is not None:
        results, summary = found
        return Answered(list(map(_one_line, results)) if b"\n" in body else results, summary)
    try:
        text = body.decode("utf-8")
        parts = _members(text, _skip(text, 0), {"result": _answer})
    except (StopIteration, IndexError, ValueError, RecursionError) as error:
        raise protocol.ProtocolError(f"the answer is not JSON, or is cut off: {error}") from error
    result = parts.get("result")
    if isinstance(result, Answered):
        return result
    if "error" in parts:
        read = protocol.decode_answer(parts)
        if isinstance(read, protocol.ItemError):
            return read
    raise protocol.ProtocolError("the answer has no $results: is this algorithm a wrapper?")


def end_of(text: str, at: int) -> int:
    """Where the JSON value that starts at `at` ends; one that is over the limits of JSON counts as a value.

    Raises:
        StopIteration, ValueError, RecursionError: there is none.
    """
    try:
        return scan(text, at)[1]
    except (ValueError, RecursionError):
        end = protocol.end_of_value(text, at)
        if not protocol.over_limit(text[at:end].encode("utf-8", "surrogatepass")):
            raise
        return end


def over_limits(results: list[str]) -> Iterator[tuple[int, str]]:
    """The results that are over the limits of JSON: position, and in what."""
    if max(map(len, results), default=0) > protocol.SHORT:
        for at, text in enumerate(results):
            if len(text) > protocol.SHORT and (
                reason := protocol.over_limit(text.encode("utf-8", "surrogatepass"))
            ):
                yield at, reason


def error_objects(results: list[str]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The results that are `{"$error": …}`: position and value."""
    for at, text in enumerate(results):
        # Comparing is quick, and says no of nearly all: those that may be are in this range.
        if "{" < text < '{"]' and text.startswith(_PERHAPS_ERROR):
            value = scan(text, 0)[0]
            if len(value) == 1 and "$error" in value:
                yield at, value


def read_results(text: str) -> list[str]:
    """Results that came by sideband: JSON Lines, as every wrapper writes them.

    Raises:
        ProtocolError: a line is not one JSON value.
    """
    try:
        lines = [line.strip(_BLANK) for line in text.split("\n") if line.strip(_BLANK)]
        for line in lines:
            if end_of(line, 0) != len(line):
                raise ValueError(f"a line goes on after its value: {line[:40]}")
        return lines
    except (StopIteration, IndexError, ValueError, RecursionError) as error:
        raise protocol.ProtocolError(f"the results are not JSON: {error}") from error


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _answer(text: str, at: int) -> tuple[Any, int]:
    """A `result`: an Answered if it is an object with `$results`, else whatever it is."""
    if text[at] != "{":
        return scan(text, at)
    parts: dict[str, Any] = {}
    end = _walk(text, at, {"$results": _results}, parts)
    if "$results" not in parts:
        return parts, end
    summary = parts.get("$summary")
    return Answered(parts["$results"], summary if isinstance(summary, dict) else {}), end


def _results(text: str, at: int) -> tuple[Any, int]:
    if text[at] == "[":
        return _elements(text, at)
    value, end = scan(text, at)
    if not isinstance(value, str):
        raise protocol.ProtocolError("$results must be a list or a URL")
    return value, end


_Readers = dict[str, Callable[[str, int], tuple[Any, int]]]


def _members(text: str, at: int, readers: _Readers) -> dict[str, Any]:
    if text[at] != "{":
        raise protocol.ProtocolError("the answer of a call must be a JSON object")
    parts: dict[str, Any] = {}
    end = _walk(text, at, readers, parts)
    if _skip(text, end) != len(text):
        raise protocol.ProtocolError("something follows the answer")
    return parts


def _walk(text: str, at: int, readers: _Readers, into: dict[str, Any]) -> int:
    """Reads the object that starts at `at` into `into`, named members with their own reader; its end."""
    at = _skip(text, at + 1)
    if text[at] == "}":
        return at + 1
    while True:
        key, at = scan(text, at)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at] != ":":
            raise protocol.ProtocolError("a JSON object is malformed")
        into[key], at = readers.get(key, scan)(text, _skip(text, at + 1))
        at = _skip(text, at)
        if text[at] == "}":
            return at + 1
        if text[at] != ",":
            raise protocol.ProtocolError("a JSON object is malformed")
        at = _skip(text, at + 1)


def _one_line(text: str) -> str:
    """A value as one line: JSON may be spread over several."""
    return text if "\n" not in text else protocol.dumps(scan(text, 0)[0]).decode("ascii")


def _elements(text: str, at: int) -> tuple[list[str], int]:
    """The array that starts at `at`, each element as one line of JSON; and the end of it."""
    found: list[str] = []
    at = _skip(text, at + 1)
    if text[at] == "]":
        return found, at + 1
    while True:
        end = end_of(text, at)
        found.append(_one_line(text[at:end]))
        mark = text[end]
        if mark != "," and mark != "]":
            end = _skip(text, end)
            mark = text[end]
        if mark == "]":
            return found, end + 1
        if mark != ",":
            raise protocol.ProtocolError("$results is malformed")
        at = end + 1
        if text[at] in " \t\r\n":
            at = _skip(text, at)


def summary_facts(summary: Mapping[str, Any], items: int) -> dict[str, Any]:
    """What the ledger keeps of a `$summary`, which may be of an older wrapper, or malformed.

    Args:
        summary: as a wrapper answered it.
        items: in the call.

    Returns:
        By place of an item: `retried` (attempts above one) and `slowest` (milliseconds). Of all of them:
        `target`, what of TARGET_NUMBERS and TARGET_COUNTS is there, and what `copies` recorded, by URL.
    """
    told = {name: summary.get(name) for name in ("retried", "slowest")}
    found: dict[str, Any] = {
        name: pairs
        for name, pairs in told.items()
        if isinstance(pairs, list) and pairs and all(_is_of(pair, items) for pair in pairs)
    }
    target: dict[str, Any] = {name: summary[name] for name in TARGET_NUMBERS if _is_number(name, summary)}
    for name in TARGET_COUNTS:
        if isinstance(counts := summary.get(name), dict):
            target[name] = {kind[:100]: n for kind, n in counts.items() if _counts(n)}
    if isinstance(copies := summary.get("copies"), list):
        target["copies"] = {one["url"]: [one["recorded"], one["failed"]] for one in copies if _is_copy(one)}
    return {**found, "target": target} if target else found


def _is_number(name: str, summary: Mapping[str, Any]) -> bool:
    value = summary.get(name)
    return _counts(value) or (name == "cost" and type(value) is float and 0 <= value < math.inf)


def _is_copy(told: Any) -> bool:
    counts = ("recorded", "failed")
    return (
        isinstance(told, dict)
        and isinstance(told.get("url"), str)
        and all(_counts(told.get(n)) for n in counts)
    )


def _is_of(pair: Any, items: int) -> bool:
    return isinstance(pair, list) and len(pair) == 2 and all(map(_counts, pair)) and pair[0] < items


def _counts(value: Any) -> bool:
    return type(value) is int and value >= 0
