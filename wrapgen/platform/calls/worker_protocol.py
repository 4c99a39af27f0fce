"""The two lines of the worker protocol: a request body becomes one, a response is read from the other.

Bodies are spliced, not decoded and encoded again: JSON is only checked (platform contract, section 10).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any

import msgspec

from wrapgen.errors import BadRequest
from wrapgen.protocol import MAX_DIGITS, has_long_number

_CHECK = msgspec.json.Decoder(msgspec.Raw).decode
_ENCODE = msgspec.json.Encoder().encode
_TAILS = {
    kind: b',"metadata":{"content_type":"%s"}}\n' % kind.encode("ascii")
    for kind in ("json", "text", "binary")
}
_HEAD = b'{"result":'


def request_parts(content_type: str, encoding: str, body: bytes) -> list[bytes]:
    """The request line for a body, in parts.

    Args:
        content_type: of the request, in lower case, without parameters.
        encoding: the Content-Encoding, in lower case; `base64` counts for bytes.
        body: as it was received.

    Raises:
        BadRequest: the type is missing or unknown, or the body is not what it says.
    """
    if content_type == "application/json":
        return [b'{"content_type":"json","data":', _json(body), b"}\n"]
    if content_type in ("text/plain", "application/text"):
        return [b'{"content_type":"text","data":', _ENCODE(_text(body)), b"}\n"]
    if content_type == "application/octet-stream":
        data = _base64(body) if encoding == "base64" else base64.b64encode(body)
        return [b'{"content_type":"binary","data":"', data, b'"}\n']
    if not content_type:
        raise BadRequest("missing Content-Type", hint=_TYPES)
    raise BadRequest(f"unsupported Content-Type {content_type[:80]}", hint=_TYPES)


_TYPES = "send application/json, text/plain or application/octet-stream"


def _json(body: bytes) -> bytes:
    try:
        _CHECK(body)
        if not body.isascii():
            body.decode("utf-8")
    except RecursionError as error:
        raise BadRequest("the body is nested too deeply to be read", reason="invalid-json") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        if not _reads_with_half_pairs(body):
            raise BadRequest(f"the body is not JSON: {error}", reason="invalid-json") from error
    if has_long_number(body):  # which most of the Pythons that algorithms run on can't read
        raise BadRequest(f"the body holds a number of more than {MAX_DIGITS:,} digits", reason="invalid-json")
    if b"\n" in body or b"\r" in body:  # JSON strings can't hold raw line ends, so these stand between values
        return body.replace(b"\n", b" ").replace(b"\r", b" ")
    return body


def _reads_with_half_pairs(body: bytes) -> bool:
    """Whether it is JSON with half of a surrogate pair in it: Python reads that, and msgspec doesn't."""
    try:
        if _HALF_PAIR.search(body):
            json.loads(body, parse_constant=int)  # which takes no NaN
            return True
    except (ValueError, RecursionError):
        pass
    return False


_HALF_PAIR = re.compile(rb"\\u[dD][89a-fA-F]")


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8 text: {error}") from error


def _base64(body: bytes) -> bytes:
    try:
        return base64.b64encode(base64.b64decode(bytes(body).translate(None, b"\r\n"), validate=True))
    except binascii.Error as error:
        raise BadRequest(f"the body is not base64: {error}") from error


class Result(msgspec.Struct, frozen=True):
    """What an algorithm answered: `text` is the result as JSON text, of the `kind` its metadata says."""

    kind: str
    text: bytes | memoryview

    def raw(self) -> bytes | memoryview:
        """The result itself: text as UTF-8, bytes as they are, JSON as it stands."""
        if self.kind == "json":
            return self.text
        value = _decode(self.text)
        return base64.b64decode(value) if self.kind == "binary" else str(value).encode("utf-8", "replace")


class CallFailure(msgspec.Struct, frozen=True):
    """An error of a call, in the platform's taxonomy.

    Args:
        kind: the error type.
        message: for everybody.
        trace: for those with access to the source.
    """

    kind: str
    message: str
    trace: str = ""


def read_response(line: bytes) -> Result | CallFailure:
    """Reads a worker's response line, newline included.

    What our start file wrote is recognized by its two ends, without parsing; a large result isn't copied.
    """
    if line.startswith(_HEAD):
        for kind, tail in _TAILS.items():
            if line.endswith(tail):
                return Result(kind, memoryview(line)[len(_HEAD) : -len(tail)])
    try:
        response = _decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return CallFailure("ParsingError", "the algorithm's response is not JSON")
    if isinstance(response, dict) and isinstance(response.get("error"), dict):
        return _problem(response["error"])
    if isinstance(response, dict) and "result" in response:
        metadata = response.get("metadata")
        told = metadata.get("content_type") if isinstance(metadata, dict) else None
        return Result(told if told in _TAILS else "json", _ENCODE(response["result"]))
    return CallFailure("ParsingError", "the algorithm's response has neither a result nor an error")


def _decode(text: bytes | memoryview) -> Any:
    """The value of a JSON text; half a surrogate pair, which UTF-8 can't say, becomes a question mark."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        whole = json.dumps(json.loads(bytes(text)), ensure_ascii=False)
        return msgspec.json.decode(whole.encode("utf-8", "replace"))


def _problem(error: dict[str, Any]) -> CallFailure:
    told = error.get("stacktrace")
    trace = told if isinstance(told, str) else ""
    named = error.get("error_type")
    fits = isinstance(named, str) and 0 < len(named) <= ERROR_TYPE and named.isprintable()
    kind = str(named) if fits else "AlgorithmError"
    last = trace.rstrip().rpartition("\n")[2].strip()
    if kind == "AlgorithmError" and last.partition(":")[0].rpartition(".")[2] in _MEMORY_ERRORS:
        kind = "OutOfMemoryError"
    message = error.get("message")
    return CallFailure(kind, message if isinstance(message, str) else "", trace)


ERROR_TYPE = 64
"""Most characters of an error type, all of them printable: it stands in every log and metric."""

_OUTSIDE = re.compile(
    r"(No such file or directory|Permission denied|Read-only file system)\W+/|unable to open database file"
)


def explained(problem: CallFailure) -> CallFailure:
    """A problem of a sandboxed algorithm; the message says how a folder of this machine is shown to it."""
    if not _OUTSIDE.search(problem.message):
        return problem
    hint = "is it hidden by the sandbox? wrapgen serve --writable DIR or --readable DIR shows it"
    return msgspec.structs.replace(problem, message=f"{problem.message} ({hint})")


_MEMORY_ERRORS = ("MemoryError", "_ArrayMemoryError")
"""Exceptions that mean the memory ceiling was met (the second is NumPy's)."""
