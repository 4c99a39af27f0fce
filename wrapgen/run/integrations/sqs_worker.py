"""The SQS worker: messages in, calls of the wrapper, and only what was recorded is deleted.

One thread receives, one keeps messages hidden, and each open call has one. What a reply means for an item is
decided in `scheduling`, what a message is in `sqs_messages`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from random import Random

from wrapgen.errors import PlatformError, Unreachable
from wrapgen.protocol import CHUNK_AIM
from wrapgen.run.engine_delivery import Delivered, EngineDelivery
from wrapgen.run.integrations.message_queue import MAX_BATCH, MessageQueue
from wrapgen.run.integrations.sqs_batch import Batches, SettledMessage
from wrapgen.run.integrations.sqs_in_flight import DeliveryHistory, MessagesInFlight
from wrapgen.run.integrations.sqs_messages import Backlog, Message
from wrapgen.run.scheduling.limits import Concurrency
from wrapgen.run.scheduling.policy import SharedBackoff, delay
from wrapgen.run.scheduling.replies import LossKind

CAREFUL = 60.0
"""Seconds after a failure in a FIFO queue for which messages are received one by one."""


@dataclass(frozen=True)
class WorkerOptions:
    """What a user may say of a worker.

    Args:
        batch: messages in a call, at most.
        linger: seconds to wait for more messages before a call is made with fewer.
        wait: seconds of a long poll.
        visibility: seconds for which messages are hidden at a time; extended while they are in work.
        id_path: where in a body the id is; None: the MessageId is the id.
        delete_failed: delete what failed for good once that is recorded, instead of leaving it to the
            dead-letter queue.
        until_empty: end when the queue is empty.
        aim: bytes of a call.
    """

    batch: int = 100
    linger: float = 1.0
    wait: int = 20
    visibility: int = 60
    id_path: str | None = None
    delete_failed: bool = False
    until_empty: bool = False
    aim: int = CHUNK_AIM


@dataclass
class WorkerCounts:
    """What a worker did with messages, and the calls that it made, lost, and was refused for now."""

    received: int = 0
    deleted: int = 0
    failed: int = 0
    returned: int = 0
    calls: int = 0
    lost: int = 0
    throttled: int = 0


class LockedBackoff(SharedBackoff):
    """One that several threads may use: each delivers its own messages, all go to one host."""

    def __init__(self, random: Random, patience: float) -> None:
        super().__init__(random, patience)
        self._lock = threading.Lock()

    def worked(self) -> None:
        """A send was answered."""
        with self._lock:
            super().worked()

    def hold(self, now: float, fault: LossKind, retry_after: float | None) -> bool:
        """A send was refused."""
        with self._lock:
            return super().hold(now, fault, retry_after)


class SqsWorker:
    """Works on a queue until it is stopped. Several may work on one queue, here or elsewhere.

    Args:
        queue: where messages come from.
        sender: sends messages through the wrapper; used by several threads.
        read: the file at a URL that a message points to.
        tell: told what a person should know.
        options: see WorkerOptions.
        concurrency: how many calls may be open.
    """

    def __init__(
        self,
        queue: MessageQueue,
        sender: EngineDelivery,
        read: Callable[[str], bytes],
        tell: Callable[[str], None],
        options: WorkerOptions,
        concurrency: Concurrency,
    ) -> None:
        self.counts = WorkerCounts()
        self.fault: str | None = None
        self._queue = queue
        self._tell, self._clock, self._random = tell, sender.clock, sender.random
        self._options = options
        self._concurrency = concurrency
        self._in_flight = MessagesInFlight(queue, options.visibility, tell)
        self._history = DeliveryHistory()
        self._backlog = Backlog()
        self._since = 0.0
        self._open = self._sent = 0
        self._stopping = threading.Event()
        self._change = threading.Condition()
        self._receiving = True
        self._careful_until = 0.0
        self._batches = Batches(
            sender=replace(sender, wait=self._stopping.wait, resend=False),
            read=read,
            id_path=options.id_path,
            aim=options.aim,
            attempts_of=lambda message: self._history.of(message).attempts,
        )

    def stop(self) -> None:
        """Receives nothing more, lets open calls end, gives the rest back; safe in a signal handler."""
        self._stopping.set()

    def run(self) -> WorkerCounts:
        """Works until `stop`, or until the queue is empty if that was asked for.

        Raises:
            PlatformError: the queue can't be used.
        """
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=f"wrapgen-sqs-{name}", daemon=True)
            for name, work in (("receive", self._receive), ("beat", self._in_flight.keep_beating))
        ]
        for thread in threads:
            thread.start()
        try:
            with ThreadPoolExecutor(self._concurrency.most, "wrapgen-sqs-call") as calls:
                self._dispatch(calls)
        finally:
            self._in_flight.end()
        return self.counts

    def _guarded(self, work: Callable[[], None]) -> None:
        """A thread's work. One that died silently would keep messages hidden forever, or let them go."""
        try:
            work()
        except Exception as error:
            self.fault = f"a fault of wrapgen: {error!r}"
            self._stopping.set()

    # Receiving

    def _receive(self) -> None:
        try:
            self._receive_until_stopped()
        finally:
            with self._change:
                self._receiving = False
                self._change.notify_all()

    def _receive_until_stopped(self) -> None:
        losses = 0
        while not self._stopping.is_set():
            room = self._wait_for_room()
            if not room:
                continue
            try:
                messages = self._queue.receive(
                    room, wait=self._options.wait, visibility=self._options.visibility
                )
                losses = 0
                if not messages and self._options.until_empty and self._is_done():
                    self._stopping.set()
            except Unreachable as error:
                losses += 1
                self._tell(error.message)
                self._stopping.wait(delay(losses, self._random))
                continue
            except PlatformError as error:
                self.fault = error.message
                self._stopping.set()
                break
            self._received(messages)

    def _wait_for_room(self) -> int:
        """How many messages may be received now; 0 after a while without room."""
        with self._change:
            room = self._options.batch * (self._concurrency.now + 1) - len(self._in_flight)
            if room <= 0:
                self._change.wait(1.0)
                return 0
            # Whatever comes along with a failing message of its group goes back with it, and would follow it
            # into the dead-letter queue, as its deliveries count as well.
            careful = self._clock() < self._careful_until
        return 1 if careful else min(MAX_BATCH, room)

    def _is_done(self) -> bool:
        return not len(self._in_flight) and not self._queue.remaining()

    def _received(self, messages: list[Message]) -> None:
        self._in_flight.take(messages)
        # What failed here for good is on its way to the dead-letter queue: no need to ask the target again.
        failed = [message for message in messages if self._history.of(message).final]
        groups = {message.group for message in failed if message.group is not None}
        fresh = [m for m in messages if m not in failed and m.group not in groups]
        with self._change:
            self.counts.received += len(messages)
            if not len(self._backlog):
                self._since = self._clock()
            self._backlog.add(fresh)
            self._change.notify_all()
        self._in_flight.give_back([(m, 0) for m in messages if m not in failed and m.group in groups])
        self._give_back(failed)

    # Calling

    def _dispatch(self, calls: ThreadPoolExecutor) -> None:
        while True:
            with self._change:
                if self._stopping.is_set():
                    rest = self._backlog.empty()
                    if not rest and not self._open and not self._receiving:
                        return
                    batch = None
                else:
                    rest, batch = [], self._next_batch()
                if not rest and not batch:
                    self._change.wait(self._pause())
                    continue
                if batch:
                    self._open += 1
                    self._sent += 1
                    calls.submit(self._call, self._sent, batch)
            self._in_flight.give_back([(message, 0) for message in rest])

    def _next_batch(self) -> list[Message]:
        options = self._options
        if not len(self._backlog) or self._open >= self._concurrency.now:
            return []
        waited = self._clock() - self._since >= options.linger
        if not (waited or len(self._backlog) >= options.batch or self._backlog.weight >= options.aim):
            return []
        return self._backlog.take(options.batch, options.aim)

    def _pause(self) -> float:
        """Seconds to wait when there is nothing to do; short enough to notice a signal."""
        left = self._since + self._options.linger - self._clock()
        return min(0.5, left) if len(self._backlog) and left > 0 else 0.5

    def _call(self, sent: int, batch: list[Message]) -> None:
        """One thread's work: a call, or as many as the batch takes, and what becomes of its messages."""
        throttled = False
        try:
            for delivered, settled in self._batches.settle(batch):
                throttled = throttled or delivered.counts.throttled > 0
                self._settle(delivered, settled)
        except Exception as error:  # a thread that dies silently would keep its messages hidden forever
            self.fault = f"a fault of wrapgen: {error!r}"
            self._stopping.set()
        with self._change:
            if throttled:
                self._concurrency.throttled(sent, self._sent)
            else:
                self._concurrency.good()
            self._open -= 1
            self._change.notify_all()

    # What becomes of messages

    def _settle(self, delivered: Delivered, settled: list[SettledMessage]) -> None:
        done: list[Message] = []
        back: list[Message] = []
        for one in settled:
            if one.succeeded or (one.final and one.recorded and self._options.delete_failed):
                done.append(one.message)
                continue
            back.append(one.message)
            self._history.note(one.message, one.outcome.attempts, final=one.final)
            if one.final:
                self._tell(f"message {one.message.id} failed for good: {one.outcome.body}")
        with self._change:
            self.counts.failed += sum(one.final for one in settled)
            self.counts.calls += delivered.counts.calls
            self.counts.lost += delivered.counts.lost
            self.counts.throttled += delivered.counts.throttled
        self._finish(done, back)
        if delivered.stop and not self._stopping.is_set():
            self.fault = delivered.stop.reason
            self._stopping.set()

    def _finish(self, done: list[Message], back: list[Message]) -> None:
        """Deletes what is done and gives the rest back, in a FIFO queue with what follows it in its group."""
        deleted = self._in_flight.delete(done)
        rest: list[Message] = []
        with self._change:
            self.counts.deleted += deleted
            for message in done:
                self._backlog.settled(message, succeeded=True)
            for message in back:
                rest += self._backlog.settled(message, succeeded=False)
            self.counts.returned += len(rest)
        self._in_flight.give_back([(message, 0) for message in rest])
        self._give_back(back)

    def _give_back(self, messages: list[Message]) -> None:
        now = self._stopping.is_set()
        later = [(m, 0.0 if now else delay(m.receives, self._random)) for m in messages]
        with self._change:
            self.counts.returned += len(messages)
            if any(message.group is not None for message in messages):
                self._careful_until = self._clock() + CAREFUL
        self._in_flight.give_back(later)
