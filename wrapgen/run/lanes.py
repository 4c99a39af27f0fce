"""The threads that make a run's calls. Each takes a chunk, processes it once and hands the reply back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from wrapgen.resources import resource_of
from wrapgen.run.chunks import Chunk
from wrapgen.run.process import Lost, Reply
from wrapgen.run.states import Fault
from wrapgen.run.turns import Turn, Turns


@dataclass(frozen=True)
class Returned:
    """A send that came back: its sequence number and what it brought."""

    seq: int
    reply: Reply | Lost


class Lanes(Protocol):
    """Where chunks go and come back from; a test has one without threads.

    Attributes:
        ahead: chunks that may be submitted beyond those that may be open; they wait, ready to leave.
    """

    ahead: int

    def allow(self, most: int) -> None:
        """So many calls may be open from now on."""

    def recall(self) -> None:
        """Has what was submitted and has not left come back, lost as `Fault.UNSENT`."""

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Starts a send; never blocks."""

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back; waits for the first up to `seconds`, None for as long as it takes."""

    def wake(self) -> None:
        """Makes a `wait` in progress return; safe in a signal handler."""


class ThreadLanes:
    """Threads, started as they are needed. They never keep the process from ending.

    Args:
        process: sends one chunk once, in the turn that it is given; must not raise.
    """

    ahead = 1

    def __init__(self, process: Callable[[Chunk, Turn], Reply | Lost]) -> None:
        self._process = process
        self._turns = Turns()
        self._in: SimpleQueue[tuple[int, Chunk, Turn] | None] = SimpleQueue()
        self._out: SimpleQueue[tuple[Returned, Turn] | None] = SimpleQueue()
        self._threads = 0
        self._open = 0

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Starts a send; never blocks."""
        self._open += 1
        if self._open > self._threads:
            self._start()
        self._in.put((seq, chunk, self._turns.make()))

    def _start(self) -> None:
        """Starts a thread more; where there can be no more, those that there are make the calls."""
        name = f"wrapgen-lane-{self._threads + 1}"
        try:
            threading.Thread(target=self._work, name=name, daemon=True).start()
        except RuntimeError:
            if not self._threads:
                raise
        else:
            self._threads += 1

    def allow(self, most: int) -> None:
        """So many calls may be open from now on."""
        self._turns.allow(most)

    def recall(self) -> None:
        """Has what was submitted and has not left come back."""
        self._turns.recall()

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back; waits for the first up to `seconds`."""
        found: list[Returned] = []
        try:
            first = self._out.get(timeout=seconds)
            while True:
                if first is not None:
                    returned, turn = first
                    turn.heard()
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
            seq, chunk, turn = task
            try:
                reply = self._process(chunk, turn)
            except BaseException as error:  # a lane that dies silently would hang the run
                resource = resource_of(error)
                said = f"there is no more {resource}" if resource else f"a fault of wrapgen: {error!r}"
                reply = Lost(Fault.STOPPED, type(error).__name__, said)
            self._out.put((Returned(seq, reply), turn))
