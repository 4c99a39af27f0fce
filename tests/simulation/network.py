"""The network of a simulated run: between runner and platform, and between wrapper, target and datastore."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field

from greenlet import getcurrent

from simulation.world import Process
from simulation.wrappers import named, runtime_of
from wrapgen.client.statuses import error_of
from wrapgen.errors import Unreachable
from wrapgen.run.history import FINAL, RESULT, RETRYABLE, Event, Kind

PAGES = (b"<html><body>Welcome</body></html>", b" ", b'{"result": {"$res')


@dataclass
class Execution:
    """One execution of the wrapper: what it was asked, and the calls of the target that it made, by item."""

    indexes: list[int]
    tries: int
    made: Counter[int] = field(default_factory=Counter)


def result_of(index: int):
    """What the target answers for an item."""
    return {"n": index, "squared": index * index}


class Network:
    """Calls of the wrapper and of its servers; what a system inherits."""

    def _call(self, body: bytes, timeout: float) -> bytes:
        """One call of the wrapper, as the platform's client makes it."""
        world, asked = self.world, json.loads(body)
        if asked == {"$batch": []}:
            return self._envelope(self.wrapper.call(asked))
        indexes = self._items_of(asked)
        self._leaves(asked, indexes)
        world.sleep(world.random.uniform(0.001, 0.05))
        if answer := self._instead(asked, indexes, timeout):
            return answer
        if self.chance("twice"):
            self._execute(asked, indexes, timeout, delay=world.random.choice((0.0, 0.1, 30.0)))
        worker = self._execute(asked, indexes, timeout)
        answer = self._wait(worker, timeout)
        world.sleep(world.random.uniform(0.001, 0.05))
        if self.chance("lost_after"):
            raise Unreachable("connection reset")
        send = self.sends.get((tuple(indexes), asked["$try"]), -1)
        if worker.reply and send >= 0:
            self.events.append(worker.reply._replace(send=send))
        return answer

    def _items_of(self, asked) -> list[int]:
        """The items of a call, by their run index."""
        index, many = asked["$index"], len(asked["$batch"])
        return list(range(index, index + many)) if isinstance(index, int) else index

    def _leaves(self, asked, indexes: list[int]) -> None:
        """Notes a send; items that are only sent to be recorded as given up are none."""
        process = getcurrent().process
        self._confirm()
        if not any("$error" in one for one in asked["$batch"]):
            send = self.sends[tuple(indexes), asked["$try"]] = len(self.sends)
            self.events.append(Event(Kind.SEND, indexes, send, asked["$try"]))
        self.world.note(process.name, f"sends {indexes} as try {asked['$try']}")
        if self.chance("kill") and self.world.random.random() < 0.125:
            self._die(process, "a send")

    def _instead(self, asked, indexes: list[int], timeout: float) -> bytes:
        """What comes instead of the wrapper's answer; nothing where that comes."""
        random = self.world.random
        self.key_is_valid &= not self.chance("key_expires")
        if not self.key_is_valid:
            raise error_of("call", 401, {}, b"")
        if self.chance("refused") or self.chance("lost_before"):
            if self.chance("late"):
                self._execute(asked, indexes, timeout, delay=random.choice((0.5, 20.0, 90.0)))
            raise Unreachable("connection reset")
        if self.chance("status"):
            status = random.choice((429, 429, 500, 502, 503, 504))
            retry = {"Retry-After": "3"} if status in (429, 503) and random.random() < 0.5 else {}
            raise error_of("call", status, retry, b"")
        return random.choice(PAGES) if self.chance("page") else b""

    def _execute(self, asked, indexes, timeout: float, delay: float = 0.0):
        """Begins one execution of the wrapper in a process of its own."""
        world, worker = self.world, Process(f"worker {asked['$batch'] and indexes[0]}/{asked['$try']}")
        given_up = any("$error" in one for one in asked["$batch"])
        worker.execution = Execution(indexes, 0 if given_up else asked["$try"])
        worker.answer, worker.reply = None, None

        def work() -> None:
            try:
                result = self.wrapper.call(json.loads(json.dumps(asked)))
                worker.answer = self._envelope(result)
                self._answered(worker, result)
            except named(self.module, "Failure") as error:
                told = {"message": error.message, "error_type": error.error_type}
                worker.answer = json.dumps({"error": told}).encode()
            world.note(worker.name, f"answers {worker.answer[:300].decode()}")

        def limit() -> None:
            if worker.answer is None:
                world.note(worker.name, "runs into the platform's time limit")
                worker.answer = b'{"error":{"message":"timeout","error_type":"TimeoutError"}}'
                world.kill(worker)

        def end() -> None:
            if worker.answer is None:
                world.note(worker.name, "killed")
                worker.answer = b'{"error":{"message":"gone","error_type":"SystemExit"}}'
                world.kill(worker)

        platform = Process("platform")
        world.start(worker, work, delay)
        world.start(platform, limit, delay + timeout)
        if self.chance("worker_killed"):
            world.start(platform, end, world.random.uniform(0.0, 3.0))
        return worker

    def _wait(self, worker, timeout: float) -> bytes:
        if not self.world.wait(lambda: worker.answer is not None, timeout + 30):
            raise Unreachable("timed out")
        return worker.answer

    def _envelope(self, result) -> bytes:
        return json.dumps({"result": result, "metadata": {"content_type": "json", "duration": 0.1}}).encode()

    def _answered(self, worker, result) -> None:
        """Judges an answer as it leaves the wrapper, and notes it."""
        execution, summary, ranks = worker.execution, result["$summary"], []
        for one in result["$results"]:
            error = one.get("$error") if isinstance(one, dict) else None
            tried = error is None or not (error["retryable"] and error["attempts"] == 0)
            ranks.append(
                RESULT if error is None else 0 if not tried else RETRYABLE if error["retryable"] else FINAL
            )
        counts = ranks.count(RESULT), len(ranks) - ranks.count(RESULT) - ranks.count(0), ranks.count(0)
        if counts != (summary["succeeded"], summary["failed"], summary["untried"]):
            self.violations.append(f"sums of an answer do not agree: {counts}, {summary}")
        made = [execution.made[index] for index in execution.indexes]
        worker.reply = Event(Kind.REPLY, execution.indexes, -1, execution.tries, ranks, made)
        self.events.append(worker.reply)

    def store(self, write) -> None:
        """Writes records into a database that may be slow or fail, or whose connection may be lost."""
        failed, random = named(self.module, "Failure"), self.world.random
        self.lasts()
        if self.chance("store_status"):
            raise failed("DatastoreError", "database is locked", True)
        lost = self.chance("store_lost")
        if not lost or random.random() < 0.5:
            write()
            self.world.note("datastore", "stores records")
        if lost:
            raise failed("DatastoreError", "connection reset", True)

    def lasts(self) -> None:
        """What a request takes."""
        random = self.world.random
        slowest = random.choice((5.0, 5.0, 100.0)) if self.chance("slow") else 0.3
        self.world.sleep(random.uniform(0.001, slowest))

    def transport(self, request):
        """Answers a request of the wrapper."""
        world, respond = self.world, named(self.module, "Response")
        failed, protocol = named(self.module, "Failure"), runtime_of(self.module)["protocol"]
        is_store = request.path.startswith("/v1/data/")
        part = "store" if is_store else "target"
        self.lasts()
        if self.chance(f"{part}_status"):
            status = world.random.choice((429, 500, 502, 503, 504))
            if not is_store and status not in (429, 503):
                self._count(request)
            headers = {"Retry-After": "2"} if status in (429, 503) and world.random.random() < 0.5 else {}
            return respond(status, headers, b"{}")
        lost = self.chance(f"{part}_lost")
        if lost and world.random.random() < 0.3:
            raise failed("ConnectionError", "refused", True, protocol.UNREACHABLE)
        if is_store:
            if not lost or world.random.random() < 0.5:
                self.objects[request.path.rpartition("/")[2]] = request.body
                world.note("datastore", f"stores {request.path.rpartition('/')[2]}")
            answer = respond(200, {}, b"{}")
        else:
            self._count(request)
            answer = self._target(request)
        if lost:
            raise failed("ConnectionError", "reset", True, protocol.ATTEMPT)
        return answer

    def _count(self, request) -> None:
        asked = self._asked(request)
        if len(asked) > 1:  # the call of a list that is bisected is no attempt of its items
            return
        for index in asked:
            getcurrent().process.execution.made[index] += 1

    def _asked(self, request) -> list[int]:
        return [int(found) for found in re.findall(rb'"n": ?(\d+)', request.body)]

    def _target(self, request):
        respond, asked = named(self.module, "Response"), json.loads(request.body)
        if self.chance("target_page"):
            return respond(200, {}, self.world.random.choice((b"<html>", b"")))
        is_endpoint = self.kind.startswith("endpoint")
        if self.poison.intersection(self._asked(request)):
            told = {"error": {"message": "poison", "error_type": "InputError"}}
            return respond(422 if is_endpoint else 200, {}, json.dumps(told).encode())
        if isinstance(asked, dict) and "instances" in asked:
            return respond(200, {}, json.dumps({"predictions": _results(asked["instances"])}).encode())
        result = _results(asked) if isinstance(asked, list) else result_of(asked["n"])
        return respond(200, {}, json.dumps(result).encode() if is_endpoint else self._envelope(result))


def _results(items) -> list:
    return [result_of(one["n"]) for one in items]
