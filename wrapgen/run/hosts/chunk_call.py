"""One send of one chunk: the body, the call, and what became of each item. Pure but for the call.

The local runner, SQS and Spark all go through `ChunkCall`, and none of them decides anything about it.
Whether and when something is sent again is not decided here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import repeat
from typing import Any

from wrapgen import protocol
from wrapgen.run.hosts.answers import Answered, error_objects, over_limits, read_answer, read_results
from wrapgen.run.hosts.description import DESCRIBE, Description
from wrapgen.run.hosts.failures import fault_of_type
from wrapgen.run.hosts.host import Host
from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import Fate, Lines, LossKind, Lost, Outcome, Reply, error_text

Permit = Callable[[Callable[[], "bytes | Lost"]], "bytes | Lost"]
"""Makes a call once it may be made; `UNSENT` where that does not come."""

GATEWAY_SECONDS = 30.0
"""Seconds after which a gateway's own limit is a likelier cause of its 504 than a platform that is away."""

# Makes an outcome of three values without a call of Python code.
_outcome: Callable[[tuple[Fate, str, int]], Outcome] = partial(tuple.__new__, Outcome)


def at_once(call: Callable[[], bytes | Lost]) -> bytes | Lost:
    """The permit of a call that need not wait."""
    return call()


@dataclass(frozen=True)
class Terms:
    """What holds for every send of a run.

    Args:
        run: the run's id.
        timeout: seconds asked of the host for each call.
        attempts: calls of the target that an item may take over all of its sends.
        request_bytes: the most that a request may hold.
        clock: seconds that only go forward.
    """

    run: str
    timeout: float
    attempts: int
    request_bytes: int
    clock: Callable[[], float]

    @classmethod
    def of(
        cls,
        wrapper: Description,
        run: str,
        clock: Callable[[], float],
        timeout: float | None = None,
        attempts: int | None = None,
    ) -> Terms:
        """What holds for a run through a wrapper, but for what the user says otherwise."""
        seconds = min(protocol.MAX_TIMEOUT, timeout or protocol.call_timeout(wrapper.timeout))
        return cls(run, seconds, attempts or wrapper.attempts, wrapper.request_bytes, clock)

    @property
    def told(self) -> int:
        """Seconds that the wrapper is told: 30 less than the host grants, or half of a short time."""
        return protocol.told_timeout(self.timeout)


@dataclass(frozen=True)
class ChunkCall:
    """Makes the calls of a run.

    Args:
        host: executes the wrapper.
        terms: what holds for every send.
        write: makes the lines of an answer that is all results; else every result stays in its outcome. Many
            answers may have to wait until they are settled: as objects they take three times the memory.
        refusal: why an answer's outcomes are refused, by its `$summary`; None refuses none.
    """

    host: Host
    terms: Terms
    write: Callable[[Chunk, list[str]], Lines] | None = None
    refusal: Callable[[Mapping[str, Any]], Lost | None] | None = None

    def __call__(self, chunk: Chunk, permit: Permit = at_once) -> Reply | Lost:
        """Sends a chunk once.

        Args:
            chunk: at least one item; goes out as try `chunk.tries + 1`.
            permit: waits until the call may be made.

        Returns:
            What became of each item, or why nothing is known of any. Errors of the host never escape.
        """
        terms = self.terms
        started = terms.clock()

        def call() -> bytes | Lost:
            nonlocal started
            started = terms.clock()
            return self.host.call(body, terms.timeout)

        request = self._request(chunk)
        if isinstance(request, Lost):
            return request
        body, uploaded = request
        try:
            answer = permit(call)
        finally:
            if uploaded and self.host.sideband:
                self.host.sideband.discard(uploaded)
        if isinstance(answer, Lost):
            reply: Reply | Lost = self._blamed(answer, terms.clock() - started, len(chunk))
        else:
            reply = self._read(answer, chunk)
        return replace(reply, seconds=terms.clock() - started)

    def _request(self, chunk: Chunk) -> tuple[bytes, str | None] | Lost:
        terms, sideband = self.terms, self.host.sideband
        body = request_body(chunk, terms)
        if len(body) <= terms.request_bytes:
            return body, None
        if len(chunk) > 1 or sideband is None:
            message = f"the request has {len(body):,} bytes, the limit is {terms.request_bytes:,}"
            return Lost(LossKind.TOO_LARGE, "TooLargeError", message)
        url = sideband.upload(chunk.items[0] + b"\n")
        return url if isinstance(url, Lost) else (request_body(chunk, terms, protocol.dumps(url)), url)

    def _read(self, body: bytes, chunk: Chunk) -> Reply | Lost:
        try:
            answer = read_answer(body)
            if isinstance(answer, protocol.ItemError):
                return Lost(fault_of_type(answer.type), answer.type, answer.message)
            if self.refusal and (refused := self.refusal(answer.summary)):
                return refused
            results = self._results(answer)
            if isinstance(results, Lost):
                return results
            if len(results) != len(chunk):
                raise protocol.ProtocolError(
                    f"the wrapper answered {len(results)} results for {len(chunk)} items"
                )
            return self._reply(chunk, results, answer.summary)
        except protocol.ProtocolError as error:
            return Lost(LossKind.LOST, "ServerError", str(error))

    def _reply(self, chunk: Chunk, results: list[str], summary: dict[str, Any]) -> Reply:
        for at, reason in over_limits(results):
            text = error_text("ParsingError", f"the result {reason}", retryable=False)
            results[at] = f'{{"$error":{text}}}'
        errors = list(error_objects(results))
        if self.write and not errors:
            ok = {attempts: Outcome(Fate.OK, "", attempts) for attempts in set(chunk.attempts)}
            return Reply(
                [ok[attempts] for attempts in chunk.attempts], summary, lines=self.write(chunk, results)
            )
        outcomes = list(map(_outcome, zip(repeat(Fate.OK), results, chunk.attempts, strict=False)))
        for at, value in errors:
            error = protocol.ItemError.from_wire(value["$error"])
            outcomes[at] = _failed(error, chunk.attempts[at], self.terms.attempts)
        return Reply(outcomes, summary)

    def _results(self, answer: Answered) -> list[str] | Lost:
        if not isinstance(answer.results, str):
            return answer.results
        if self.host.sideband is None:
            raise protocol.ProtocolError(f"the results are at {answer.results}, which can't be read here")
        content = self.host.sideband.fetch(answer.results)
        if isinstance(content, Lost):
            return content
        try:
            return read_results(content.decode("utf-8"))
        except UnicodeDecodeError as error:
            raise protocol.ProtocolError(f"the results at {answer.results} are not UTF-8") from error

    def _blamed(self, lost: Lost, seconds: float, items: int) -> Lost:
        """A failure with what speaks for the chunk's being its cause, or against it."""
        if lost.fault not in (LossKind.LOST, LossKind.DOWN):
            return lost
        # A call that took so long lacked time; smaller chunks can be tried sooner.
        late = seconds >= self.terms.timeout
        if lost.fault is LossKind.DOWN:
            late = seconds >= self.terms.timeout / 2 or (items > 1 and seconds >= GATEWAY_SECONDS)
        if late:
            return replace(lost, fault=LossKind.TIMEOUT, type="TimeoutError")
        # Only a host that answers others blames this chunk; a gateway speaks for the host behind it.
        return replace(
            lost, fault=LossKind.LOST if lost.fault is LossKind.LOST and self._alive() else LossKind.DOWN
        )

    def _alive(self) -> bool:
        answer = self.host.call(DESCRIBE, protocol.TIMEOUT_MARGIN)
        if isinstance(answer, Lost):
            return answer.type not in ("ServerError", "ConnectionError")
        try:
            read_answer(answer)
        except protocol.ProtocolError:
            return False
        return True


def request_body(chunk: Chunk, terms: Terms, batch: bytes | None = None) -> bytes:
    """The body of form 3 for a chunk; `batch` replaces the list of items, as a URL in JSON."""
    first = chunk.indexes[0]
    index = str(first) if chunk.contiguous else json.dumps(list(chunk.indexes), separators=(",", ":"))
    ids = f',"$ids":{json.dumps(list(chunk.ids), separators=(",", ":"))}' if chunk.ids else ""
    ids += f',"$rate":{json.dumps(chunk.grant.to_wire())}' if chunk.grant else ""
    rest = f',"$run":"{terms.run}","$index":{index}{ids},"$try":{chunk.tries + 1},"$timeout":{terms.told}}}'
    items = batch if batch is not None else b"[" + b",".join(chunk.items) + b"]"
    return b"".join((b'{"$batch":', items, rest.encode("ascii")))


def _failed(error: protocol.ItemError, before: int, limit: int) -> Outcome:
    attempts = before + error.attempts
    again = error.retryable and (error.attempts == 0 or attempts < limit)
    text = error_text(error.type, error.message, retryable=error.retryable)
    return Outcome(Fate.AGAIN if again else Fate.FAILED, text, attempts)
