"""Git over smart HTTP: git's own http-backend does the protocol; here are the address, rights and pipes.

`/git/OWNER/NAME.git` with HTTP Basic: an account's name and one of its API keys (platform contract,
section 6). The answer to a push is held back until its build is noted, so the next request sees it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import os
import signal
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from wrapgen.errors import NotAuthorized, NotFound, ServerFault
from wrapgen.platform.api import auth
from wrapgen.platform.domain.bounds import Bounds
from wrapgen.platform.domain.model import Algorithm, Caller

if TYPE_CHECKING:
    from wrapgen.platform import Platform

_SERVICES = ("git-upload-pack", "git-receive-pack")
_PART = 64 * 1024


def routes(platform: Platform) -> list[Route]:
    """What git's smart protocol asks of a repository, and, for reading only, of one version."""
    api = GitRoutes(platform)
    whole, version = "/git/{owner}/{name}.git", "/git/{owner}/{name}/{version}.git"
    return [
        Route(f"{whole}/info/refs", api.refs, methods=["GET"]),
        Route(f"{whole}/git-upload-pack", api.fetch, methods=["POST"]),
        Route(f"{whole}/git-receive-pack", api.push, methods=["POST"]),
        Route(f"{version}/info/refs", api.refs, methods=["GET"]),
        Route(f"{version}/git-upload-pack", api.fetch, methods=["POST"]),
    ]


class GitRoutes:
    """One method per request of the protocol."""

    def __init__(self, platform: Platform) -> None:
        self._state = platform.state
        self._places: _Places | None = None
        self._pushing: dict[str, asyncio.Lock] = {}

    async def refs(self, request: Request) -> Response:
        """GET info/refs: what fetch and push ask first."""
        service = request.query_params.get("service", "")
        if service not in _SERVICES:
            raise NotFound("only git's smart protocol is spoken here")
        write = service == "git-receive-pack"
        if write and "version" in request.path_params:
            raise NotAuthorized("a version never changes; push to NAME.git")
        algorithm = await self._algorithm(request, write=write)
        if isinstance(algorithm, Response):
            return algorithm
        return await self._backend(request, algorithm, "/info/refs")

    async def fetch(self, request: Request) -> Response:
        """POST git-upload-pack: a clone or fetch."""
        algorithm = await self._algorithm(request, write=False)
        if isinstance(algorithm, Response):
            return algorithm
        return await self._backend(request, algorithm, "/git-upload-pack")

    async def push(self, request: Request) -> Response:
        """POST git-receive-pack: a push, and the build of what it brought."""
        algorithm = await self._algorithm(request, write=True)
        if isinstance(algorithm, Response):
            return algorithm
        async with self._pushing.setdefault(algorithm.id, asyncio.Lock()):
            before = await run_in_threadpool(self._state.repositories.head, algorithm.id)
            await run_in_threadpool(self._state.repositories.unlock, algorithm.id)
            response = await self._backend(request, algorithm, "/git-receive-pack")
            try:
                body = b"".join([part async for part in response.body_iterator])  # type: ignore[misc]
            except ServerFault as error:
                body = _told(error)
            await run_in_threadpool(self._state.algorithms.pushed, algorithm, before)
        return Response(body, response.status_code, dict(response.headers))

    async def _algorithm(self, request: Request, *, write: bool) -> Algorithm | Response:
        """The algorithm a request is about; a challenge when it brings no good credentials.

        Raises:
            NotFound, NotAuthorized: there is none, or it is not the caller's.
        """
        caller = await self._caller(request)
        if caller is None:
            challenge = {"WWW-Authenticate": 'Basic realm="wrapgen: account name and API key"'}
            return Response(b"authorization required\n", 401, challenge, "text/plain")
        request.state.account = caller.account
        words, service = request.path_params, self._state.algorithms
        found = await run_in_threadpool(service.get, caller, words["owner"], words["name"])
        if write or found.settings["source_visibility"] != "open":
            service.owned(caller, found)
        return found

    async def _caller(self, request: Request) -> Caller | None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            name, _, key = base64.b64decode(token, validate=True).decode("utf-8").partition(":")
            caller = await run_in_threadpool(self._state.accounts.caller, key)
        except (binascii.Error, UnicodeDecodeError, NotAuthorized):
            return None
        if caller.account.lower() != name.lower() or caller.admin:
            return None
        auth.require_origin(caller, request.headers.get("origin", ""))
        request.scope[auth.KNOWN] = True
        return caller

    def _view(self, algorithm: Algorithm, version: str) -> str:
        """The repository of one version, named by its number or its hash.

        Raises:
            NotFound: there is no such version.
        """
        build = self._state.builds.named(algorithm.id, version)
        if build is None:
            raise NotFound(f"no such version: {version}")
        return self._state.repositories.view(algorithm.id, build.git_hash)

    async def _backend(self, request: Request, algorithm: Algorithm, service: str) -> StreamingResponse:
        """Runs http-backend with the request's body streamed in and its answer streamed out."""
        version = request.path_params.get("version")
        repository = f"{algorithm.id}.git"
        if version is not None:
            repository = await run_in_threadpool(self._view, algorithm, version)
        variables = {
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.url.query,
            "CONTENT_TYPE": request.headers.get("content-type", ""),
            "HTTP_CONTENT_ENCODING": request.headers.get("content-encoding", ""),
            "GIT_PROTOCOL": request.headers.get("git-protocol", ""),
            "REMOTE_USER": algorithm.owner,
            "REMOTE_ADDR": request.client.host if request.client else "",
        }
        environment = self._state.repositories.backend(repository, service, variables)
        bounds: Bounds = request.app.state.platform.bounds
        if self._places is None:
            self._places = _Places(bounds)
        leave = await self._places.take(request.state.account)
        run = await _Run.start(request, environment, bounds, leave, self._caller)
        try:
            status, headers = await _headers(run.process)
        except BaseException:
            await run.end()
            raise
        return StreamingResponse(run.body(), status, headers)


_LOOK = 1 << 20
"""Bytes in or out after which it is looked whether the key is still good."""

_LIMITED = 'ulimit -v "$1"; ulimit -t "$2"; exec git http-backend'
"""What a shell does to run git within limits: KiB of memory, seconds of a processor."""


class _Places:
    """The places of git's processes: so many in all, and of one account, whose further clients wait."""

    def __init__(self, bounds: Bounds) -> None:
        self._all = asyncio.Semaphore(bounds.git_processes)
        self._of = defaultdict[str, asyncio.Semaphore](partial(asyncio.Semaphore, bounds.git_account))

    async def take(self, account: str) -> Callable[[], None]:
        """Waits for a place; returns what gives it back."""
        of = self._of[account]
        await of.acquire()
        try:
            await self._all.acquire()
        except BaseException:
            of.release()
            raise

        def leave() -> None:
            self._all.release()
            of.release()

        return leave


class _Run:
    """One run of git's http-backend, with the request's body on its way in, and the time that it may take."""

    def __init__(
        self, process: asyncio.subprocess.Process, seconds: int, who: Callable[[], Awaitable[Any]]
    ) -> None:
        self.process = process
        self._who = who
        self._moved = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._killed = ""
        late = f"git took more than {seconds} s (git-seconds)"
        self._late = asyncio.get_running_loop().call_later(seconds, self._kill, late)

    @classmethod
    async def start(
        cls,
        request: Request,
        environment: dict[str, str],
        bounds: Bounds,
        leave: Callable[[], None],
        who: Callable[[Request], Any],
    ) -> _Run:
        """Starts git.

        Args:
            request: whose body it gets.
            environment: all of its variables.
            bounds: what it may take.
            leave: gives back its place once it has ended.
            who: asked now and then, and once the body is here, whether its key is still good.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *("sh", "-c", _LIMITED, "git", str(bounds.git_memory >> 10), str(bounds.git_seconds)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment,
                start_new_session=True,
            )
        except BaseException:
            leave()
            raise
        run = cls(process, bounds.git_seconds, partial(who, request))
        run._tasks = [asyncio.create_task(run._feed(request)), asyncio.create_task(run._leave(leave))]
        return run

    async def body(self) -> AsyncIterator[bytes]:
        """What git answers.

        Raises:
            ServerFault: it did not come to a good end.
        """
        assert self.process.stdout is not None
        told = False
        try:
            while part := await self.process.stdout.read(_PART):
                yield part
                told = True
                await self._look(len(part))
            if (await self.process.wait() and not told) or self._killed:
                said = self._killed or "git failed, or needed more than git-memory or git-seconds"
                raise ServerFault(said, reason="unavailable")
        finally:
            await self.end()

    async def _look(self, moved: int) -> None:
        """Ends git where the key was revoked meanwhile; to be told of all that went in and out."""
        self._moved += moved
        if self._moved >= _LOOK:
            self._moved = 0
            if await self._who() is None:
                self._kill("the key was revoked meanwhile")

    async def _leave(self, leave: Callable[[], None]) -> None:
        """Gives the place back, whatever becomes of the request: at the latest when its time is over."""
        await self.process.wait()
        self._late.cancel()
        leave()

    async def _feed(self, request: Request) -> None:
        assert self.process.stdin is not None
        try:
            async for chunk in request.stream():
                self.process.stdin.write(chunk)
                await self.process.stdin.drain()
                await self._look(len(chunk))
            await self._look(_LOOK)
        except (BrokenPipeError, ConnectionResetError):
            pass  # git had read enough
        except ClientDisconnect:
            self._kill("the client left")
        finally:
            self.process.stdin.close()

    async def end(self) -> None:
        """Leaves no process behind, whichever side hung up first."""
        self._tasks[0].cancel()
        await asyncio.gather(self._tasks[0], return_exceptions=True)
        if self.process.returncode is None:
            with contextlib.suppress(asyncio.TimeoutError, TimeoutError):
                await asyncio.wait_for(self.process.wait(), timeout=5)
        self._kill("git was ended")

    def _kill(self, reason: str) -> None:
        """Ends git with what it started, if there is any left."""
        self._killed = self._killed or reason
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)


def _told(error: ServerFault) -> bytes:
    """The answer to a push that could not be taken, as git shows it to the pusher (its sideband 3)."""
    line = b"\x03" + error.message.encode()[:900] + b"\n"
    return b"%04x%s0000" % (len(line) + 4, line)


async def _headers(process: asyncio.subprocess.Process) -> tuple[int, dict[str, str]]:
    """The CGI headers that http-backend writes before its body.

    Raises:
        ServerFault: it wrote none.
    """
    assert process.stdout is not None
    status = 200
    headers: dict[str, str] = {}
    while True:
        line = (await process.stdout.readline()).decode("latin-1")
        if not line:
            raise ServerFault("git's http-backend gave no answer")
        name, _, value = line.strip().partition(":")
        if not name:
            return status, headers
        if name.lower() == "status":
            status = int(value.split()[0])
        else:
            headers[name] = value.strip()
