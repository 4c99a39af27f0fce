"""The item protocol and the platform's JSON shapes, as both sides of a call read them.

Here live encoding, decoding and the taxonomy; not transport (`client`), not policy (`run`), and not the
generated wrapper's own copy of the protocol, which must not import wrapgen (`templates/algorithm/src`).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 1
"""Version of the item protocol that `$batch: []` must report."""

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
"""What `$run` may be."""

RUN_HEADER = "X-Run-Id"
"""Header of a call that names its run, for those who watch the platform; most platforms ignore it."""

MAX_TIMEOUT = 3000
"""Longest time, in seconds, that a platform grants one call (platform contract, section 9)."""

TIMEOUT_MARGIN = 30
"""Seconds between a call's limit and what its caller waits: of the platform beyond the wrapper's own, and of
the HTTP client beyond the platform's."""

ACCOUNT_CALLS = 80
"""Concurrent calls of one account, nested ones included (platform contract, section 9)."""

PLATFORM_REQUEST, PLATFORM_RESPONSE = 10_485_760, 15_000_000
"""The platform's own caps on a body, in bytes (platform contract, section 9)."""

BODY_CAP = 10_000_000
"""Bytes of one request or response body of a wrapper, on the wire."""

CHUNK_AIM = 8_000_000
"""Bytes that a chunk aims at, on the wire."""

MAX_NESTING = 200
"""Levels of lists and objects within each other that an item or a result may have."""

MAX_DIGITS = 4300
"""Digits in a row that a number may have: more than these Python's own reader refuses."""

SHORT = 2 * MAX_NESTING
"""Bytes up to which a text can be over neither limit."""

PROTOCOL_KEYS = frozenset({"$batch", "$run", "$ids", "$index", "$try", "$timeout", "$output"})
"""The only keys that an object with `$batch` may have."""

SOLE_KEYS = ("$binary", "$error", "$literal")
"""An object with just one of these keys is a protocol object; user data of that shape travels in $literal."""

RETRYABLE_TYPES = frozenset(
    {
        "ConnectionError",
        "DatastoreError",
        "DeadlineExceeded",
        "LoadingError",
        "ServerError",
        "SystemExit",
        "TimeoutError",
        "TooManyRequests",
    }
)
"""Error types after which the same item may succeed when sent again; used where `retryable` is not given."""

STOPPING_TYPES = frozenset({"AuthenticationError", "PaymentRequiredError"})
"""Error types that stop everyone and are no item's outcome."""


def chunk_aim(request_bytes: int) -> int:
    """Bytes that a chunk for a wrapper with this cap on a request aims at, on the wire."""
    return min(CHUNK_AIM, request_bytes * 8 // 10)


def call_timeout(limit: float) -> float:
    """Seconds to ask of the platform for a call of a wrapper whose own limit is `limit` seconds."""
    return min(MAX_TIMEOUT, limit + TIMEOUT_MARGIN)


class ProtocolError(ValueError):
    """A value or an answer does not follow the protocol; callers wrap it in an error of the user's tree."""


def told_timeout(timeout: float) -> int:
    """The `$timeout` of a call, in seconds: 30 less than its own time, or half of a short one."""
    return max(1, int(min(MAX_TIMEOUT, timeout) - min(TIMEOUT_MARGIN, timeout / 2)))


@dataclass(frozen=True)
class ItemError:
    """What became of a failed item: `{"$error": {...}}` on the wire.

    Args:
        type: a name of the taxonomy.
        message: the target's or the wrapper's own words.
        retryable: whether sending the item again can help.
        attempts: calls of the target that were made for it in this send; 0 means not tried.
    """

    type: str
    message: str
    retryable: bool = False
    attempts: int = 0

    def to_wire(self) -> dict[str, Any]:
        """The `$error` object."""
        return {"$error": dict(vars(self))}

    @classmethod
    def from_wire(cls, body: Any) -> ItemError:
        """Reads the value under `$error`; missing fields take their safest meaning.

        Raises:
            ProtocolError: it is not an object.
        """
        if not isinstance(body, dict):
            raise ProtocolError(f"$error must be an object, not {type(body).__name__}")
        kind = str(body.get("type") or "AlgorithmError")
        retryable = body.get("retryable")
        attempts = body.get("attempts")
        return cls(
            type=kind,
            message=str(body.get("message") or ""),
            retryable=retryable if isinstance(retryable, bool) else kind in RETRYABLE_TYPES,
            attempts=attempts if isinstance(attempts, int) and attempts >= 0 else 1,
        )


_ENCODE = json.JSONEncoder(allow_nan=False, separators=(",", ":")).encode


def dumps(value: Any) -> bytes:
    """JSON as it goes on the wire: compact, ASCII-escaped as the vendor's client does, no NaN or infinity.

    Raises:
        ProtocolError: the value is not JSON.
    """
    try:
        return _ENCODE(value).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProtocolError(f"not JSON: {error}") from error


def to_wire(value: Any) -> Any:
    """An item or a result as it travels in a batch: bytes as $binary, protocol look-alikes as $literal."""
    if isinstance(value, (bytes, bytearray)):
        return {"$binary": base64.b64encode(value).decode("ascii")}
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in SOLE_KEYS:
        return {"$literal": value}
    return value


def from_wire(value: Any) -> Any:
    """The reverse of `to_wire`; an `$error` object becomes an `ItemError`.

    Raises:
        ProtocolError: a protocol object that is malformed.
    """
    if not (isinstance(value, dict) and len(value) == 1):
        return value
    (key,) = value
    if key == "$literal":
        return value[key]
    if key == "$error":
        return ItemError.from_wire(value[key])
    if key == "$binary":
        try:
            return base64.b64decode(value[key], validate=True)
        except (TypeError, ValueError, binascii.Error) as error:
            raise ProtocolError("$binary must be a base64 string") from error
    return value


def encode_input(value: Any) -> tuple[bytes, str]:
    """The body and content type of a single call: text, bytes or JSON (platform contract, section 2).

    Raises:
        ProtocolError: the value is not JSON.
    """
    if isinstance(value, str):
        return value.encode("utf-8"), "text/plain"
    if isinstance(value, (bytes, bytearray)):
        return bytes(value), "application/octet-stream"
    return dumps(value), "application/json"


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_NUMBER = re.compile(rb"[0-9]{%d}" % (MAX_DIGITS + 1))
_STEP = MAX_DIGITS // 2
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}]|[^\s\[\]{}",:]+', re.DOTALL)


def over_limit(text: bytes) -> str | None:
    """Why a JSON text exceeds the limits that all readers share; None if it is within them.

    Quick for what is within: a few built-in functions go through the text.
    """
    if has_long_number(text):
        return f"holds a number of more than {MAX_DIGITS:,} digits"
    if _has_many(text) and _is_deep(text) and _is_deep(_STRING.sub(b'""', text)):
        return f"is nested more than {MAX_NESTING} levels deep"
    return None


def has_long_number(text: bytes) -> bool:
    """Whether a JSON text holds a number of more digits than all readers read."""
    # So many digits in a row fill one of these stretches.
    suspect = len(text) > MAX_DIGITS and any(
        text[at : at + _STEP].isdigit() for at in range(0, len(text) - _STEP, _STEP)
    )
    return suspect and _NUMBER.search(_STRING.sub(b'""', text)) is not None


def _has_many(text: bytes) -> bool:
    """Whether a text opens more lists and objects than may be nested; finding is quick where they are few."""
    openings = 0
    for mark in (b"[", b"{"):
        at = text.find(mark)
        for _ in range(8):
            if at < 0:
                break
            openings += 1
            at = text.find(mark, at + 1)
        else:
            openings += text.count(mark, at) if at >= 0 else 0
    return openings > MAX_NESTING


def _is_deep(text: bytes) -> bool:
    """Whether brackets are left once the innermost have been taken off so many times."""
    brackets = text.translate(None, _NO_BRACKETS)
    for _ in range(MAX_NESTING):
        if not brackets:
            return False
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    return bool(brackets)


def end_of_value(text: str, at: int) -> int:
    """Where the JSON value that starts at `at` ends, however deep or long it is; does not check it.

    Raises:
        IndexError: it is cut off.
    """
    depth = 0
    for match in _TOKEN.finditer(text, at):
        depth += (match[0] in "[{") - (match[0] in "]}")
        if depth <= 0:
            return match.end()
    raise IndexError("cut off")


@dataclass(frozen=True)
class Answer:
    """A successful single call: the decoded result and the platform's metadata object."""

    result: Any
    metadata: dict[str, Any] = field(default_factory=dict)


def decode_answer(body: Any) -> Answer | ItemError:
    """Reads the envelope of a call that came back with status 200 (platform contract, section 2).

    Raises:
        ProtocolError: it is neither a result nor an error.
    """
    if not isinstance(body, dict):
        raise ProtocolError("the answer of a call must be a JSON object")
    if "error" in body:
        error = body["error"]
        if not isinstance(error, dict):
            return ItemError(type="AlgorithmError", message=str(error), attempts=1)
        kind = error.get("error_type")
        kind = kind if isinstance(kind, str) and kind else "AlgorithmError"
        return ItemError(kind, str(error.get("message") or ""), kind in RETRYABLE_TYPES, 1)
    metadata = body.get("metadata")
    if "result" not in body or not isinstance(metadata, dict):
        raise ProtocolError("the answer of a call has no result and metadata")
    if metadata.get("content_type") == "binary":
        try:
            return Answer(base64.b64decode(body["result"], validate=True), metadata)
        except (TypeError, ValueError, binascii.Error) as error:
            raise ProtocolError("a binary result must be base64") from error
    if metadata.get("content_type") == "void":
        return Answer(None, metadata)
    return Answer(body["result"], metadata)
