"""The item protocol: how a call is read, and how items, results and failures are written.

Here live the three forms of a call and the encoding of values. Nothing here talks to a network or a clock.
"""

import base64
import binascii
import json
import re
from typing import Any  # noqa: F401 - for the type comments

PROTOCOL = 1
MAX_TIMEOUT = 2970.0
INSTRUCTIONS = {"$batch", "$run", "$ids", "$index", "$try", "$timeout", "$output"}
RESERVED = ("$binary", "$error", "$literal")
RUN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
DATA_URL = re.compile(
    r"(?!file:|https?:)[a-z][a-z0-9]*(\+[A-Za-z0-9_-]+)?://[^/\s\ud800-\udfff][^\s\ud800-\udfff]*\Z"
)

ITEM, LIST, BATCH = "item", "list", "batch"


class Failure(Exception):
    """What went wrong with an item, or with the whole call.

    When it leaves ``apply``, the vendor's ADK reports its ``error_type`` (upstream ``adk/io.py``).
    """

    called = False  # whether the target was called for it
    stops = False  # no other call can fare better
    throttled = False  # the platform did not let the call start
    status = None  # type: int | None  # of the answer to an HTTP request, if one came
    retry_after = None  # type: float | None  # seconds the platform asks to wait

    def __init__(self, error_type, message, retryable=False, attempts=0):
        # type: (str, str, bool, int) -> None
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.retryable = retryable
        self.attempts = attempts

    @property
    def untried(self):
        # type: () -> bool
        """Whether the target was never asked, and asking later can help: then it is nobody's outcome."""
        return self.retryable and self.attempts == 0

    def to_wire(self):
        # type: () -> dict
        """The failure in its item's place."""
        return {
            "$error": {
                "type": self.error_type,
                "message": self.message,
                "retryable": self.retryable,
                "attempts": self.attempts,
            }
        }


class InputError(Failure):
    """The call, or one item of it, does not follow the protocol; sending it again can't help."""

    def __init__(self, message):
        # type: (str) -> None
        super().__init__("InputError", message)


class Request:
    """One call of the wrapper, read: its form, its values still as they came, and its instructions."""

    def __init__(self, form, values=None, source=None, **instructions):
        self.form = form
        self.values = values  # a list, or None when `source` names a URL to read them from
        self.source = source
        self.run = instructions.get("$run")
        self.ids = instructions.get("$ids")
        self.index = instructions.get("$index", 0)
        self.send = instructions.get("$try", 1)
        timeout = instructions.get("$timeout")
        self.timeout = None if timeout is None else min(timeout, MAX_TIMEOUT)
        self.output = instructions.get("$output")

    def index_of(self, position):
        # type: (int) -> int
        """The run index of the item at a position of this call."""
        return self.index[position] if isinstance(self.index, list) else self.index + position


def read(value, bare_lists):
    # type: (Any, bool) -> Request | None
    """Tell the three forms apart; None asks for the wrapper's description.

    ``bare_lists`` says whether a list is a batch; otherwise it is one item like anything else.
    """
    if isinstance(value, dict) and "$batch" in value:
        return None if value == {"$batch": []} else _read_instructions(value)
    if isinstance(value, list) and bare_lists:
        return Request(LIST, value)
    return Request(ITEM, [value])


def _read_instructions(value):
    # type: (dict) -> Request
    foreign = sorted(set(value) - INSTRUCTIONS)
    if foreign:
        raise InputError(
            "an object with $batch may only have protocol keys, not {}; if the object is itself an item, "
            'send {{"$batch": [<the object>]}}'.format(", ".join(map(repr, foreign)))
        )
    for key, (accepts, expected) in _RULES.items():
        if key in value and not accepts(value[key]):
            raise InputError("{} must be {}".format(key, expected))
    batch = value["$batch"]
    if isinstance(batch, str):
        return Request(BATCH, source=batch, **value)
    request = Request(BATCH, values=batch, **value)
    for key in ("$ids", "$index"):
        check_length(key, value.get(key), len(batch))
    return request


def check_length(key, given, items):
    # type: (str, Any, int) -> None
    """Refuse a list of ids or indexes that does not match the items one to one."""
    if isinstance(given, list) and len(given) != items:
        raise InputError("{} has {} entries for {} items".format(key, len(given), items))


def _is_count(value):
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_seconds(value):
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0


def _is_url(value):
    return isinstance(value, str) and DATA_URL.match(value) is not None


def _list_of(accepts):
    return lambda value: isinstance(value, list) and all(map(accepts, value))


_RULES = {
    "$batch": (lambda v: isinstance(v, list) or _is_url(v), "a list, or a data or connector URL"),
    "$run": (lambda v: isinstance(v, str) and RUN.match(v), "1 to 64 of the characters A-Z a-z 0-9 _ -"),
    "$ids": (_list_of(lambda v: isinstance(v, str) and v != ""), "a list of strings that are not empty"),
    "$index": (lambda v: _is_count(v) or _list_of(_is_count)(v), "a number from 0, or a list of them"),
    "$try": (_is_count, "a number from 0"),
    "$timeout": (_is_seconds, "a number of seconds"),
    "$output": (_is_url, "a data or connector URL"),
}


def _encoder():
    """Gives the pieces of JSON, from one C encoder; upstream ``json/encoder.py`` makes one for each value."""
    encoder = json.JSONEncoder(allow_nan=False)
    try:
        return json.encoder.c_make_encoder(  # type: ignore[attr-defined]
            None, encoder.default, json.encoder.encode_basestring_ascii, None, ": ", ", ", False, False, False
        )
    except (AttributeError, TypeError):  # a Python without it, or with another
        return lambda value, _level: encoder.iterencode(value)


_pieces = _encoder()


def dumps(value):
    # type: (Any) -> str
    """JSON in ASCII, with the separators of the vendor's client and ADK, so that its length is the wire's.

    Raises ``ValueError`` for what JSON can't say: NaN, infinity, bytes inside, a loop.
    """
    try:
        return "".join(_pieces(value, 0))
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def to_wire(value):
    # type: (Any) -> Any
    """A value as it travels in a batch: bytes as ``$binary``, what looks like a protocol object wrapped."""
    if isinstance(value, (bytes, bytearray)):
        return {"$binary": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in RESERVED:
        return {"$literal": value}
    return value


def from_wire(value):
    # type: (Any) -> Any
    """The item behind its travelling form. Raises ``InputError`` for a malformed protocol object."""
    if not (isinstance(value, dict) and len(value) == 1):
        return value
    ((key, inner),) = value.items()
    if key == "$literal":
        return inner
    if key == "$error":
        raise given_up(inner)
    if key == "$binary":
        try:
            return base64.b64decode(inner, validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise InputError("$binary must be a base64 string") from None
    return value


def given_up(error):
    # type: (Any) -> InputError
    """The failure of an item that its sender gave up, and sends as ``$error`` to have the reason recorded."""
    if not isinstance(error, dict) or not all(isinstance(error.get(key), str) for key in ("type", "message")):
        return InputError('an $error needs a type and a message; as an item: {"$literal": {"$error": ...}}')
    failure = InputError(error["message"])
    failure.error_type = error["type"]
    return failure


def kind_and_words(error):
    # type: (BaseException) -> tuple[str, str]
    """Error type and message of what somebody's own code raised, which may fail to tell them."""
    try:
        kind, words = getattr(error, "error_type", None), str(error)
    except Exception:
        kind, words = None, type(error).__name__
    default = "SystemExit" if isinstance(error, SystemExit) else "AlgorithmError"
    return kind if isinstance(kind, str) and kind else default, words


def encode_body(value):
    # type: (Any) -> tuple[bytes, str]
    """Body and content type of a direct call: text as text, bytes as bytes, everything else as JSON."""
    try:
        if isinstance(value, str):
            return value.encode("utf-8"), "text/plain"
        if isinstance(value, (bytes, bytearray)):
            return bytes(value), "application/octet-stream"
        return dumps(value).encode("ascii"), "application/json"
    except ValueError as error:
        raise InputError("the item can't be sent: {}".format(error)) from None


def decode_answer(body):
    # type: (bytes) -> Any
    """The result in a 200 answer of the platform. Raises ``Failure`` with the platform's own type."""
    try:
        answer = json.loads(body.decode("utf-8"))
        if "error" in answer:
            raise failure_of(answer["error"])
        result, kind = answer["result"], answer["metadata"]["content_type"]
        if kind == "binary":
            return base64.b64decode(result, validate=True)
    except (TypeError, ValueError, KeyError, RecursionError):
        raise Failure("ParsingError", "the target's answer is not what the platform promises") from None
    return None if kind == "void" else result


def failure_of(error):
    # type: (Any) -> Failure
    """An algorithm's error as the platform reports it; a bare text is an ``AlgorithmError``."""
    if not isinstance(error, dict):
        return Failure("AlgorithmError", str(error))
    kind, message = error.get("error_type"), str(error.get("message") or "")
    return Failure(kind if isinstance(kind, str) and kind else "AlgorithmError", message)
