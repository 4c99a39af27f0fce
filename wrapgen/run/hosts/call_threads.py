"""The threads that make calls. Each takes a chunk, sends it once and hands the reply back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

from wrapgen.resources import resource_of
from wrapgen.run.hosts.chunk_call import Permit
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
        """Lets go of what it holds: what has not left never leaves."""


_UNSENT = Lost(LossKind.UNSENT, "Unsent", "it did not leave")
_EXHAUSTED = Lost(LossKind.STOPPED, "MemoryError", "there is no more memory")


class CallThreads:
    """Threads, started as they are needed. They never keep the process from ending.

    A thread prepares its chunk and then waits until one more call may be open, so that no call waits for a
    chunk. A call that failed recalls those that wait, and keeps its place until its reply is taken: what it
    met the others would meet too, and whether they go all the same is not decided here.

    Args:
        send: sends one chunk once, with the permit that it is given; must not raise.
    """

    prefetch = 1

    def __init__(self, send: Callable[[Chunk, Permit], Reply | Lost]) -> None:
        self._send = send
        self._in: SimpleQueue[tuple[int, Chunk, int] | None] = SimpleQueue()
        self._out: SimpleQueue[tuple[Returned, bool] | None] = SimpleQueue()
        self._threads = 0
        self._submitted = 0
        self._change = threading.Condition()
        self._most, self._open, self._recalls = 1, 0, 0

    def allow(self, most: int) -> None:
        """So many calls may be open from now on; 0 has what was submitted and has not left come back."""
        with self._change:
            self._recalls += not most
            self._most = most or self._most
            self._change.notify_all()

    def submit(self, seq: int, chunk: Chunk) -> None:
        """Starts a send; never blocks."""
        self._submitted += 1
        if self._submitted > self._threads:
            self._start()
        self._in.put((seq, chunk, self._recalls))

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

    def wait(self, seconds: float | None) -> list[Returned]:
        """Whatever has come back; waits for the first up to `seconds`."""
        found: list[Returned] = []
        try:
            first = self._out.get(timeout=seconds)
            while True:
                if first is not None:
                    returned, keeps_place = first
                    if keeps_place:
                        self._release()
                    found.append(returned)
                first = self._out.get_nowait()
        except Empty:
            self._submitted -= len(found)
            return found

    def wake(self) -> None:
        """Makes a `wait` in progress return."""
        self._out.put(None)

    def close(self) -> None:
        """Lets threads end; what they hold that has not left, as where the journal failed, never leaves."""
        self.allow(0)
        for _ in range(self._threads):
            self._in.put(None)

    def _acquire(self, recalls: int) -> bool:
        """Waits until one more call may be open; False if it was recalled since."""
        with self._change:
            self._change.wait_for(lambda: self._open < self._most or self._recalls != recalls)
            if self._recalls != recalls:
                return False
            self._open += 1
            return True

    def _release(self) -> None:
        with self._change:
            self._open -= 1
            self._change.notify_all()

    def _work(self) -> None:
        while (task := self._in.get()) is not None:
            try:
                sent = self._sent(*task)
            except BaseException:  # not even memory to say what it was
                sent = (Returned(task[0], _EXHAUSTED), True)
            self._out.put(sent)

    def _sent(self, seq: int, chunk: Chunk, recalls: int) -> tuple[Returned, bool]:
        """What a send brought, and whether its call keeps its place."""
        keeps_place = False

        def permit(call: Callable[[], bytes | Lost]) -> bytes | Lost:
            nonlocal keeps_place
            if not self._acquire(recalls):
                return _UNSENT
            keeps_place = True
            answer = call()
            if isinstance(answer, Lost):
                self.allow(0)
            else:
                keeps_place = False
                self._release()
            return answer

        try:
            reply = self._send(chunk, permit)
        except BaseException as error:  # a thread that dies silently would hang the run
            resource = resource_of(error)
            said = f"there is no more {resource}" if resource else f"a fault of wrapgen: {error!r}"
            reply = Lost(LossKind.STOPPED, type(error).__name__, said)
        return Returned(seq, reply), keeps_place
