"""Calls of the wrapper: a few threads execute them. Knows statuses as numbers, and nothing else of HTTP."""

from __future__ import annotations

import concurrent.futures
import importlib
import json
import os
import queue
import sys
import threading
import time
import traceback
from typing import Any, Iterable, NamedTuple

from src import config
from src.runtime import protocol

from .metrics import Metrics
from .settings import Settings

KINDS = ("application/json", "text/plain", "application/octet-stream")
LOADING, READY, STOPPING = "loading", "ready", "stopping"
FAILED_EXIT = 3  # the exit code of a process whose wrapper can't be loaded, as uvicorn's own
MAX_ITEMS = 100_000  # of a call: 10 MB of JSON can hold millions, each of which takes memory and time
_BARE_LISTS = config.MODE != "log" and config.TARGET["input"] == "item"
STATUSES = {
    "InputError": 400,
    "TooLargeError": 413,
    "TimeoutError": 504,
    "DeadlineExceeded": 504,
    "TooManyRequests": 503,
    "DatastoreError": 503,
    "LoadingError": 503,
    "AuthenticationError": 502,  # the wrapper's own credentials at its target, which are not the caller's
    "PaymentRequiredError": 502,
}


class Answer(NamedTuple):
    """What goes back: a status, and a body with its content type."""

    status: int
    content_type: str
    body: bytes

    @classmethod
    def of_json(cls, value: Any, status: int = 200) -> Answer:
        """A value as JSON."""
        return cls(status, "application/json", protocol.dumps(value).encode("ascii"))


def problem(error_type: str, message: str, retryable: bool = False, status: int = 0) -> Answer:
    """The answer to a call that failed as a whole."""
    status = status or STATUSES.get(error_type, 502 if retryable else 422)
    facts = {"error_type": error_type, "message": message, "retryable": retryable}
    return Answer.of_json({"error": facts}, status)


class NoFiles:
    """In place of a platform's files: a service has none, or none that its callers have a right to."""

    def read(self, url: str, _deadline: Any) -> list[Any]:
        """Refuse a URL in ``$batch``; that of ``$output`` was refused before any item was sent."""
        raise protocol.InputError(f"$batch must be a list: there is no platform to read {url[:200]} from")

    def write(self, _url: str | None, _lines: Iterable[str], _deadline: Any) -> str:
        """Refuse an answer that is over the limit."""
        most = config.LIMITS["response_bytes"]
        raise protocol.Failure("TooLargeError", f"the answer has more than {most} bytes; send fewer items")

    def require_owner(self) -> None:
        """Refuse calls of which nothing would be recorded."""
        raise protocol.InputError("$trial is for a wrapper on a platform")


class Calls:
    """The wrapper, loaded once, and the threads that execute its calls."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        """As many threads as calls are executed at once; nothing is loaded yet."""
        self.state = LOADING
        self.running = 0
        self._threads = settings.calls
        self._about = {"name": config.WRAPPER, "calls": settings.calls * settings.replicas}
        self._metrics = metrics
        self._waiting: dict[concurrent.futures.Future[Answer], tuple[bytes, str]] = {}  # in their order
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()  # at least one for each that waits
        self._lock = threading.Lock()
        self._is_started = self._is_closed = False
        self._apply: Any = None
        self._wrapper: Any = None
        config.LIMITS["response_bytes"] = settings.response_bytes

    def start(self) -> None:
        """Load the wrapper, once, in the thread that makes the first calls too; others follow."""
        if not self._is_started:
            self._is_started = True
            threading.Thread(target=self._load, name="wrapper-1", daemon=True).start()

    @property
    def is_open(self) -> bool:
        """Whether calls are taken."""
        return self.state == READY or (self.state == STOPPING and not self._is_closed)

    def announce_stop(self) -> bool:
        """Say that calls will not be taken for long; False if that was said before."""
        is_first = self.state != STOPPING
        self._is_closed = self._is_closed or self.state == LOADING
        self.state = STOPPING
        return is_first

    def stop(self) -> None:
        """Take no more calls, and give up those that wait; those that are being executed go on."""
        self.announce_stop()
        self._is_closed = True
        with self._lock:
            waiting = list(self._waiting)
        for job in waiting:
            job.cancel()

    def submit(self, body: bytes, kind: str) -> concurrent.futures.Future[Answer]:
        """Have a thread execute a call; what it is given never raises but ``CancelledError``."""
        job: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        with self._lock:
            self._waiting[job] = body, kind
        job.add_done_callback(self._forget)
        self._turns.put(None)
        return job

    def _forget(self, job: concurrent.futures.Future[Answer]) -> None:
        """Keep nothing of a call that was given up, however long those that run take."""
        with self._lock:
            self._waiting.pop(job, None)

    def _next(self) -> tuple[concurrent.futures.Future[Answer], bytes, str]:
        """Wait for a call, and begin it."""
        while True:
            self._turns.get()
            with self._lock:
                job = next(iter(self._waiting), None)
                body, kind = self._waiting.pop(job) if job else (b"", "")
            if job and job.set_running_or_notify_cancel():
                return job, body, kind

    def _load(self) -> None:
        """Load, then work; a process that can't load ends."""
        try:
            main = importlib.import_module("src." + config.WRAPPER.rpartition("/")[2])
            self._wrapper = main.load()
            self._wrapper.files = NoFiles()
            self._apply = main.apply
        except BaseException as error:
            traceback.print_exc()
            print(
                f"serve: the wrapper can't be loaded: {type(error).__name__}: {error}",
                file=sys.stderr,
                flush=True,
            )
            os._exit(FAILED_EXIT)
        if self.state == LOADING:
            self.state = READY
        for number in range(2, self._threads + 1):
            threading.Thread(target=self._work, name=f"wrapper-{number}", daemon=True).start()
        self._work()

    def _work(self) -> None:
        """What each thread does."""
        while True:
            job, body, kind = self._next()
            self._count(1)
            began = time.monotonic()
            answer = self._answer(body, kind)
            self._metrics.observe_call(time.monotonic() - began)
            self._count(-1)
            job.set_result(answer)
            del job, body, answer  # until the next one comes

    def _count(self, change: int) -> None:
        with self._lock:
            self.running += change

    def _answer(self, body: bytes, kind: str) -> Answer:
        """The answer to one call; raises nothing."""
        try:
            value = _decoded(body, kind)
            _check(value)
            reply = self._apply(value, self._wrapper)
            self._metrics.count_items(reply, _is_batch(value), _BARE_LISTS and isinstance(value, list))
            if value == {"$batch": []}:  # a description: what a platform's reference and account would say
                reply["$summary"]["wrapper"].update(self._about)
            if isinstance(reply, bytes):
                return Answer(200, "application/octet-stream", reply)
            return Answer.of_json(reply)
        except protocol.Failure as failure:
            return problem(failure.error_type, failure.message, failure.retryable)
        except BaseException as error:
            traceback.print_exc()
            return problem(*protocol.error_type_and_message(error), status=500)


def _is_batch(value: Any) -> bool:
    return isinstance(value, dict) and "$batch" in value


def _check(value: Any) -> None:
    """Refuse what can't be done here before an item is sent. Raises ``Failure``."""
    is_batch = _is_batch(value)
    if is_batch and "$output" in value:
        raise protocol.InputError("$output is not possible: there is no platform to write the results to")
    items = value["$batch"] if is_batch else value if _BARE_LISTS else None
    if isinstance(items, list) and len(items) > MAX_ITEMS:
        message = f"a call may have {MAX_ITEMS} items, not {len(items)}"
        raise protocol.Failure("TooLargeError", message)


def _decoded(body: bytes, kind: str) -> Any:
    """The input in a body. Raises ``InputError``."""
    try:
        if kind == "application/octet-stream":
            return body
        text = body.decode("utf-8")
        return text if kind == "text/plain" else protocol.read_json(text)
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise protocol.InputError(f"the body is not {kind}: {error}") from None
    except (ValueError, RecursionError):
        raise protocol.InputError("the body is nested too deep, or has a number of too many digits") from None
