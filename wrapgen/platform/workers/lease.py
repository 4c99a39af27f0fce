"""The lease of a worker to one request: its wait for one, and its time alone with it.

A worker goes back to its pool in the moment of its response, and the next request has it at once: were it
left to the tasks that wait, it would stand idle until the event loop has come round to them twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from wrapgen.platform.workers.worker import Worker, WorkerEnded, WorkerResponse


class LeaseOwner(Protocol):
    """Whose workers they are."""

    def give_back(self, worker: Worker) -> None:
        """Takes a worker that is free."""

    def discard(self, worker: Worker) -> None:
        """Takes one that can't be used again."""


class Lease:
    """One request. Its sender awaits `future`, and calls `release` whatever came of it.

    Args:
        parts: the request line.
        output: whether everything that is printed meanwhile belongs to the response.
        urgent: the request comes from below one that holds a worker of the same pool.
        begin: told the worker before it has the request; raises to do without it, which ends the lease.
        end: told the worker when the request no longer is with it.
    """

    def __init__(
        self,
        parts: list[bytes],
        *,
        output: bool,
        urgent: bool,
        begin: Callable[[Worker], None],
        end: Callable[[Worker], None],
    ) -> None:
        self.urgent = urgent
        self.future: asyncio.Future[WorkerResponse] = asyncio.get_running_loop().create_future()
        self._parts = parts
        self._output = output
        self._begin = begin
        self._end = end
        self._held: tuple[LeaseOwner, Worker] | None = None

    @property
    def waits(self) -> bool:
        """Whether it has no worker yet, and wants one."""
        return self._held is None and not self.future.done()

    def acquire(self, owner: LeaseOwner, worker: Worker) -> bool:
        """Begins with a free worker, unless nobody waits any more: then it stays free."""
        if self.future.done():
            return False
        try:
            self._begin(worker)
        except Exception as error:
            self.future.set_exception(error)
            return False
        self._held = owner, worker
        worker.request(self._parts, output=self._output, then=self._respond)
        return True

    def _respond(self, response: WorkerResponse | WorkerEnded) -> None:
        if self._held is None or self.future.done():  # given up meanwhile: `release` ends the worker
            return
        if isinstance(response, WorkerEnded):
            self.future.set_exception(response)
            return
        self.future.set_result(response)
        owner, worker = self._held
        self._held = None
        self._end(worker)
        owner.give_back(worker)

    def release(self) -> None:
        """Ends it. A worker that still has the request is discarded: it would answer the next one with it."""
        if self._held is not None:
            owner, worker = self._held
            self._held = None
            self._end(worker)
            owner.discard(worker)
