"""One worker: a process that runs one algorithm and answers one request at a time.

The server holds one end of a socket (request lines out, response lines in) and the read end of a pipe with
everything the algorithm prints. What a response means, who asked and how long it may take live in `calls`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import sys
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import msgspec

from wrapgen.platform.domain.model import Runnable
from wrapgen.platform.workers.ceilings import MEMORY, Ceilings
from wrapgen.platform.workers.launch import launch
from wrapgen.platform.workers.process_tree import cpu_seconds, descend, end_process_tree
from wrapgen.platform.workers.sandbox import LEVELS
from wrapgen.platform.workers.workspace import Surroundings, Workspace

READY = b"PIPE_INIT_COMPLETE"
OUTPUT_KEPT = 256 * 1024
"""Bytes of printed output kept between two responses; the newest win."""

OUTPUT_BURST = 1 << 20
"""Bytes of printed output read before a flooding algorithm has to wait."""

OUTPUT_PAUSE = 0.1
"""Seconds a flooding algorithm waits."""

SPLICED = 65536
"""Bytes from which a part of a request isn't copied once more to be sent together with the others."""

STOP_SECONDS = 3.0
"""How long a worker may take to end after its input is closed (platform contract, section 10)."""


@dataclass(frozen=True)
class Exited:
    """The worker ended: its exit code (negative: the signal), the last output, and why, where we ended it."""

    code: int
    output: str
    why: str = ""

    @property
    def kind(self) -> str:
        """The error type of a call that ended so."""
        return "OutOfMemoryError" if self.why == MEMORY and self.code < 0 else "SystemExit"

    @property
    def words(self) -> str:
        """`exited with code 3`; for a signal the shell's number and its name, and what it probably means."""
        if self.code >= 0:
            return f"exited with code {self.code}"
        number = -self.code
        with contextlib.suppress(ValueError):
            name = signal.Signals(number).name
            why = self.why or _SIGNALS.get(name, "")
            return f"exited with code {128 + number} ({name}{': ' if why else ''}{why})"
        return f"exited with code {128 + number}"


_SIGNALS = {
    "SIGXCPU": "over the ceiling of processor time",
    "SIGXFSZ": "over the ceiling of a file's size",
    "SIGKILL": "perhaps the machine ran out of memory",
}


class WorkerResponse(msgspec.Struct, frozen=True):
    """One response line, and what was printed since the last one.

    Args:
        line: the JSON text and its newline; None when it was over the ceiling.
        size: bytes of the line without the newline.
        output: standard output and error, merged; all of it only where it was asked for.
        seconds: from request to response.
    """

    line: bytes | None
    size: int
    output: bytes
    seconds: float


class Worker(asyncio.Protocol):
    """One process. Make it with `Worker.start`; `ready` is set when it is loaded or has ended."""

    def __init__(self, place: Workspace, ceilings: Ceilings) -> None:
        self.place = place
        self.key = place.key
        self.process = 0
        self.started = time.monotonic()
        self.ready = asyncio.Event()
        self.exited: Exited | None = None
        self.gone = asyncio.Event()
        self.load_response: bytes | None = None
        self.ceilings = ceilings
        self._why = ""
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._then: Callable[[WorkerResponse | WorkerEnded], None] | None = None
        self._sent = 0.0
        self._output_wanted = False
        self._parts: list[bytes] = []
        self._size = 0
        self._output: deque[bytes] = deque()
        self._output_size = 0
        self._output_fd = -1
        self._burst = 0
        self._limited_at = 0.0
        self._lost = asyncio.Event()
        self._unread = False
        self._levels = 0
        self._api: asyncio.AbstractServer | None = None

    # -- life ------------------------------------------------------------------------------------------

    @classmethod
    async def start(
        cls, runnable: Runnable, place: Workspace, ceilings: Ceilings, common: Surroundings
    ) -> Worker:
        """Starts the process, sandboxed if there is a sandbox; it is not loaded yet when this returns.

        Raises:
            OSError: the interpreter can't be run.
        """
        worker = cls(place, ceilings)
        worker._levels = LEVELS if common.sandbox else 0
        launched = await launch(runnable, place, worker._limits(), common.sandbox)
        try:
            if launched.listener is not None and common.attach is not None:
                worker._api = await common.attach(launched.listener)
            await worker._loop.create_unix_connection(lambda: worker, sock=launched.stream)
        except BaseException:
            launched.abandon()
            raise
        worker.process = launched.process.pid
        worker._output_fd = launched.output
        worker._loop.add_reader(launched.output, worker._read_output)
        worker._watch = worker._loop.create_task(worker._until_exit(launched.process))
        return worker

    _watch: asyncio.Task[None]

    @property
    def innermost(self) -> int:
        """The process that runs the algorithm, which in a sandbox is not the one that was started."""
        return descend(self.process, self._levels)

    @property
    def idle(self) -> bool:
        """Whether it is loaded and no request is with it."""
        return self.ready.is_set() and self._then is None

    def _limits(self) -> dict[str, int]:
        memory = "RLIMIT_DATA" if sys.platform.startswith("linux") else "RLIMIT_AS"
        wanted = {memory: self.ceilings.memory, "RLIMIT_FSIZE": self.ceilings.file}
        return {name: value for name, value in wanted.items() if value is not None}

    async def _until_exit(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._loop.remove_reader(self._output_fd)
        self._read_output(final=True)
        os.close(self._output_fd)
        self._output_fd = -1
        if self._levels and 128 < code <= 128 + signal.NSIG:
            code = 128 - code  # how bubblewrap tells of a signal
        if not self._why and self.place.group is not None and self.place.group.out_of_memory:
            self._why = MEMORY
        self.exited = Exited(code, self._take_output().decode("utf-8", "replace"), self._why)
        self.ready.set()
        if self._api is not None:
            self._api.close()
        if self._then is not None:
            with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
                await asyncio.wait_for(self._lost.wait(), 0.2)
        if self._then is not None:
            then, self._then = self._then, None
            then(WorkerEnded(self.exited, unread=self._unread))
        if self._transport is not None:
            self._transport.close()
        await self._loop.run_in_executor(None, self._clean_up)
        self.gone.set()

    def _clean_up(self) -> None:
        end_process_tree(self.process, self.key)
        self.place.remove()

    def kill(self, why: str = "") -> None:
        """Ends the process and its children now; `gone` is set when all of that is done.

        Args:
            why: what those hear who wait for it.
        """
        if self.exited is None:
            self._why = why
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGKILL)

    async def stop(self) -> None:
        """Closes the worker's input and waits until it is gone; kills it when it takes too long."""
        if self._transport is not None:
            self._transport.close()
        try:
            await asyncio.wait_for(asyncio.shield(self._watch), STOP_SECONDS)
        except (TimeoutError, asyncio.TimeoutError):
            self.kill()
            await self.gone.wait()

    # -- one request -----------------------------------------------------------------------------------

    def request(
        self, parts: list[bytes], *, output: bool, then: Callable[[WorkerResponse | WorkerEnded], None]
    ) -> None:
        """Sends one request line, in parts; `then` is told the response, or that the process ended first.

        With `output` the response has exactly what was printed meanwhile; else that is not read for it.

        A caller that stops waiting must `kill` the worker: a late response would be taken for the next one's.
        """
        assert self._then is None
        # The socket may be closed before the process is known to have ended.
        if self.exited is not None or self._transport is None or self._transport.is_closing():
            then(WorkerEnded(self.exited or Exited(-9, ""), unread=True))
            return
        self._then = then
        now = time.monotonic()
        self._limit_cpu(now)
        self._sent = now
        self._output_wanted = output
        if output:
            self._read_output()
            self._take_output()
        if max(map(len, parts)) > SPLICED:
            self._transport.writelines(parts)
        else:
            self._transport.write(b"".join(parts))

    def _limit_cpu(self, now: float) -> None:
        """Moves the ceiling on, at most once a second: the kernel counts from the start of the process."""
        if self.ceilings.cpu is None or now - self._limited_at < 1 or not hasattr(resource, "prlimit"):
            return
        self._limited_at = now
        process = self.innermost
        used = cpu_seconds(process)
        if used is not None:
            ceiling = int(used) + self.ceilings.cpu
            with contextlib.suppress(OSError, ValueError):
                resource.prlimit(process, resource.RLIMIT_CPU, (ceiling, resource.RLIM_INFINITY))

    # -- what the process says -------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is ours (called by the event loop)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance

    def connection_lost(self, exc: Exception | None) -> None:
        """The process closed its end; a reset says that it never read what we sent (called by the loop)."""
        self._unread = isinstance(exc, ConnectionError)
        self._lost.set()

    def data_received(self, data: bytes) -> None:
        """Collects one response line (called by the event loop)."""
        self._size += len(data)
        ended = data.endswith(b"\n")
        if self._size <= self.ceilings.response + 1:
            self._parts.append(data)
        else:
            self._parts.clear()
        if ended:
            self._respond()

    def _respond(self) -> None:
        now = time.monotonic()
        line = b"".join(self._parts) if self._parts else None
        size, self._size = self._size - 1, 0
        self._parts = []
        then, self._then = self._then, None
        if then is None:
            # Upstream Algorithmia/handler.py answers a failed load so, then ends; else it is no call's.
            self.load_response = line if not self.ready.is_set() else None
            return
        if self._output_wanted:
            self._read_output()
        then(WorkerResponse(line, size, self._take_output(), now - self._sent))

    def _read_output(self, *, final: bool = False) -> None:
        """Takes what was printed; a flood is left in the pipe for a while, so that its author waits."""
        while self._burst < OUTPUT_BURST or final:
            try:
                data = os.read(self._output_fd, 65536)
            except (BlockingIOError, OSError):
                return
            if not data:
                self._loop.remove_reader(self._output_fd)
                return
            self._burst += len(data)
            self._keep_output(data)
            final = final and self._burst < 16 * OUTPUT_BURST
        self._loop.remove_reader(self._output_fd)
        self._loop.call_later(OUTPUT_PAUSE, self._read_on)

    def _read_on(self) -> None:
        self._burst = 0
        if self._output_fd >= 0:
            self._loop.add_reader(self._output_fd, self._read_output)

    def _keep_output(self, data: bytes) -> None:
        self._output.append(data)
        self._output_size += len(data)
        while self._output_size - len(self._output[0]) >= OUTPUT_KEPT:
            self._output_size -= len(self._output.popleft())
        if not self.ready.is_set():
            self._look_for_ready()

    def _look_for_ready(self) -> None:
        printed = b"".join(self._output)
        if READY in printed:
            before, _, after = printed.partition(READY)
            rest = before + after.partition(b"\n")[2]
            self._output = deque([rest])
            self._output_size = len(rest)
            self.ready.set()

    def _take_output(self) -> bytes:
        self._burst = 0
        if not self._output:
            return b""
        printed = b"".join(self._output)
        self._output.clear()
        self._output_size = 0
        return printed[-OUTPUT_KEPT:]


class WorkerEnded(Exception):
    """The process ended while a request was with it.

    Args:
        exited: how it ended.
        unread: it can't have begun with the request, so another worker may have it.
    """

    def __init__(self, exited: Exited, *, unread: bool) -> None:
        super().__init__(exited.words)
        self.exited = exited
        self.unread = unread
