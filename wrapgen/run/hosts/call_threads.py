"""The threads that make calls. Each takes a chunk, sends it once and hands the reply back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from wrapgen.resources import resource_of
from wrapgen.run.hosts.chunk_call import Permit
from wrapgen.run.hosts.permits import CallPermit, Permits
from wrapgen.run.scheduling.chunks import Chunk
from wrapgen.run.scheduling.replies import LossKind, Lost, Reply


class Returned(NamedTuple):
    """A send that came back: its sequence number and what it brought."""

    seq: int
    reply: Reply | Lost


class OpenCalls(Protocol):
    """Where chunks go and replies come back from; a test has one without threads.

    Attributes:
        prefetch: chunks that may be submitted beyond those that may be open; they wait, ready to leave.
    """

    prefetch: int

    def allow(self, most: int) -> None:
        """So many calls may be open from now on; 0: what has not left comes back, as `LossKind.UNSENT`."""

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Starts a send; never blocks."""

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back; waits for the first up to `seconds`, None for as long as it takes."""

    def wake(self) -> None:
        """Makes a `wait` in progress return; safe in a signal handler."""

    def close(self) -> None:
        """Lets go of what it holds; no call is open."""


class CallThreads:
    """Threads, started as they are needed. They never keep the process from ending.

    Args:
        send: sends one chunk once, with the permit that it is given; must not raise.
    """

    prefetch = 1

    def __init__(self, send: Callable[[Chunk, Permit], Reply | Lost]) -> None:
        self._send = send
        self._permits = Permits()
        self._in: SimpleQueue[tuple[int, Chunk, CallPermit] | None] = SimpleQueue()
        self._out: SimpleQueue[tuple[Returned, CallPermit] | None] = SimpleQueue()
        self._threads = 0
        self._open = 0

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Starts a send; never blocks."""
        self._open += 1
        if self._open > self._threads:
            self._start()
        self._in.put((seq, chunk, self._permits.make()))

    def _start(self) -> None:
        """Starts a thread more; where there can be no more, those that there are make the calls."""
        name = f"wrapgen-call-{self._threads + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def allow(self, most: int) -> None:
        """So many calls may be open from now on; 0 has what was submitted and has not left come back."""
        self._permits.allow(most)

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back; waits for the first up to `seconds`."""
        found: list[Returned] = []
        try:
            first = self._out.get(timeout=seconds)
            while True:
                if first is not None:
                    returned, permit = first
                    permit.release()
                    found.append(returned)
                first = self._out.get_nowait()
        except Empty:
            self._open -= len(found)
            return found

    def wake(self) -> None:
        """Makes a `wait` in progress return."""
        self._out.put(None)

    def close(self) -> None:
        """Lets idle threads end."""
        for _ in range(self._threads):
            self._in.put(None)

    def _work(self) -> None:
        while (task := self._in.get()) is not None:
            seq, chunk, permit = task
            try:
                reply = self._send(chunk, permit)
            except BaseException as error:  # a thread that dies silently would hang the run
                resource = resource_of(error)
                said = f"there is no more {resource}" if resource else f"a fault of wrapgen: {error!r}"
                reply = Lost(LossKind.STOPPED, type(error).__name__, said)
            self._out.put((Returned(seq, reply), permit))
