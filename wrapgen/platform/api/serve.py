"""Serves a platform over HTTP until a signal: uvicorn on uvloop with httptools.

The first SIGTERM or SIGINT drains: calls from outside are refused, open ones end, with whatever they call
below them. A second one, or the end of the grace, ends what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

import uvicorn
import uvloop

from wrapgen.errors import UsageError
from wrapgen.platform import Platform
from wrapgen.platform.api import allocator
from wrapgen.platform.api.app import Application
from wrapgen.platform.api.protocol import GuardedProtocol
from wrapgen.platform.observe.server_log import ServerLog

LINGER_SECONDS = 5
"""How long what isn't a call may take when calls have ended, until it is refused."""

SWEEP_TICKS = 10
"""Ticks of 0.1 s between two looks for clients that keep us waiting."""

REPEAT_SECONDS = 1.0
"""How often the log says the same thing of uvicorn's at most; bad requests may come by the thousand."""

MESSAGES = 100
"""Different ones that are remembered for that."""


@dataclass(frozen=True)
class Certificate:
    """What TLS needs: PEM files with the certificate chain and its private key."""

    chain: Path
    key: Path


def listen(host: str, port: int) -> socket.socket:
    """A listening socket.

    Args:
        host: name or address.
        port: 0 for any that is free.

    Raises:
        UsageError: the port is taken, or the address is not this machine's.
    """
    version = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(version, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it; without it every reply on a kept connection may wait for an ACK.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"can't listen on {host}:{port}: {error.strerror}", hint="choose another --port, or 0 for any"
        ) from error
    return listener


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """`http://host:port` as others on this machine reach it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"{scheme}://{host}:{port}"


def serve(
    platform: Platform,
    listener: socket.socket,
    *,
    grace: float,
    on_ready: Callable[[str], None],
    certificate: Certificate | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then drains, and leaves no worker behind.

    Args:
        platform: what is served; the caller closes it.
        listener: from `listen`.
        grace: seconds that open calls may still take when a signal has come.
        on_ready: called in a thread with the address when requests are answered.
        certificate: for TLS; workers then get a plain listener of their own, on loopback.
    """
    allocator.give_back()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    uvloop.run(_serve(platform, listener, grace, on_ready, certificate))


async def _serve(
    platform: Platform,
    listener: socket.socket,
    grace: float,
    on_ready: Callable[[str], None],
    certificate: Certificate | None,
) -> None:
    app = Application(platform)
    for name in ("uvicorn.error", "asyncio"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [ServerLogHandler(platform.observer.log)], False
        logger.setLevel(logging.WARNING)
    inner = listen("127.0.0.1", 0) if certificate else None
    address = address_of(listener, "https" if certificate else "http")
    workers = asyncio.create_task(platform.run(address_of(inner) if inner else address))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    connections = min(platform.bounds.connections, files // 2 if files > 0 else sys.maxsize)
    bounds = replace(platform.bounds, connections=connections)
    protocol = type("Protocol", (GuardedProtocol,), {"bounds": bounds})
    server = _Server(_settings(app, certificate, protocol), platform, grace, lambda: on_ready(address))
    attach = partial(server.attach, _settings(app, None, protocol), protocol)
    platform.pools.common.attach = attach
    try:
        if inner is not None:
            server.inner = await attach(inner)
        await server.serve(sockets=[listener])
    finally:
        workers.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await workers


def _settings(
    app: Application, certificate: Certificate | None, protocol: type[GuardedProtocol]
) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        loop="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=LINGER_SECONDS,
        ssl_certfile=certificate.chain if certificate else None,
        ssl_keyfile=str(certificate.key) if certificate else None,
    )


class ServerLogHandler(logging.Handler):
    """Puts what uvicorn and asyncio have to say into the platform's log: event `server`.

    Args:
        log: the log.
        clock: gives seconds that never go back.
    """

    def __init__(self, log: ServerLog, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._log = log
        self._clock = clock
        self._last: dict[str, tuple[float, int]] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """One line, with the exception that it came from; `untold` is how often it was not said since."""
        now, untold = self._clock(), 0
        if record.msg in self._last:
            said, untold = self._last[record.msg]
            if now - said < REPEAT_SECONDS:
                self._last[record.msg] = (said, untold + 1)
                return
        if len(self._last) >= MESSAGES:
            self._last.clear()
        self._last[record.msg] = (now, 0)
        facts: dict[str, object] = {"level": record.levelname.lower(), "message": record.getMessage().strip()}
        if record.exc_info:
            facts["trace"] = logging.Formatter().formatException(record.exc_info)
        elif (reason := sys.exc_info()[1]) is not None:
            facts["reason"] = str(reason)[:200]
        if untold:
            facts["untold"] = untold
        self._log.note("server", **facts)


class _Server(uvicorn.Server):
    """Uvicorn's server, with a drain during which running algorithms can still call this platform."""

    def __init__(
        self, config: uvicorn.Config, platform: Platform, grace: float, on_ready: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._platform = platform
        self._grace = grace
        self._on_ready = on_ready
        self._draining: asyncio.Task[None] | None = None
        self._told: asyncio.Task[None] | None = None
        self.inner: asyncio.AbstractServer | None = None

    async def attach(
        self, settings: uvicorn.Config, protocol: type[GuardedProtocol], listener: socket.socket
    ) -> asyncio.AbstractServer:
        """Answers on one more listener, with other settings, from now on."""

        def connect() -> asyncio.Protocol:
            return protocol(config=settings, server_state=self.server_state, app_state={})

        return await asyncio.get_running_loop().create_server(connect, sock=listener)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then says so: in a thread, because a new home may still look for interpreters."""
        await super().startup(sockets)
        if self.started:
            gc.freeze()  # what is here now stays, and is not looked through again
            self._told = asyncio.create_task(asyncio.to_thread(self._on_ready))
            self._told.add_done_callback(self._after_ready)

    def _after_ready(self, told: asyncio.Task[None]) -> None:
        """Ends a server that could not say that it is ready: the process that started it waits for that."""
        if not told.cancelled() and told.exception() is not None:
            self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stops listening everywhere, then does what uvicorn does; what it cut short still says so."""
        if self.inner is not None:
            self.inner.close()
        await super().shutdown(sockets)
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=LINGER_SECONDS)
        if self._told is not None and self._told.done():
            self._told.result()

    async def on_tick(self, counter: int) -> bool:
        """Looks for slow clients now and then (called by uvicorn every 0.1 s)."""
        if counter % SWEEP_TICKS == 0:
            now = time.monotonic()
            for connection in list(self.server_state.connections):
                if isinstance(connection, GuardedProtocol) and connection.overdue(now):
                    connection.transport.abort()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 (uvicorn's signature)
        """The first signal drains, the next one ends."""
        if self._draining is not None:
            self.should_exit = True
            return
        self._draining = asyncio.get_running_loop().create_task(self._drain())

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(self._platform.calls.drained(), self._grace)
        self.should_exit = True
