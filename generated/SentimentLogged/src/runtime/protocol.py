"""The item protocol: how a call is read, and how items, results and failures are written as JSON."""

from __future__ import annotations

import base64
import json
import math
import re
import sys
from dataclasses import dataclass
from typing import Any, Callable

PROTOCOL = 1
MAX_TIMEOUT = 2970.0  # seconds
MAX_NESTING, MAX_DIGITS = 200, 4300
_SMALLEST, _LARGEST = -(10**MAX_DIGITS), 10**MAX_DIGITS
ITEM, LIST, BATCH = "item", "list", "batch"  # the forms of a call
# What a failed call of the target was: none at all; an attempt, as it may have reached the target; put off
# (429, 503); one that reached no server; one after which no other can succeed either.
NOT_CALLED, ATTEMPT, THROTTLED = "not called", "attempt", "throttled"
UNREACHABLE, STOP = "unreachable", "stop"


class Failure(Exception):
    """What went wrong with an item, a call, a file or records; out of ``apply``, the ADK reports its type."""

    may_split = True  # False where no item of a list can have caused it
    splits_last = False  # whether one item of a list may have caused it, once the list's attempts are used up
    retry_after: float | None = None  # seconds that the server asks to wait
    status = 0  # of the HTTP answer, if one came
    attempts = 0
    about: Any = ()  # the items that were sent when it came, of whose values it may speak

    def __init__(
        self, error_type: str, message: str, retryable: bool = False, effect: str = NOT_CALLED
    ) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retryable = retryable
        self.effect = effect

    @property
    def untried(self) -> bool:
        """Whether the target was never called, and calling it later can help: then nothing is recorded."""
        return self.retryable and self.attempts == 0

    def facts(self) -> dict[str, Any]:
        """What a record says of it; in an answer, attempts come on top."""
        return {"type": self.error_type, "message": self.message, "retryable": self.retryable}


class InputError(Failure):
    """The call, or one item of it, does not follow the protocol; sending it again can't help."""

    def __init__(self, message: str) -> None:
        super().__init__("InputError", message)


@dataclass(frozen=True)
class Request:
    """One call of the wrapper: its form, its values as they came or their URL, and its instructions."""

    form: str
    values: list[Any] | None = None
    source: str | None = None
    run: str | None = None
    ids: list[str] | None = None
    index: int | list[int] = 0
    try_number: int = 1
    timeout: float | None = None
    output: str | None = None
    rate: dict[str, Any] | None = None
    trial: bool = False

    def index_of(self, position: int) -> int:
        """The run index of the item at a position of this call."""
        return self.index[position] if isinstance(self.index, list) else self.index + position

    def check_count(self, count: int) -> None:
        """Refuse lists of ids or indexes that do not match so many items one to one; too large an index."""
        if not isinstance(self.index, list) and self.index + count > _LARGEST:
            raise InputError(f"$index is too large: no item's has more than {MAX_DIGITS} digits")
        for key, given in (("$ids", self.ids), ("$index", self.index)):
            if isinstance(given, list) and len(given) != count:
                raise InputError(f"{key} has {len(given)} entries for {count} items")


def read(value: Any, bare_lists: bool) -> Request | None:
    """Tell the forms apart; a list may be a batch. None asks for a description. Raises ``InputError``."""
    if not (isinstance(value, dict) and "$batch" in value):
        return Request(LIST, value) if isinstance(value, list) and bare_lists else Request(ITEM, [value])
    if value == {"$batch": []}:
        return None
    foreign = ", ".join(repr(key) for key in sorted(value) if key not in _RULES)
    if foreign:
        wrapped = 'if the object is itself an item, send {"$batch": [<the object>]}'
        raise InputError(f"an object with $batch may only have protocol keys, not {foreign}; {wrapped}")
    for key, (accepts, expected) in _RULES.items():
        if key in value and not accepts(value[key]):
            raise InputError(f"{key} must be {expected}")
    given = {{"$try": "try_number"}.get(key, key[1:]): one for key, one in value.items()}
    batch = given.pop("batch")
    if "timeout" in given:
        given["timeout"] = min(given["timeout"], MAX_TIMEOUT)
    request = Request(BATCH, **{"source" if isinstance(batch, str) else "values": batch}, **given)
    if isinstance(request.index, list) and len(set(request.index)) < len(request.index):
        raise InputError("$index names one item of the run twice")
    if request.values is not None:
        request.check_count(len(request.values))
    return request


_RUN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_SCHEME = r"(?!file:|https?:)[a-z][a-z0-9]*(\+[A-Za-z0-9_-]+)?"
_URL = re.compile(_SCHEME + r"://[^/\s\ud800-\udfff][^\s\ud800-\udfff]*\Z")


def _is_text(value: Any, pattern: Any = re.compile(".", re.DOTALL)) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < _LARGEST  # True is no number


def _is_rate(value: Any) -> bool:
    is_known = isinstance(value, dict) and set(value) <= {"rpm", "tpm", "cost"}
    return is_known and all(type(one) in (int, float) and one >= 0 for one in value.values())


def _is_list_of(accepts: Callable[[Any], bool], value: Any) -> bool:
    return isinstance(value, list) and all(map(accepts, value))


_RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "$batch": (lambda v: isinstance(v, list) or _is_text(v, _URL), "a list, or a data or connector URL"),
    "$run": (lambda v: _is_text(v, _RUN), "1 to 64 of the characters A-Z a-z 0-9 _ -"),
    "$ids": (lambda v: _is_list_of(_is_text, v), "a list of texts, none empty"),
    "$index": (lambda v: _is_count(v) or _is_list_of(_is_count, v), "a number from 0, or a list of them"),
    "$try": (_is_count, "a number from 0"),
    "$timeout": (lambda v: type(v) in (int, float) and v > 0, "a number of seconds"),
    "$output": (lambda v: _is_text(v, _URL), "a data or connector URL"),
    "$rate": (_is_rate, "an object of rpm, tpm and cost, each a number from 0"),
    "$trial": (lambda v: v is True, "true"),
}

_encode = json.JSONEncoder(allow_nan=False, check_circular=False).encode  # what holds itself recurses


def dumps(value: Any) -> str:
    """JSON as the vendor's client and ADK write it, so that lengths are the wire's. Raises ``ValueError``."""
    try:
        return _encode(value)
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def encode_value(value: Any) -> str:
    """As ``dumps``, for one item or result: also within the limits of JSON. Raises ``ValueError``."""
    text = dumps(value)
    if len(text) > MAX_NESTING:  # else it can't be beyond any limit
        # Python from 3.11 on can't write long numbers.
        has_long_numbers = len(text) > MAX_DIGITS and sys.version_info < (3, 11)
        if text.count("[") + text.count("{") > MAX_NESTING or has_long_numbers:
            check_limits(value)
    return text


def check_limits(value: Any, level: int = 1) -> None:
    """Refuse a value that some reader of JSON may be unable to read. Raises ``ValueError``."""
    if level > MAX_NESTING:
        raise ValueError(f"it is nested deeper than {MAX_NESTING} levels")
    parts = value if isinstance(value, (list, tuple)) else [value]
    for one in value.values() if isinstance(value, dict) else parts:
        if type(one) is str:
            continue
        if isinstance(one, (dict, list, tuple)):
            check_limits(one, level + 1)
        elif isinstance(one, (int, float)) and not _SMALLEST < one < _LARGEST:
            raise ValueError(f"it holds NaN, infinity or a number of more than {MAX_DIGITS} digits")


def read_json(text: str) -> Any:
    """The value of a text; a number of too many digits becomes infinity, which no item may hold."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(
            text, parse_int=lambda digits: int(digits) if len(digits) <= MAX_DIGITS else math.inf
        )


def to_wire(value: Any) -> Any:
    """A value as it travels in a batch: bytes as ``$binary``, what looks like a protocol object wrapped."""
    if isinstance(value, (bytes, bytearray)):
        return {"$binary": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ("$binary", "$error", "$literal"):
        return {"$literal": value}
    return value


def from_wire(value: Any) -> Any:
    """The item behind its travelling form. Raises ``InputError``, also the one that the sender reports."""
    if not (isinstance(value, dict) and len(value) == 1):
        return value
    ((key, inner),) = value.items()
    if key == "$literal":
        return inner
    if key == "$binary":
        try:
            return base64.b64decode(inner, validate=True)
        except (TypeError, ValueError):
            raise InputError("$binary must be a base64 string") from None
    if key == "$error":  # an item that its sender gave up, sent to have the reason recorded
        if not isinstance(inner, dict) or not all(isinstance(inner.get(k), str) for k in ("type", "message")):
            raise InputError('an $error needs type and message; as an item: {"$literal": {"$error": ...}}')
        reported = InputError(inner["message"])
        reported.error_type = inner["type"]
        raise reported
    return value


def error_type_and_message(error: BaseException) -> tuple[str, str]:
    """Error type and message of what somebody's own code raised, which may fail to tell them."""
    try:
        error_type, message = getattr(error, "error_type", None), str(error)
    except Exception:
        error_type, message = None, type(error).__name__
    default = "SystemExit" if isinstance(error, SystemExit) else "AlgorithmError"
    return error_type if isinstance(error_type, str) and error_type else default, message
