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
"""Header of a call that names its run, for whoever watches the platform; most platforms ignore it."""

MAX_TIMEOUT = 3000
"""Longest time, in seconds, that a platform grants one call (platform contract, section 9)."""

BODY_CAP = 10_000_000
"""Bytes of one request or response body of a wrapper, on the wire."""

CHUNK_AIM = 8_000_000
"""Bytes that a chunk aims at, on the wire."""

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


class WireError(ValueError):
    """A value or an answer does not follow the protocol; callers wrap it in an error of the user's tree."""


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
            WireError: it is not an object.
        """
        if not isinstance(body, dict):
            raise WireError(f"$error must be an object, not {type(body).__name__}")
        kind = str(body.get("type") or "AlgorithmError")
        retryable = body.get("retryable")
        attempts = body.get("attempts")
        return cls(
            type=kind,
            message=str(body.get("message") or ""),
            retryable=retryable if isinstance(retryable, bool) else kind in RETRYABLE_TYPES,
            attempts=attempts if isinstance(attempts, int) and attempts >= 0 else 1,
        )


def dumps(value: Any) -> bytes:
    """JSON as it goes on the wire: compact, ASCII-escaped as the vendor's client does, no NaN or infinity.

    Raises:
        WireError: the value is not JSON.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except (TypeError, ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from error


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
        WireError: a protocol object that is malformed.
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
            raise WireError("$binary must be a base64 string") from error
    return value


def encode_input(value: Any) -> tuple[bytes, str]:
    """The body and content type of a single call: text, bytes or JSON (platform contract, section 2).

    Raises:
        WireError: the value is not JSON.
    """
    if isinstance(value, str):
        return value.encode("utf-8"), "text/plain"
    if isinstance(value, (bytes, bytearray)):
        return bytes(value), "application/octet-stream"
    return dumps(value), "application/json"


@dataclass(frozen=True)
class Answer:
    """A successful single call: the decoded result and the platform's metadata object."""

    result: Any
    metadata: dict[str, Any] = field(default_factory=dict)


def decode_answer(body: Any) -> Answer | ItemError:
    """Reads the envelope of a call that came back with status 200 (platform contract, section 2).

    Raises:
        WireError: it is neither a result nor an error.
    """
    if not isinstance(body, dict):
        raise WireError("the answer of a call must be a JSON object")
    if "error" in body:
        error = body["error"]
        if not isinstance(error, dict):
            return ItemError(type="AlgorithmError", message=str(error), attempts=1)
        kind = error.get("error_type")
        kind = kind if isinstance(kind, str) and kind else "AlgorithmError"
        return ItemError(kind, str(error.get("message") or ""), kind in RETRYABLE_TYPES, 1)
    metadata = body.get("metadata")
    if "result" not in body or not isinstance(metadata, dict):
        raise WireError("the answer of a call has no result and metadata")
    if metadata.get("content_type") == "binary":
        try:
            return Answer(base64.b64decode(body["result"], validate=True), metadata)
        except (TypeError, ValueError, binascii.Error) as error:
            raise WireError("a binary result must be base64") from error
    if metadata.get("content_type") == "void":
        return Answer(None, metadata)
    return Answer(body["result"], metadata)
