"""Calls of algorithms: which build, on whose behalf, how many at once, how long, and what came of it.

Knows nothing of HTTP. Whatever an algorithm does wrong ends up in a `CallOutcome`; what the caller does wrong
is raised. Limits are those of the platform contract, section 9.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from wrapgen.errors import BadRequest, NotAuthorized, ServerFault, Throttled, TooLarge
from wrapgen.platform.calls.call import Call, CallLimits, CallOutcome, Request
from wrapgen.platform.calls.problems import LEFT, REVOKED, CallEnded, expired, load_problem
from wrapgen.platform.calls.worker_protocol import (
    CallFailure,
    Result,
    explained,
    read_response,
    request_parts,
)
from wrapgen.platform.domain.model import Caller, Permissions, Runnable
from wrapgen.platform.state import State
from wrapgen.platform.workers.lease import Lease
from wrapgen.platform.workers.pool import LoadFailed, Pool, Pools
from wrapgen.platform.workers.worker import Worker, WorkerEnded, WorkerResponse

ALGORITHM_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")

CHANCES = 3
"""Workers that a call may be given to; the next one only if the one before ended without reading it."""


def _unobserved(_: CallOutcome) -> None:
    pass


@dataclass
class CallService:
    """All calls of one platform.

    Args:
        state: the services of the home.
        pools: the workers.
        limits: what calls may take.
        on_end: told the outcome of each call.
    """

    state: State
    pools: Pools
    limits: CallLimits
    draining: bool = False
    on_end: Callable[[CallOutcome], None] = _unobserved
    _calls: set[Call] = field(default_factory=set)
    _open: dict[str, int] = field(default_factory=dict)
    _serving: dict[str, Call] = field(default_factory=dict)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)
    _changes: int = 0

    @property
    def open(self) -> int:
        """Calls that are open, nested ones included."""
        return len(self._calls)

    def in_progress(self) -> list[Call]:
        """The calls that are open, nested ones included."""
        return list(self._calls)

    def open_of(self, account: str) -> int:
        """Calls of an account that are open, nested ones included."""
        return self._open.get(account, 0)

    async def drained(self) -> None:
        """Refuses new calls from outside and waits until the open ones, with those below them, have ended."""
        self.draining = True
        while self._calls:
            self._empty.clear()
            await self._empty.wait()

    def identify(self, key: str) -> tuple[Caller, Call | None]:
        """Whose key it is, and the call it belongs to if it is a worker's.

        Raises:
            NotAuthorized: it is unknown; or a worker's key while it serves no call (401).
        """
        worker = self.pools.known.get(key)
        if worker is None:
            return self.state.accounts.caller(key), None
        call = self._serving.get(key)
        if call is None:
            return self._loading(worker), None
        algorithm = f"{call.runnable.owner}/{call.runnable.name}"
        call.root.acted = True
        return replace(self._now(call.caller), session=call.root.id, algorithm=algorithm), call

    def _now(self, caller: Caller) -> Caller:
        """A caller with the rights that its key has now, which may have changed since it was identified.

        Raises:
            NotAuthorized: the key was revoked (401).
        """
        found = self.state.accounts.caller_of(caller.key_id)
        if caller.algorithm is None:
            return found
        return replace(found, session=caller.session, algorithm=caller.algorithm)

    def _loading(self, worker: Worker) -> Caller:
        """While it loads, an algorithm reads as its owner (model manifests), where its callers' keys read."""
        pool = next((each for each in self.pools.by_key.values() if worker in each.alive), None)
        if pool is None or worker.ready.is_set():
            raise _not_serving()
        runnable = pool.runnable
        nothing_but_reading = Permissions(
            algorithms=(), data_read=runnable.loads_data, data_write=False, manage=False
        )
        return Caller(
            account=runnable.owner,
            key_id="",
            permissions=nothing_but_reading,
            algorithm=f"{runnable.owner}/{runnable.name}",
        )

    def expire(self, now: float) -> None:
        """Ends calls whose time is over at time.monotonic() `now`, or whose caller lost the right to them.

        Has to be called all the time.
        """
        changes = self.state.accounts.changes
        for call in list(self._calls):
            if changes != self._changes:
                call.revoked = call.revoked or not self._still_may(call)
            if call.future is None or call.future.done():
                continue
            if call.revoked:
                call.future.set_exception(CallEnded(REVOKED))
            elif now >= call.ends:
                call.future.set_exception(CallEnded(expired(call)))
        self._changes = changes

    def _still_may(self, call: Call) -> bool:
        try:
            now = self._now(call.caller)
        except NotAuthorized:
            return False
        return call.runnable.callability == "public" or now.owns(call.runnable.owner)

    # -- one call --------------------------------------------------------------------------------------

    def begin(
        self,
        request: Request,
        caller: Caller,
        parent: Call | None,
        *,
        request_id: str | None = None,
        limits: CallLimits | None = None,
    ) -> Call:
        """Takes a call in: finds what to run, checks the input, counts it. It has to be `run` then.

        Args:
            request: what is asked for.
            caller: who asks, from `identify`.
            parent: the call whose algorithm asks, from `identify`.
            request_id: of a call that runs again; else a new one is made.
            limits: instead of the platform's.

        Raises:
            NotFound, NotAuthorized, BadRequest: there is no such algorithm for this caller.
            NotAuthorized: the parent has ended, or the key was revoked (401).
            BadRequest, TooLarge: the body or an option can't be.
            Throttled: too many calls are open.
            ServerFault: the server is about to stop (503).
        """
        if caller.admin:
            raise NotAuthorized("an admin key can't call algorithms")
        if caller.algorithm is not None and parent is None and request_id is None:
            raise NotAuthorized("an algorithm that is loading can't call others")
        if parent is not None and parent not in self._calls:  # it ended while this request was read
            raise _not_serving()
        caller = self._now(caller)  # the body took its time to come, and a stored call waited for a server
        runnable = self._resolve(request.path, caller)
        if not caller.permissions.data_read:
            runnable = runnable.without_data()
        if parent is None and self.draining:
            raise ServerFault("the server is about to stop", reason="unavailable", retry_after=5)
        limits = limits or self.limits
        timeout = _timeout(request.timeout, limits)
        if len(request.body) > limits.request:
            raise too_large(limits.request)
        parts = request_parts(request.content_type, request.encoding, request.body)
        number, now = request_id or new_id(), time.monotonic()
        call = Call(number, caller, runnable, parent, request, parts, limits, timeout, now, now + timeout)
        call.run = request.run or (parent.run if parent else "")
        self._admit(call)
        return call

    async def run(self, call: Call) -> CallOutcome:
        """Runs a call that has begun; whatever the algorithm does, there is an outcome."""
        trusted = call.caller.owns(call.runnable.owner)
        shown = trusted and _asked_by_owner(call)
        try:
            answer, seconds, output = await self._serve(call, shown)
        finally:
            self._release(call)
            root = call.root
            # An unattended call may outlive the call from outside that it is below of.
            if root.acted and not root.below and root not in self._calls:
                end = self.state.data.end_session
                await asyncio.get_running_loop().run_in_executor(None, end, root.id)
        if isinstance(answer, CallFailure) and self.state.sandbox is not None:
            answer = explained(answer)
        printed = output if call.request.stdout and trusted else None
        outcome = CallOutcome(call, answer, seconds, printed, trusted, shown)
        self.on_end(outcome)
        return outcome

    def abandon(self, call: Call) -> None:
        """Gives up a call that has begun and is not going to run."""
        self._release(call)

    def _release(self, call: Call) -> None:
        account = call.caller.account
        self._open[account] -= 1
        if not self._open[account]:
            del self._open[account]
        self._calls.discard(call)
        if not self._calls:
            self._empty.set()
        for each in call.above:
            each.below -= 1

    def named(self, path: str) -> str:
        """A reference with `owner/name` where it has an algorithm's id."""
        first = path.strip("/").partition("/")[0]
        return self.state.algorithms.full_name(first) if ALGORITHM_ID.match(first) else path

    def _resolve(self, path: str, caller: Caller) -> Runnable:
        words = path.strip("/").split("/")
        if len(words) <= 2 and ALGORITHM_ID.match(words[0]):
            return self.state.algorithms.resolve_id(words[0], words[1] if len(words) == 2 else None, caller)
        if len(words) not in (2, 3) or not all(words):
            raise BadRequest(f"{path!r} is not an algorithm", hint="owner/name or owner/name/version")
        return self.state.algorithms.resolve(
            words[0], words[1], words[2] if len(words) == 3 else None, caller
        )

    def _admit(self, call: Call) -> None:
        limits, above = call.limits, call.above
        if len(above) >= limits.depth:
            raise BadRequest(f"calls are nested more than {limits.depth} deep")
        if any(each.below >= limits.below for each in above):
            raise Throttled(f"one call has {limits.below} open calls below it", retry_after=1)
        account = call.caller.account
        count = self._open.get(account, 0)
        if count >= limits.account:
            raise Throttled(f"{account} has {limits.account} open calls", retry_after=1)
        self._open[account] = count + 1
        self._calls.add(call)
        for each in above:
            each.below += 1

    async def _serve(self, call: Call, shown: bool) -> tuple[Result | CallFailure, float, bytes]:
        """The answer, how long it took, and what was printed meanwhile."""
        began = time.monotonic()
        try:
            response = await self._respond(self.pools.get(call.runnable), call)
        except CallEnded as ended:
            return ended.failure, time.monotonic() - began, b""
        except LoadFailed as failed:
            return load_problem(failed, shown=shown), time.monotonic() - began, b""
        except WorkerEnded as worker:
            problem = CallFailure(worker.exited.kind, worker.exited.words, worker.exited.output)
            return problem, time.monotonic() - began, problem.trace.encode("utf-8", "replace")
        return _answer(response, call.limits.response), response.seconds, response.output

    async def _respond(self, pool: Pool, call: Call) -> WorkerResponse:
        urgent = any(each.runnable.key == call.runnable.key for each in call.above)
        for chance in range(CHANCES, 0, -1):
            lease = Lease(
                call.parts,
                output=call.request.stdout,
                urgent=urgent,
                begin=partial(self._begin, call),
                end=self._end,
            )
            call.future = lease.future
            try:
                pool.lend(lease)
                return await lease.future
            except WorkerEnded as ended:
                if not ended.unread or chance == 1:
                    raise
            finally:
                lease.release()
        raise AssertionError("the last chance returns or raises")

    def _begin(self, call: Call, worker: Worker) -> None:
        if call.revoked:
            raise CallEnded(REVOKED)
        if call.request.gone is not None and call.request.gone():
            raise CallEnded(LEFT)
        if time.monotonic() >= call.ends:
            raise CallEnded(expired(call))
        call.worker = worker
        self._serving[worker.key] = call

    def _end(self, worker: Worker) -> None:
        del self._serving[worker.key]


def _not_serving() -> NotAuthorized:
    return NotAuthorized("this algorithm is not serving a call now", reason="invalid-key")


def too_large(limit: int) -> TooLarge:
    """The refusal of a body over the limit."""
    return TooLarge(
        f"the input is over the limit of {limit} bytes",
        hint="send it in parts, or put it into a data file and send its URL",
    )


def _timeout(asked: float | None, limits: CallLimits) -> float:
    if asked is None:
        return limits.timeout
    if not 0 < asked <= limits.longest:
        raise BadRequest(
            f"timeout={asked:g} is not possible",
            hint=f"more than 0, at most {limits.longest:g} seconds",
        )
    return asked


def _answer(response: WorkerResponse, limit: int) -> Result | CallFailure:
    if response.line is None or response.size > limit:
        return CallFailure("TooLargeError", f"the result has {response.size} bytes; the limit is {limit}")
    return read_response(response.line)


def _asked_by_owner(call: Call) -> bool:
    """Whether the reply goes to a person, or to an algorithm of the same owner as the one that is called."""
    asking = call.caller.algorithm
    return asking is None or asking.partition("/")[0] == call.runnable.owner


def new_id() -> str:
    """A request's id: a random UUID with a prefix; the standard library takes ten times as long."""
    digits = os.urandom(16).hex()
    return f"req-{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"
