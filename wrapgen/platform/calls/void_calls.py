"""Calls that no caller waits for (`output=void`), and what came of them.

Each is persisted on disk before it is acknowledged and runs again after a kill, so it may run more than once
but is never lost. The hosted platform has no call to ask for the outcome; here the request id does.

    FOLDER/<request id>.request    one line of JSON, then the body; gone when the call has ended
    FOLDER/<request id>.outcome    the reply that a waiting caller would have got
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from wrapgen.errors import NotFound, ServerFault, Throttled, WrapgenError
from wrapgen.files import make_folder, whole
from wrapgen.platform.calls.call import Call, Request
from wrapgen.platform.calls.envelope import envelope
from wrapgen.platform.calls.service import CallService
from wrapgen.platform.domain.model import Caller
from wrapgen.platform.observe.background import going_on

KEPT_SECONDS = 24 * 3600
"""How long an outcome can be asked for."""

AGAIN_SECONDS = 1.0
"""How long a call that runs again waits when too many are open, and an outcome that can't be written."""

_ID = re.compile(r"req-[0-9a-f-]{36}\Z")


class PersistedRequest(msgspec.Struct):
    """The first line of a request file: whose call it is, and the request without its body."""

    caller: Caller
    path: str
    content_type: str
    encoding: str
    timeout: float | None
    stdout: bool
    run: str = ""


_KEPT = ("path", "content_type", "encoding", "timeout", "stdout", "run")
"""What is persisted of a request besides its body."""


class VoidCallState(msgspec.Struct):
    """What is known of an unattended call: the JSON reply once it has ended, else None."""

    request_id: str
    reply: bytes | None


class VoidCalls:
    """The unattended calls of one home.

    Args:
        folder: where they are persisted; made when missing.
        calls: runs them.
        clock: gives epoch seconds.
    """

    def __init__(self, folder: Path, calls: CallService, clock: Callable[[], float]) -> None:
        make_folder(folder)
        self._folder = folder
        self._calls = calls
        self._clock = clock
        self._tasks: set[asyncio.Task[None]] = set()
        self._pruned = 0.0

    async def submit(self, call: Call) -> None:
        """Persists a call that has begun, and runs it in the background.

        Raises:
            ServerFault: it can't be persisted.
        """
        try:
            await asyncio.to_thread(self._persist, call)
        except BaseException as error:
            self._calls.abandon(call)
            if isinstance(error, OSError):
                raise ServerFault(f"the call can't be persisted: {error.strerror}") from error
            raise
        self._spawn(call)
        if self._clock() - self._pruned > 600:
            self._pruned = self._clock()
            with contextlib.suppress(OSError):  # next time; the call is persisted and runs
                await asyncio.to_thread(self.prune)

    def find(self, request_id: str, caller: Caller) -> VoidCallState:
        """What became of a call.

        Raises:
            NotFound: there is no such call that this caller may follow, or it is too long ago.
        """
        if _ID.match(request_id):
            # The outcome is there before the request goes, so one that ends meanwhile is found at the end.
            for suffix in (".outcome", ".request", ".outcome"):
                with contextlib.suppress(FileNotFoundError):
                    head, _, rest = self._path(request_id, suffix).read_bytes().partition(b"\n")
                    persisted = msgspec.json.decode(head, type=PersistedRequest)
                    if _may_follow(caller, persisted.caller):
                        return VoidCallState(request_id, rest if suffix == ".outcome" else None)
        raise NotFound(f"no request {request_id[:80]}", reason="no-such-request")

    def prune(self) -> None:
        """Removes outcomes that have expired."""
        for path in self._folder.glob("*.outcome"):
            if self._clock() - path.stat().st_mtime > KEPT_SECONDS:
                path.unlink(missing_ok=True)

    def forget(self, account: str) -> None:
        """Removes the calls of an account that is no more: the next of its name must not see them."""
        for path in (*self._folder.glob("*.request"), *self._folder.glob("*.outcome")):
            with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
                if msgspec.json.decode(file.readline(), type=PersistedRequest).caller.account == account:
                    path.unlink()

    async def resume(self) -> None:
        """Runs again what a former server took down and did not finish."""
        for path in sorted(self._folder.glob("*.request")):
            with going_on(f"running {path.stem} again"), contextlib.suppress(FileNotFoundError):  # forgotten
                if self._path(path.stem, ".outcome").exists():  # it has ended: only its removal was lost
                    path.unlink()
                    continue
                head, _, body = path.read_bytes().partition(b"\n")
                await self._again(path.stem, msgspec.json.decode(head, type=PersistedRequest), body)

    async def close(self) -> None:
        """Stops what still runs; it runs again when the home is served again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _again(self, request_id: str, persisted: PersistedRequest, body: bytes) -> None:
        asked = {name: getattr(persisted, name) for name in _KEPT}
        request = Request(body=body, **asked)
        try:
            call = await self._begin(request_id, request, persisted.caller)
        except WrapgenError as error:
            reply = msgspec.json.encode({"error": {"message": error.message}, "request_id": request_id})
            await self._keep(request_id, persisted, [reply])
        else:
            self._spawn(call)

    async def _begin(self, request_id: str, request: Request, caller: Caller) -> Call:
        while True:
            with contextlib.suppress(Throttled):
                return self._calls.begin(request, caller, None, request_id=request_id)
            await asyncio.sleep(AGAIN_SECONDS)

    def _spawn(self, call: Call) -> None:
        task = asyncio.get_running_loop().create_task(self._run(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, call: Call) -> None:
        outcome = await self._calls.run(call)
        await self._keep(call.id, _persisted(call), list(envelope(outcome)))

    async def _keep(self, request_id: str, made: PersistedRequest, reply: list[bytes | memoryview]) -> None:
        while True:
            with contextlib.suppress(OSError, RuntimeError, MemoryError):  # a full disk, say: it waits for it
                await asyncio.to_thread(self._settle, request_id, made, reply)
                return
            await asyncio.sleep(AGAIN_SECONDS)

    def _persist(self, call: Call) -> None:
        head = msgspec.json.encode(_persisted(call)) + b"\n"
        self._write(self._path(call.id, ".request"), [head, call.request.body])

    def _settle(self, request_id: str, made: PersistedRequest, reply: Iterable[bytes | memoryview]) -> None:
        if not self._path(request_id, ".request").exists():  # forgotten meanwhile
            return
        head = msgspec.json.encode(made) + b"\n"
        self._write(self._path(request_id, ".outcome"), [head, *reply])
        self._path(request_id, ".request").unlink(missing_ok=True)

    def _path(self, request_id: str, suffix: str) -> Path:
        return self._folder / (request_id + suffix)

    def _write(self, path: Path, parts: Iterable[bytes | memoryview]) -> None:
        with whole(path) as file:
            file.writelines(parts)


def _may_follow(caller: Caller, maker: Caller) -> bool:
    """Whether a caller sees what came of another's call.

    An algorithm follows the calls that it made; a key that may not call everything, those made with it.
    """
    if caller.account != maker.account:
        return False
    if caller.algorithm is not None:
        return caller.algorithm == maker.algorithm
    return caller.key_id == maker.key_id or "algo://*" in caller.permissions.algorithms


def _persisted(call: Call) -> PersistedRequest:
    asked = {name: getattr(call.request, name) for name in _KEPT}
    return PersistedRequest(call.caller, **{**asked, "run": call.run})
