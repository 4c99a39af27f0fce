"""A version's page: what was released, and a console that calls it as the API would."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import msgspec
from starlette.responses import Response

from wrapgen.errors import BadRequest, WrapgenError
from wrapgen.platform.api.errors import call_body, facts, words
from wrapgen.platform.api.protocol import CONNECTION
from wrapgen.platform.calls.call import CallOutcome, Request
from wrapgen.platform.calls.envelope import envelope
from wrapgen.platform.calls.service import new_id
from wrapgen.platform.calls.worker_protocol import CallFailure
from wrapgen.platform.web.hosted import PLACE, Hosted, hosted, release
from wrapgen.platform.web.page import Visit, WebPage
from wrapgen.platform.web.shown import laid_out
from wrapgen.platform.web.snippets import TYPES, snippets

SHOWN = 200_000
"""Characters of a result, and of what was printed, that a page shows."""

PATIENCE = 60
"""Seconds that a call from the console may take unless its form says otherwise."""


@dataclass(frozen=True)
class ConsoleInput:
    """What the console's form holds: the kind of input, its text, and the seconds the call may take."""

    kind: str
    text: str
    timeout: str = str(PATIENCE)


@dataclass(frozen=True)
class ConsoleAnswer:
    """What came of a call, for showing.

    Args:
        status: the HTTP status that the API would have answered.
        kind: of the result, or the error's type.
        text: the result, pretty where it is JSON, or the error's message.
        failed: whether it is an error.
        cut: characters that are not shown.
        download: a short binary result as base64, for saving.
        seconds: how long the algorithm worked; None if it did not run.
        stdout: what it printed, where that may be seen.
        trace: the algorithm's traceback, where that may be seen.
        request_id: of the call; empty if there was none.
        reply: what the API answers, where that is short.
    """

    status: int
    kind: str
    text: str
    failed: bool = False
    cut: int = 0
    download: str = ""
    seconds: float | None = None
    stdout: str = ""
    trace: str = ""
    request_id: str = ""
    reply: str = ""

    def laid_out(self, most: int) -> ConsoleAnswer:
        """The same with JSON laid out for reading, where that has at most so many bytes."""
        text = laid_out(self.text, most) if self.kind == "json" and not self.failed else self.text
        cut = self.cut + max(0, len(text) - SHOWN)
        return replace(self, text=text[:SHOWN], cut=cut, reply=laid_out(self.reply, most))


def version(visit: Visit) -> Response:
    """GET the page of a version"""
    return _page(visit, None, None)


async def call(visit: Visit) -> Response:
    """POST an input to a version"""
    seen, most = await visit.in_thread(hosted, visit), visit.platform.bounds.page_bytes
    reference = _reference(visit, seen, visit.word("version"))
    given, body = await _given(visit)
    try:
        outcome = await _called(visit, reference, given, body)
        answer = await visit.in_thread(_answer, outcome, most)
    except WrapgenError as error:
        visit.platform.observer.note_refused(error, new_id(), reference, event="refused", known=True)
        status, _, kind = facts(error)
        answer = ConsoleAnswer(status, kind, words(error), failed=True, reply=call_body(error).decode())
    return await visit.in_thread(_page, visit, given, answer)


async def _called(visit: Visit, reference: str, given: ConsoleInput, body: bytes) -> CallOutcome:
    """Runs the call on behalf of the visitor, within the platform's limits and counts."""
    try:
        seconds = float(given.timeout)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        raise BadRequest(f"{given.timeout[:40]!r} is not a number of seconds")
    connection = visit.request.scope.get(CONNECTION)
    request = Request(
        path=reference,
        content_type=TYPES[given.kind],
        body=body,
        timeout=seconds,
        stdout=True,
        gone=connection.is_closing if connection else None,
    )
    calls = visit.platform.calls
    return await calls.run(calls.begin(request, visit.caller, None))


async def _given(visit: Visit) -> tuple[ConsoleInput, bytes]:
    kind, text = visit.text("kind", "json"), visit.text("input")
    timeout = visit.text("timeout", str(PATIENCE))
    if kind not in TYPES:
        raise BadRequest(f"an input can't be {kind[:40]!r}")
    if kind == "binary":
        file = next(iter(visit.files("file")), None)
        return ConsoleInput(kind, text, timeout), await file.read() if file else b""
    return ConsoleInput(kind, text, timeout), text.encode("utf-8", "replace")


def _page(visit: Visit, given: ConsoleInput | None, answer: ConsoleAnswer | None) -> Response:
    seen = hosted(visit)
    found = release(visit, seen, visit.word("version"))
    notes = found.version.notes if found.version else {}
    sample = str(notes.get("sample_input") or seen.algorithm.sample_input or "")
    facts = {
        "seen": seen,
        "release": found,
        "version": visit.word("version"),
        "notes": notes,
        "sample": sample,
        "reference": _reference(visit, seen, visit.word("version")),
        "callable": visit.caller.may_call(seen.algorithm.owner, seen.algorithm.name),
    }
    most = visit.platform.bounds.page_bytes
    return visit.html("version.html", partial(_context, facts, given, answer, most))


def _context(
    facts: dict[str, Any], given: ConsoleInput | None, answer: ConsoleAnswer | None, most: int
) -> dict[str, Any]:
    """What the page shows; made where it is rendered."""
    shown = given or _prefilled(facts["sample"], most)
    programs = snippets(facts["seen"].address, facts["reference"], shown.kind, shown.text)
    told = answer and answer.laid_out(most)
    return {**facts, "given": shown, "answer": told, "snippets": programs}


def _reference(visit: Visit, seen: Hosted, version: str) -> str:
    release(visit, seen, version)
    return f"{seen.reference}/{version}"


def _prefilled(sample: str, most: int) -> ConsoleInput:
    """The sample input as the form starts with it: JSON where it is some, laid out for reading."""
    shown = laid_out(sample, most)
    return ConsoleInput("json" if shown != sample or not sample or _is_json(sample) else "text", shown)


def _is_json(text: str) -> bool:
    try:
        msgspec.json.decode(text, type=msgspec.Raw)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def _answer(outcome: CallOutcome, most: int) -> ConsoleAnswer:
    answer = outcome.answer
    told = ConsoleAnswer(
        status=200,
        kind=answer.kind,
        text="",
        seconds=outcome.seconds,
        stdout=(outcome.output or b"").decode("utf-8", "replace")[:SHOWN],
        request_id=outcome.call.id,
        reply=_reply(outcome),
    )
    if isinstance(answer, CallFailure):
        trace = answer.trace if outcome.trusted else ""
        return replace(told, text=answer.message[:SHOWN], failed=True, trace=trace[:SHOWN])
    raw = bytes(answer.raw())
    if answer.kind == "binary":
        download = base64.b64encode(raw).decode("ascii") if len(raw) <= 4 * SHOWN else ""
        return replace(told, text=f"{len(raw):,} bytes", download=download)
    text = raw.decode("utf-8", "replace")
    if len(raw) > most:  # it isn't laid out
        return replace(told, text=text[:SHOWN], cut=max(0, len(text) - SHOWN))
    return replace(told, text=text)


def _reply(outcome: CallOutcome) -> str:
    parts = envelope(outcome)
    return b"".join(parts).decode("utf-8", "replace") if sum(map(len, parts)) <= SHOWN // 10 else ""


PAGES = (
    WebPage(f"{PLACE}/versions/{{version}}", version),
    WebPage(f"{PLACE}/versions/{{version}}", call, method="POST"),
)
