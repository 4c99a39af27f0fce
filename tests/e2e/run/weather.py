"""A target that fails in every way a target can, and bad weather between a runner and its platform.

Both are one loopback server. What an item meets at the target is fixed by its id and the attempt, what a call
of the wrapper meets by its first index and its try: how often anything is killed, the ends stay the same.
"""

from __future__ import annotations

import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TARGET = "/v1/algo/nlp/Fickle/"
PASSING = ("wrong length", "slow", "429", "429 later", "500", "cut", "dropped")
"""What an item may meet at the target before it succeeds; beside these, `hang`."""

LOSING = ("429", "429 later", "500", "cut", "dropped", "wrong length")
"""What may happen to a call of the wrapper."""

POISON = "poison"
SLOW = 0.1
UNSPOILT_TRY = 4
"""From this try on, a call of the wrapper meets no more bad weather."""


def faults_of(seed: int, items: int) -> dict[str, list[str]]:
    """What each unlucky item meets at its attempts; the last one may be POISON, which stays."""
    chance = random.Random(seed)
    unlucky = chance.sample(range(items), items // 8)
    plans = {f"{index}": [chance.choice(PASSING) for _ in range(chance.randint(1, 2))] for index in unlucky}
    first, *more = map(str, unlucky)
    plans[first] = ["hang"]
    return {**plans, **{name: [*plans[name], POISON] for name in more[:3]}}


class Weather(ThreadingHTTPServer):
    """The server.

    Attributes:
        platform: where the platform is, `host:port`; to be set.
        address: where it is itself.
        met: how often each fault was met.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.platform = ""
        self.address = f"http://127.0.0.1:{self.server_address[1]}"
        self.met: Counter[str] = Counter()
        self.over = threading.Event()
        self._changed = threading.Condition()
        self._open = 0
        self.begin(0, {})
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def begin(self, seed: int, plans: dict[str, list[str]]) -> None:
        """Another run: nothing has been attempted."""
        with self._changed:
            self._seed, self._plans = seed, plans
            self._attempts: Counter[str] = Counter()
            self._calls = 0

    def after(self, calls: int, ended: Callable[[], bool]) -> None:
        """Returns when the target has been called so many times more, or when `ended` says so."""
        with self._changed:
            wanted = self._calls + calls
            while self._calls < wanted and not ended():
                self._changed.wait(0.05)

    @contextmanager
    def passing(self) -> Iterator[None]:
        """Counts an open call of the wrapper; at the platform it goes on when its runner is killed."""
        with self._changed:
            self._open += 1
        try:
            yield
        finally:
            with self._changed:
                self._open -= 1
                self._changed.notify_all()

    def calm(self) -> None:
        """Returns when no call of the wrapper is open: from then on nothing more is recorded."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._open, 240)

    def at_target(self, names: list[str]) -> str | None:
        """What a list of items meets: the first fault that one of them still has before it.

        A list of one is never answered at the wrong length, which would be that item's end.
        """
        with self._changed:
            self._calls += 1
            self._changed.notify_all()
            for name in names:
                plan, at = self._plans.get(name, []), self._attempts[name]
                if at < len(plan) and plan[at] != POISON:
                    self._attempts[name] += 1
                    self.met[plan[at]] += 1
                    return None if plan[at] == "wrong length" and len(names) == 1 else plan[at]
        return None

    def poisoned(self, names: list[str]) -> str | None:
        """The first item that the target never takes."""
        return next((name for name in names if self._plans.get(name, [""])[-1] == POISON), None)

    def on_the_way(self, body: bytes) -> str | None:
        """What a call of the wrapper meets."""
        asked = json.loads(body)
        if not asked["$batch"] or asked["$try"] >= UNSPOILT_TRY:
            return None
        first = asked["$index"] if isinstance(asked["$index"], int) else asked["$index"][0]
        chance = random.Random(f"{self._seed}-{first}-{asked['$try']}")
        if chance.random() > 0.2:
            return None
        kind = chance.choice(LOSING)
        with self._changed:
            self.met[f"call {kind}"] += 1
        return kind

    def stop(self) -> None:
        """Ends it, and whoever hangs."""
        self.over.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that were killed."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP for the weather."""

    server: Weather
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """A call of the target, or one of the platform's."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:
            return  # whoever sent it was killed
        if self.path.startswith(TARGET):
            self.target(json.loads(body))
        else:
            with self.server.passing():
                self.call(body)

    def call(self, body: bytes) -> None:
        """A call of the wrapper."""
        kind = self.server.on_the_way(body)
        if kind in ("429", "429 later", "500"):
            self.spoilt(kind, b"")
            return
        try:
            answer, status = self.passed_on(body)
        except (OSError, HTTPException):
            self.close_connection = True  # the platform is down
        else:
            self.spoilt(kind, answer, status)

    def target(self, items: list[dict[str, Any]]) -> None:
        """The target itself: it answers each item's number doubled."""
        names = [item["name"] for item in items]
        kind = self.server.at_target(names)
        results = [{"name": name, "twice": 2 * int(name)} for name in names]
        metadata = {"content_type": "json", "duration": 0.01}
        answer: dict[str, Any] = {"result": results, "metadata": metadata}
        if (poison := self.server.poisoned(names)) is not None:
            error = {"message": f"{poison} can't be taken", "error_type": "InputError"}
            answer = {"error": error, "metadata": metadata}
        if kind in ("slow", "hang"):
            self.server.over.wait(SLOW if kind == "slow" else 60)
        self.spoilt(kind, json.dumps(answer).encode(), 200)

    def passed_on(self, body: bytes) -> tuple[bytes, int]:
        """What the platform answers."""
        connection = HTTPConnection(self.server.platform, timeout=120)
        names = ("Content-Type", "Authorization")
        headers = {name: self.headers[name] for name in names if self.headers[name]}
        try:
            connection.request("POST", self.path, body, headers)
            response = connection.getresponse()
            return response.read(), response.status
        finally:
            connection.close()

    def spoilt(self, kind: str | None, answer: bytes, status: int = 200) -> None:
        """Sends an answer, or what became of it on the way."""
        headers = {"Retry-After": "0"} if kind == "429 later" else {}
        if kind in ("429", "429 later"):
            status, answer = 429, b'{"error":{"message":"too many"}}'
        elif kind == "500":
            status, answer = 500, b"<html>oops"
        elif kind in ("dropped", "hang"):
            self.close_connection = True
            return
        elif kind == "wrong length":
            answer = shorter(answer)
        length = len(answer)
        if kind == "cut":
            answer, self.close_connection = answer[: length // 2], True
        self.send_response(status)
        for name, value in {
            **headers,
            "Content-Type": "application/json",
            "Content-Length": f"{length}",
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def shorter(answer: bytes) -> bytes:
    """An answer with one result too few; one without results stays."""
    content = json.loads(answer)
    results = content.get("result")
    results = results.get("$results") if isinstance(results, dict) else results
    if results:
        results.pop()
    return json.dumps(content).encode()
