"""`POST /v1/algo/...`: the path of a call, as a bare ASGI application ahead of the router.

Every call of an algorithm passes here, so it does little: the result is spliced into its envelope as the
worker wrote it (platform contract, section 2).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from wrapgen.errors import BadRequest, NotAuthorized, WrapgenError
from wrapgen.platform.call import Outcome, Request
from wrapgen.platform.calls import too_large
from wrapgen.platform.envelope import envelope
from wrapgen.platform.http.auth import key_of
from wrapgen.platform.http.errors import call_body, facts, headers, words
from wrapgen.platform.lines import Problem

if TYPE_CHECKING:
    from wrapgen.platform import Platform

PREFIX = "/v1/algo/"
"""Where calls begin."""

REQUEST_PROBLEMS = frozenset(
    {"EntityNotFoundError", "InputError", "ParsingError", "TooLargeError", "UnsupportedError"}
)
"""Problems that `output=raw` answers with 400; the others are 500 (upstream `Algorithmia/algorithm.py`)."""

SWALLOWED = 4
"""Times the limit that an oversize body is read before it is refused: closing at once would reset the
connection under a client that still writes, and the client would never see why."""

JSON = b"application/json"
_KINDS = {"json": JSON, "text": b"text/plain; charset=utf-8", "binary": b"application/octet-stream"}


class CallEndpoint:
    """Answers calls of algorithms.

    Args:
        platform: what runs them.
    """

    def __init__(self, platform: Platform) -> None:
        self._calls = platform.calls
        self._unattended = platform.unattended
        self._metrics = platform.metrics
        self._journal = platform.journal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request whose path starts with PREFIX."""
        raw = False
        try:
            if scope["method"] != "POST":
                raise BadRequest("algorithms are called with POST", status=405)
            found = _Headers(scope["headers"])
            caller, parent = self._calls.identify(key_of(found.authorization))
            options = (
                dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
            )
            output = _output(options)
            raw = output == "raw"
            request = Request(
                path=_path(scope["path"]),
                content_type=found.content_type,
                encoding=found.content_encoding,
                body=await _read(receive, found.content_length, self._calls.limits.request),
                timeout=_seconds(options),
                stdout=options.get("stdout", "").lower() == "true",
            )
            call = self._calls.begin(request, caller, parent)
            if output == "void":
                await self._unattended.submit(call)
                body = b'{"async":"void","request_id":"%s"}' % call.id.encode("ascii")
                await _send(send, 200, JSON, [body])
                return
            outcome = await self._calls.run(call)
        except _Gone:
            return
        except WrapgenError as error:
            self._metrics.note_refused(error.code)
            self._journal.note(
                "refused", path=scope["path"][:200], code=error.code, message=error.message[:200]
            )
            await _refuse(send, error, raw=raw)
            return
        await (_send_raw(send, outcome) if raw else _send(send, 200, JSON, envelope(outcome)))


class _Headers:
    """The few headers that matter here, read in one pass."""

    __slots__ = ("authorization", "content_encoding", "content_length", "content_type")

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.authorization = self.content_type = self.content_encoding = ""
        self.content_length: int | None = None
        for name, value in pairs:
            if name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"content-type":
                self.content_type = value.partition(b";")[0].strip().lower().decode("latin-1")
            elif name == b"content-length":
                self.content_length = int(value) if value.isdigit() else None
            elif name == b"content-encoding":
                self.content_encoding = value.strip().lower().decode("latin-1")


class _Gone(Exception):
    """The client went away before its request was complete."""


async def _send_raw(send: Send, outcome: Outcome) -> None:
    answer = outcome.answer
    if isinstance(answer, Problem):
        status = 400 if answer.kind in REQUEST_PROBLEMS else 500
        await _send(send, status, _KINDS["text"], [answer.message.encode("utf-8", "replace")])
    else:
        await _send(send, 200, _KINDS[answer.kind], [answer.raw()])


async def _refuse(send: Send, error: WrapgenError, *, raw: bool) -> None:
    extra = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers(error).items()]
    # The body may not have been read to its end, so this connection can't be used again.
    if isinstance(error, BadRequest | NotAuthorized):
        extra.append((b"connection", b"close"))
    body, kind = (words(error).encode(), _KINDS["text"]) if raw else (call_body(error), JSON)
    await _send(send, facts(error)[0], kind, [body], extra)


async def _send(
    send: Send,
    status: int,
    kind: bytes,
    parts: list[bytes | memoryview] | list[bytes],
    extra: Iterable[tuple[bytes, bytes]] = (),
) -> None:
    size = sum(map(len, parts))
    fields = [(b"content-type", kind), (b"content-length", b"%d" % size), *extra]
    await send({"type": "http.response.start", "status": status, "headers": fields})
    if size < 65536:
        parts = [b"".join(parts)]
    last = len(parts) - 1
    for number, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": number < last})


async def _read(receive: Receive, length: int | None, limit: int) -> bytes:
    """The whole body.

    Raises:
        TooLarge: it is over the limit.
        _Gone: the client went away.
    """
    message = await receive()
    chunks, size = [], 0
    while message["type"] == "http.request":
        body = message.get("body", b"")
        size += len(body)
        if size <= limit:
            chunks.append(body)
        if not message.get("more_body", False):
            if size > limit:
                raise too_large(limit)
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        if max(size, length or 0) > SWALLOWED * limit:
            raise too_large(limit)
        message = await receive()
    raise _Gone


def _path(path: str) -> str:
    """The reference in a path; the Node client leaves a leading `algo://` in place."""
    return path[len(PREFIX) :].removeprefix("algo://").removeprefix("algo:/")


def _output(options: dict[str, str]) -> str:
    output = options.get("output", "default").lower()
    if output not in ("default", "raw", "void", ""):
        raise BadRequest(f"output={output[:40]} is unknown", hint="raw, void, or leave it out", status=400)
    return output


def _seconds(options: dict[str, str]) -> float | None:
    text = options.get("timeout")
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BadRequest(f"timeout={text[:40]} is not a number of seconds", status=400)
    return seconds
