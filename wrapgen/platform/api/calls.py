"""`POST /v1/algo/...`: the path of a call, as a bare ASGI application ahead of the router.

Every call of an algorithm passes here, so it does little: the result is spliced into its envelope as the
worker wrote it (platform contract, section 2).
"""

from __future__ import annotations

import asyncio
import math
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive, Scope, Send

from wrapgen.errors import BadRequest, NotAuthorized, Throttled, WrapgenError
from wrapgen.platform.api.auth import identify
from wrapgen.platform.api.errors import call_body, cut_short, facts, headers, routed, unexpected, words
from wrapgen.platform.api.protocol import CONNECTION
from wrapgen.platform.calls.call import RUN_ID, CallLimits, CallOutcome, Request
from wrapgen.platform.calls.envelope import envelope
from wrapgen.platform.calls.fault_rules import FaultRule
from wrapgen.platform.calls.service import new_id, too_large
from wrapgen.platform.calls.worker_protocol import CallFailure

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

SMALL = 64 * 1024
"""Bytes of a body that the server may have received before it looks at its head."""

JSON = b"application/json"
_KINDS = {"json": JSON, "text": b"text/plain; charset=utf-8", "binary": b"application/octet-stream"}

REQUEST_ID = b"x-request-id"
"""Where a reply whose body has no place for its request id has it; refusals have it in both."""

_FOR_PAGES = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-expose-headers", b"retry-after, x-error-message, x-request-id"),
]
"""What lets web pages of any site read a reply: the key decides which may call, and no cookie counts here."""

_BEFORE_PAGES = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, x-run-id"),
    (b"access-control-max-age", b"86400"),
]
"""What a browser asks before its page may call."""


class CallEndpoint:
    """Answers calls of algorithms.

    Args:
        platform: what runs them.
    """

    def __init__(self, platform: Platform) -> None:
        self._calls = platform.calls
        self._unattended = platform.unattended
        self._faults = platform.faults
        self._observer = platform.observer
        self._sending: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One HTTP request whose path starts with PREFIX."""
        options = dict(parse_qsl(scope["query_string"].decode("latin-1"))) if scope["query_string"] else {}
        raw = options.get("output", "").lower() == "raw"
        fault: FaultRule | None = None
        found = _Headers(scope["headers"])
        try:
            if self._faults.rules:
                fault = self._faults.choose(self._calls.named(_path(scope["path"])))
            reply = await self._answer(scope, receive, found, options, fault)
        except _Gone:
            return
        except WrapgenError as error:
            reply = self._refuse("refused", scope, error, found, raw=raw)
        except asyncio.CancelledError:  # the server ends, and has waited long enough
            reply = self._refuse("stopped", scope, cut_short(), found, raw=raw)
        except Exception as error:
            trace = traceback.format_exc()
            reply = self._refuse("fault", scope, unexpected(error), found, raw=raw, trace=trace)
        if found.origin:
            reply.headers += _FOR_PAGES
        if fault is not None and fault.reply != "whole":
            await _corrupt_response(scope, send, reply, fault)
        else:
            await _send(send, reply)

    def _refuse(
        self, event: str, scope: Scope, error: WrapgenError, found: _Headers, *, raw: bool, trace: str = ""
    ) -> _Reply:
        """The reply to a call without an outcome; the log has the id that it carries."""
        number = new_id()
        self._observer.note_refused(error, number, scope["path"], event=event, known=found.known, trace=trace)
        return _refusal(error, number, raw=raw)

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        found: _Headers,
        options: dict[str, str],
        fault: FaultRule | None,
    ) -> _Reply:
        if scope["method"] != "POST":
            if scope["method"] == "OPTIONS" and found.origin:
                return _Reply(204, JSON, [], [*_BEFORE_PAGES])
            raise BadRequest("algorithms are called with POST", reason="wrong-method")
        caller, parent = identify(self._calls, found.authorization, found.origin)
        found.known = True
        output = _output(options)
        request = Request(
            path=_path(scope["path"]),
            content_type=found.content_type,
            encoding=found.content_encoding,
            body=await self._body(caller.account, receive, found.content_length),
            timeout=_seconds(options),
            stdout=options.get("stdout", "").lower() == "true",
            run=found.run,
            gone=None if output == "void" else scope[CONNECTION].is_closing,
        )
        limits = await _inject_fault(fault, self._calls.limits) if fault else None
        call = self._calls.begin(request, caller, parent, limits=limits)
        if output == "void":
            await self._unattended.submit(call)
            return _Reply(200, JSON, [b'{"async":"void","request_id":"%s"}' % call.id.encode("ascii")])
        outcome = await self._calls.run(call)
        return _raw(outcome) if output == "raw" else _Reply(200, JSON, envelope(outcome))

    async def _body(self, account: str, receive: Receive, length: int | None) -> bytes:
        """The whole body; of large ones an account may be sending as many as it may have open calls.

        Raises:
            Throttled: it sends that many already.
            TooLarge, _Gone: as `_read`.
        """
        limits = self._calls.limits
        if length is not None and length <= SMALL:
            return await _read(receive, length, limits.request)
        if self._sending[account] >= limits.account:
            raise _Unread(f"{account} is sending {limits.account} large inputs", retry_after=1)
        self._sending[account] += 1
        try:
            return await _read(receive, length, limits.request)
        finally:
            self._sending[account] -= 1
            if not self._sending[account]:
                del self._sending[account]


class _Headers:
    """The few headers that matter here, read in one pass."""

    __slots__ = (
        "authorization",
        "content_encoding",
        "content_length",
        "content_type",
        "known",
        "origin",
        "run",
    )

    def __init__(self, pairs: Iterable[tuple[bytes, bytes]]) -> None:
        self.authorization = self.content_type = self.content_encoding = self.origin = self.run = ""
        self.content_length: int | None = None
        self.known = False  # whether the key is good, once it was looked at
        for name, value in pairs:
            if name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"content-type":
                self.content_type = value.partition(b";")[0].strip().lower().decode("latin-1")
            elif name == b"content-length":
                self.content_length = int(value) if value.isdigit() else None
            elif name == b"content-encoding":
                self.content_encoding = value.strip().lower().decode("latin-1")
            elif name == b"origin":
                self.origin = value.decode("latin-1")
            elif name == b"x-run-id" and RUN_ID.match(run := value.decode("latin-1")):
                self.run = run


class _Gone(Exception):
    """The client went away before its request was complete."""


class _Unread(Throttled):
    """Too many calls, told before the body was read."""


class _Reply(msgspec.Struct):
    """A reply that is ready to be sent: status, content type, body in parts, further headers."""

    status: int
    kind: bytes
    parts: Sequence[bytes | memoryview]
    headers: list[tuple[bytes, bytes]] = []


def _raw(outcome: CallOutcome) -> _Reply:
    answer, number = outcome.answer, [(REQUEST_ID, outcome.call.id.encode("ascii"))]
    if isinstance(answer, CallFailure):
        status = 400 if answer.kind in REQUEST_PROBLEMS else 500
        return _Reply(status, _KINDS["text"], [answer.message.encode("utf-8", "replace")], number)
    return _Reply(200, _KINDS[answer.kind], [answer.raw()], number)


def _refusal(error: WrapgenError, request_id: str, *, raw: bool) -> _Reply:
    extra = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers(error).items()]
    extra.append((REQUEST_ID, request_id.encode("ascii")))
    if facts(error)[0] == 405:
        extra.append((b"allow", b"POST"))
    # The body may not have been read to its end, so this connection can't be used again.
    if isinstance(error, BadRequest | NotAuthorized | _Unread):
        extra.append((b"connection", b"close"))
    body, kind = (words(error).encode(), _KINDS["text"]) if raw else (call_body(error, request_id), JSON)
    return _Reply(facts(error)[0], kind, [body], extra)


async def _send(send: Send, reply: _Reply) -> None:
    parts = reply.parts
    size = sum(map(len, parts))
    fields = [(b"content-type", reply.kind), (b"content-length", b"%d" % size), *reply.headers]
    await send({"type": "http.response.start", "status": reply.status, "headers": fields})
    if size < 65536:
        parts = [b"".join(parts)]
    last = len(parts) - 1
    for number, part in enumerate(parts):
        await send({"type": "http.response.body", "body": part, "more_body": number < last})


async def _inject_fault(fault: FaultRule, limits: CallLimits) -> CallLimits:
    """Waits, fails, and scales the limits as a fault asks."""
    await asyncio.sleep(fault.latency)
    if fault.status is not None:
        raise routed(fault.status, f"this {fault.status} was asked for (faults)")
    return fault.scale(limits)


async def _corrupt_response(scope: Scope, send: Send, reply: _Reply, fault: FaultRule) -> None:
    """Loses a reply, or half of it, and the connection with it."""
    if fault.reply == "truncated":
        body = b"".join(reply.parts)
        fields = [(b"content-type", reply.kind), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": reply.status, "headers": fields})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        scope[CONNECTION].close()  # after what was written
    else:
        scope[CONNECTION].abort()


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
        raise BadRequest(f"output={output[:40]} is unknown", hint="raw, void, or leave it out")
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
        raise BadRequest(f"timeout={text[:40]} is not a number of seconds")
    return seconds
