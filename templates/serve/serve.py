"""The wrapper as a web service: an ASGI application for uvicorn, or any other ASGI server.

    WRAPPER_TOKEN=... uvicorn serve:app

``POST /`` takes what README.md says that a call of the wrapper takes, and answers with the result itself.
HTTP is known here only: ``serving.calls`` executes, and ``serving.settings`` reads the environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import hashlib
import hmac
import os
import signal
import sys
from concurrent.futures import Future
from typing import Any, Awaitable, Callable, Dict, Iterator, Mapping

from serving.calls import KINDS, READY, Answer, Calls, problem
from serving.document import document
from serving.metrics import CONTENT_TYPE, Metrics
from serving.settings import Settings

Receive = Callable[[], Awaitable[Dict[str, Any]]]
Send = Callable[[Dict[str, Any]], Awaitable[None]]
READ_SECONDS = 60.0  # for the whole body of a request
PART_SECONDS = 60.0  # for the client to take a part of an answer
WAIT_SECONDS = 10.0  # that a call may wait for a thread: what it was given for its work goes on
PART = 256 * 1024  # bytes of an answer that are sent at once
GET, POST = ("GET", "HEAD"), ("POST",)


class Gone(Exception):
    """The client has closed the connection: there is no reader of an answer."""


class Refused(Exception):
    """A request that is not executed, with the answer that says why."""

    def __init__(self, status: int, error_type: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answer = problem(error_type, message, retryable=status == 503, status=status)


def busy(message: str) -> Refused:
    """The refusal of a call that another replica, or this one later, can execute."""
    return Refused(503, "TooManyRequests", message, retry_after="1")


class Service:
    """Answers HTTP requests; of the application there is one in a process."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        """``environ`` has the variables that ``Settings`` reads; startup fails if they are wrong."""
        self._fault = ""
        self._admitted = 0  # requests whose body may be in memory
        try:
            self.settings = Settings.read(environ)
        except ValueError as error:
            self._fault = str(error)
            return
        self._digests = [hashlib.sha256(token.encode("utf-8")).digest() for token in self.settings.tokens]
        self.metrics = Metrics()
        self.calls = Calls(self.settings, self.metrics)
        self._routes: dict[str, tuple[tuple[str, ...], Callable[[], Answer] | None]] = {
            "/": (POST, None),
            "/healthz": (GET, self._health),
            "/readyz": (GET, self._readiness),
            "/metrics": (GET, self._metrics),
            "/openapi.json": (GET, self._document),
        }
        self._open = {"/healthz", "/readyz", *self.settings.open}

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """One request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            with contextlib.suppress(Gone):
                await self._respond(scope, receive, send)

    async def _live(self, receive: Receive, send: Send) -> None:
        """Load at the start, in a thread: probes are answered meanwhile."""
        while True:
            message = await receive()
            if message["type"] == "lifespan.shutdown":
                await send({"type": "lifespan.shutdown.complete"})
                return
            if self._fault:
                await send({"type": "lifespan.startup.failed", "message": self._fault})
                return
            self.calls.start()
            self._watch_signals()
            await send({"type": "lifespan.startup.complete"})

    def _watch_signals(self) -> None:
        """At SIGTERM announce the end, take calls for a while longer, then have the server stop."""
        loop = asyncio.get_running_loop()

        def leave(pass_on: Callable[[], Any], delay: float) -> None:
            loop.call_later(delay if self.calls.announce_stop() else 0, stop, pass_on)

        def stop(pass_on: Callable[[], Any]) -> None:
            self.calls.stop()
            pass_on()

        def handle(previous: Any, delay: float, number: int, _frame: Any) -> None:
            loop.call_soon_threadsafe(leave, functools.partial(_pass_on, previous, number), delay)

        for number, delay in ((signal.SIGTERM, self.settings.stop_delay), (signal.SIGINT, 0.0)):
            with contextlib.suppress(ValueError):  # not in the main thread, which the server has to itself
                signal.signal(number, functools.partial(handle, signal.getsignal(number), delay))

    async def _respond(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, whatever becomes of it."""

        async def reply(answer: Answer, headers: Mapping[str, str] = {}) -> None:
            if not self._fault:
                self.metrics.count_response(answer.status)
            await _send(send, answer, headers, with_body=scope["method"] != "HEAD")

        try:
            route = self._route(scope)
            if route is None:
                await self._call(scope["headers"], receive, reply)
            else:
                await reply(route())
        except Refused as refused:
            await reply(refused.answer, refused.headers)

    def _route(self, scope: dict[str, Any]) -> Callable[[], Answer] | None:
        """What answers a path; None for a call. Raises ``Refused``, before anything of a body is read."""
        if self._fault:
            raise Refused(503, "LoadingError", self._fault)
        prefix, path = scope.get("root_path", ""), scope["path"]
        path = path[len(prefix) :] if prefix and path.startswith(prefix) else path
        if path not in self._routes:
            raise Refused(404, "NotFound", "there is POST /, /healthz, /readyz, /metrics and /openapi.json")
        methods, route = self._routes[path]
        if scope["method"] not in methods:
            allowed = ", ".join(methods)
            raise Refused(405, "InputError", f"{path} is for {allowed}", allow=allowed)
        if path not in self._open and not self._is_known(scope["headers"]):
            message = "the header Authorization must be: Bearer, and this wrapper's token"
            raise Refused(401, "AuthenticationError", message, www_authenticate="Bearer")
        return route

    def _is_known(self, headers: Any) -> bool:
        """Whether a request has one of the tokens; takes as long for one as for another."""
        scheme, _, token = _header(headers, b"authorization").partition(b" ")
        given = hashlib.sha256(token.strip()).digest()
        found = [hmac.compare_digest(given, digest) for digest in self._digests]
        return scheme.lower() == b"bearer" and any(found)

    async def _call(self, headers: Any, receive: Receive, reply: Callable[..., Awaitable[None]]) -> None:
        """Execute a call and reply to it. Raises ``Refused`` and ``Gone``."""
        kind = self._kind(headers)
        self.calls.start()  # where the server knows nothing of the start of an application
        self._require_open()
        if self._admitted >= self.settings.calls + self.settings.waiting:
            raise busy("as many calls as this wrapper takes are running or waiting")
        with self._admission() as release:
            body = await self._body(headers, receive)
            self._require_open()
            answer = await self._executed(body, kind, receive)
            if len(answer.body) <= PART:  # what is left of the call needs no memory to speak of
                release()
            await reply(answer, {"retry-after": "1"} if answer.status == 503 else {})

    @contextlib.contextmanager
    def _admission(self) -> Iterator[Callable[[], None]]:
        """Count a call while the context is open, or until it is released."""
        counted = [True]

        def release() -> None:
            self._admitted -= counted == [True]
            counted.clear()

        self._admitted += 1
        try:
            yield release
        finally:
            release()

    def _require_open(self) -> None:
        """Refuse a call before loading has ended, or after the end was announced."""
        if not self.calls.is_open:
            raise busy(f"the wrapper is {self.calls.state}")

    def _kind(self, headers: Any) -> str:
        """The content type of a call. Raises ``Refused``."""
        kind = _header(headers, b"content-type").partition(b";")[0].strip().lower().decode("latin-1")
        if kind not in KINDS:
            raise Refused(415, "InputError", f"Content-Type must be one of {', '.join(KINDS)}")
        if _header(headers, b"content-encoding").strip().lower() not in (b"", b"identity"):
            raise Refused(415, "InputError", "the body must not be compressed")
        return kind

    async def _body(self, headers: Any, receive: Receive) -> bytes:
        """The body, which is never read beyond the limit. Raises ``Refused`` and ``Gone``."""
        most = self.settings.request_bytes
        refused = Refused(413, "TooLargeError", f"a request may have {most} bytes")
        declared = _header(headers, b"content-length")
        if declared and _header(headers, b"transfer-encoding"):
            raise Refused(400, "InputError", "a request has either a length or chunks: something altered it")
        if declared.isdigit() and int(declared) > most:
            raise refused
        parts: list[bytes] = []
        size, more = 0, True
        try:
            with _time_limit(READ_SECONDS):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Gone
                    parts.append(message.get("body", b""))
                    size, more = size + len(parts[-1]), message.get("more_body", False)
                    if size > most:
                        raise refused
        except asyncio.TimeoutError:
            said = f"the body took more than {READ_SECONDS:g} s"
            raise Refused(408, "TimeoutError", said, connection="close") from None
        if declared.isdigit() and size != int(declared):  # some servers drop that of a request to upgrade
            raise Refused(
                400, "InputError", "the server did not pass the body on: leave out the header Upgrade"
            )
        return b"".join(parts)

    async def _executed(self, body: bytes, kind: str, receive: Receive) -> Answer:
        """The wrapper's answer. Raises ``Refused`` and ``Gone`` for a call that no thread has begun."""
        job = self.calls.submit(body, kind)
        done = asyncio.wrap_future(job)
        try:
            if self._admitted > self.settings.calls:
                await self._turn(job, done, receive)
            return await done
        except asyncio.CancelledError:
            if done.cancelled():
                raise busy("the wrapper is stopping") from None
            raise

    async def _turn(self, job: Future[Answer], done: asyncio.Future[Answer], receive: Receive) -> None:
        """Wait for a thread. A call that none has begun ends with its client, or when time is up."""
        gone = asyncio.ensure_future(receive())  # the body is read: what comes now is the end of it
        either: set[asyncio.Future[Any]] = {done, gone}
        try:
            await asyncio.wait(either, timeout=WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            if not done.done() and job.cancel():
                raise Gone if gone.done() else busy(f"no thread was free within {WAIT_SECONDS:g} s")
        finally:
            gone.cancel()

    def _health(self) -> Answer:
        return Answer.of_json({"status": "ok"})

    def _readiness(self) -> Answer:
        state = self.calls.state
        return Answer.of_json({"status": state}, 200 if state == READY else 503)

    def _metrics(self) -> Answer:
        state, running = self.calls.state, self.calls.running
        gauges = {"ready": int(state == READY), "running": running, "waiting": self._admitted - running}
        return Answer(200, CONTENT_TYPE, self.metrics.text(gauges).encode("utf-8"))

    def _document(self) -> Answer:
        return Answer.of_json(document(self.settings))


def _header(headers: Any, wanted: bytes) -> bytes:
    """The value of a header; empty without one, and where a client sends two that may contradict."""
    found = [value for name, value in headers if name == wanted]
    return found[0] if len(found) == 1 else b""


def _pass_on(previous: Any, number: int) -> None:
    """Do with a signal what would have been done without us."""
    if callable(previous):
        previous(number, None)
    else:
        signal.signal(number, previous or signal.SIG_DFL)
        os.kill(os.getpid(), number)


async def _send(send: Send, answer: Answer, headers: Mapping[str, str], with_body: bool = True) -> None:
    """Send an answer in parts, so that a slow client holds up nothing but itself. Raises ``Gone``."""
    fixed = {"content-type": answer.content_type, "content-length": str(len(answer.body))}
    fixed.update({"cache-control": "no-store", "x-content-type-options": "nosniff"}, **headers)
    pairs = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fixed.items()]
    await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
    body = answer.body if with_body else b""
    for start in range(0, len(body) or 1, PART):
        part, more = body[start : start + PART], start + PART < len(body)
        try:
            with _time_limit(PART_SECONDS):
                await send({"type": "http.response.body", "body": part, "more_body": more})
        except asyncio.TimeoutError:
            raise Gone from None


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End the block with ``asyncio.TimeoutError`` after so long; ``wait_for`` would start a task for it."""
    task, is_late = asyncio.current_task(), []

    def end(task: asyncio.Task[Any]) -> None:
        is_late.append(True)
        task.cancel()

    assert task is not None
    timer = asyncio.get_running_loop().call_later(seconds, end, task)
    try:
        yield
    except asyncio.CancelledError:
        if not is_late:
            raise
        raise asyncio.TimeoutError from None
    finally:
        timer.cancel()


app = Service(os.environ)

if __name__ == "__main__":
    sys.exit("start it with an ASGI server: uvicorn serve:app")
