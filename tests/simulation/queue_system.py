"""A queue under one seed: the SQS worker, a queue that delivers at least once, and the same network."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass

from _pytest.monkeypatch import MonkeyPatch
from greenlet import getcurrent

from simulation.system import REFERENCE, System
from simulation.world import World
from wrapgen.errors import Unreachable
from wrapgen.run.engine_delivery import EngineDelivery
from wrapgen.run.history import History
from wrapgen.run.hosts.chunk_call import ChunkCall, Terms
from wrapgen.run.hosts.memory import MemoryHost
from wrapgen.run.integrations import sqs_in_flight, sqs_worker
from wrapgen.run.integrations.sqs_messages import Message
from wrapgen.run.scheduling.limits import Concurrency
from wrapgen.run.summary import EndState


@dataclass
class Held:
    """A message in the queue: how often it was received, until when it is hidden, and the latest handle."""

    receives: int = 0
    hidden_until: float = 0.0
    handle: str = ""


class QueueSystem(System):
    """Workers on a queue until it is empty; is the queue itself, as `MessageQueue`."""

    KINDS = ("both", "serial", "lists")

    def __init__(self, *given) -> None:
        super().__init__(*given)
        random, self.named = self.world.random, False
        self.messages = {str(n): Held() for n in range(self.count)}
        self.deleted: set[str] = set()
        self.dead: set[str] = set()
        self.worker_options = sqs_worker.WorkerOptions(
            batch=random.choice((1, 3, 10)),
            linger=0.5,
            wait=random.choice((5, 20)),
            visibility=random.choice((12, 60)),
            delete_failed=random.random() < 0.5,
            until_empty=True,
        )
        self.most_receives = random.choice((3, 10))

    # The queue

    def receive(self, count: int, *, wait: int, visibility: int) -> list[Message]:
        """See `MessageQueue`; one that is delivered twice is delivered though it is hidden."""
        world = self.world
        self._touch("receive")
        end = world.now + wait
        while not (shown := self._shown()) and world.now < end:
            world.sleep(5.0)
        found = []
        for id_ in shown[:count]:
            held = self.messages[id_]
            if held.receives >= self.most_receives:
                del self.messages[id_]
                self.dead.add(id_)
                continue
            held.receives, held.hidden_until = held.receives + 1, world.now + visibility
            held.handle = f"{id_}/{held.receives}"
            found.append(Message(id_, held.handle, f'{{"n": {id_}}}', held.receives))
        if self.chance("lost_after"):
            raise Unreachable("the answer of a receive was lost")
        return found

    def _shown(self) -> list[str]:
        now = self.world.now
        shown = [
            id_ for id_, held in self.messages.items() if held.hidden_until <= now or self.chance("twice")
        ]
        self.world.random.shuffle(shown)
        return shown

    def delete(self, messages) -> list[Message]:
        """See `MessageQueue`."""
        self._touch("delete")
        left = [message for message in messages if self.chance("refused")]
        for message in messages:
            if message not in left and self.messages.pop(message.id, None):
                self.deleted.add(message.id)
                self.world.note("queue", f"deletes {message.id}")
        if self.chance("lost_after"):
            raise Unreachable("the answer of a delete was lost")
        return left

    def hide(self, messages) -> list[Message]:
        """See `MessageQueue`."""
        self._touch("hide")
        for message, seconds in messages:
            held = self.messages.get(message.id)
            if held and held.handle == message.handle:
                held.hidden_until = self.world.now + seconds
        return []

    def remaining(self) -> int:
        """See `MessageQueue`."""
        return len(self.messages)

    def _touch(self, what: str) -> None:
        self._effect(what, 1)
        self.world.sleep(self.world.random.uniform(0.001, 0.05))
        if self.chance("lost_before"):
            raise Unreachable(f"a {what} was lost")

    # The worker

    def _items_of(self, asked) -> list[int]:
        return [int(id_) for id_ in asked["$ids"]]

    def _leaves(self, asked, indexes: list[int]) -> None:
        self.world.note(getcurrent().process.name, f"sends {indexes} as try {asked['$try']}")

    def _runner(self, process) -> None:
        world, host = self.world, MemoryHost(self._call, REFERENCE)
        terms = Terms.of(host.describe(), "r1", world.time.monotonic, self.options["timeout"])
        sender = EngineDelivery(
            ChunkCall(host, terms),
            terms.attempts,
            sqs_worker.LockedBackoff(world.random, self.options["patience"]),
            world.time.monotonic,
            world.threading.Event().wait,
            world.random,
        )
        worker = sqs_worker.SqsWorker(
            self,
            sender,
            None,
            lambda what: world.note(process.name, what),
            self.worker_options,
            Concurrency(3),
        )
        counts = worker.run()
        world.note(process.name, f"ends: {counts} {worker.fault or ''}")
        if worker.fault and "fault of wrapgen" in worker.fault:
            self.violations.append(worker.fault)

    def _session(self):
        with patched_worker(self.world):
            super()._session()
        return None if self.messages else EndState.OK

    # The verdict

    def judge(self) -> list[str]:
        """What breaks a rule: every message that is gone has its record, none worse than an answer."""
        history = History(self.count, 99)
        for event in self.events:
            history.take(event)
        self._stored(history)
        history.close(records=True)
        with self._collected() as records:
            for id_ in self.deleted:
                found = records.get("r1", id_)
                if found is None:
                    self.violations.append(f"message {id_} was deleted and has no record")
                elif "result" not in found and not self.worker_options.delete_failed:
                    self.violations.append(f"message {id_} was deleted and is recorded as failed")
        return [*self.violations, *history.violations]


class SimPool:
    """A pool of the world's threads."""

    def __init__(self, world: World) -> None:
        self.world, self.threads = world, []

    def __enter__(self):
        return self

    def submit(self, do, *arguments) -> None:
        thread = self.world.threading.Thread(target=do, args=arguments)
        self.threads.append(thread)
        thread.start()

    def __exit__(self, *_) -> None:
        for thread in self.threads:
            thread.join()


@contextmanager
def patched_worker(world: World):
    """The worker with the world's threads."""
    with MonkeyPatch.context() as patch:
        for module in (sqs_worker, sqs_in_flight):
            patch.setattr(module, "threading", world.threading)
        patch.setattr(sqs_worker, "ThreadPoolExecutor", lambda *_: SimPool(world))
        yield
