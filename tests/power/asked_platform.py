"""A platform that is asked the same again and again, while system calls of its processes fail."""

from __future__ import annotations

import json
import subprocess
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from faulty_calls import ERRORS
from platform_life import Life
from system_calls import STRACE

WORTH = {call: errors for call, errors in ERRORS.items() if call not in ("mmap", "brk", "munmap", "fcntl")}
"""Without the calls for memory: Python waits for ever for a thread that has no memory for its first frame.
And without `fcntl`: SQLite takes a lock that it can't release for another's, until it is opened again."""

PIPES = ("anon_inode", "pipe:")
"""What the event loop wakes itself by, which never fails: libuv ends a process where it does."""


class Quiet(Life):
    """A platform whose facts are not kept."""

    def tell(self, kind: str, name: str, value: Any) -> None:
        """Says nothing."""


@dataclass
class Round:
    """What came of one thing after the other that a platform was asked.

    Args:
        number: what was written and called with.
        answers: of each request, its name, status (None: the connection broke) and text.
        made: what was acknowledged: a file, the id of a void call, a key.
    """

    number: int
    answers: list[tuple[str, int | None, str]] = field(default_factory=list)
    made: dict[str, str] = field(default_factory=dict)

    def wrong(self, *, calm: bool) -> list[str]:
        """Answers that are no answers; if nothing was failed, also errors."""
        found = []
        for name, status, text in self.answers:
            known = status is None or status < 400 or json.loads(text)["error"]["message"] != "internal error"
            if not known or (calm and (status is None or status >= 400)):
                found.append(f"{name}: {status} {text[:200]}")
        return found


class Asked:
    """A platform that is asked the same again and again."""

    def __init__(self, folder: Path) -> None:
        (folder / "root").mkdir()
        self.life = Quiet(folder)
        self.life.algorithm()
        self.life.ask("POST", "/v1/data/.my", json={"name": "col"})
        self.folder = folder
        self._count = 0

    @property
    def pid(self) -> int:
        """The server's process."""
        return self.life.process.pid

    def restart(self) -> None:
        """Serves the home again."""
        self.life = Quiet(self.folder)

    def round(self) -> Round:
        """Everything once."""
        self._count += 1
        done = Round(self._count)
        if self._ask(done, "put", "PUT", "/v1/data/.my/col/x", data=str(done.number))[0] == 200:
            done.made["file"] = str(done.number)
        status, text = self._ask(done, "get", "GET", "/v1/data/.my/col/x")
        assert status != 200 or "file" not in done.made or text == done.made["file"]
        self._ask(done, "list", "GET", "/v1/data/.my/col")
        status, text = self._ask(done, "call", "POST", "/v1/algo/local/Power", json=done.number)
        assert status != 200 or json.loads(text).get("result", {}).get("seen", done.number) == done.number
        status, text = self._ask(done, "void", "POST", "/v1/algo/local/Power?output=void", json=done.number)
        if status == 200:
            done.made["void"] = json.loads(text)["request_id"]
        status, text = self._ask(done, "key", "POST", "/v1/users/local/keys", json={"key_label": "one"})
        if status == 200:
            done.made["key"] = json.loads(text)["api_key"]
        self._ask(done, "versions", "GET", "/v1/algorithms/local/Power/versions")
        return done

    def lost(self, done: Round) -> list[str]:
        """What of a round was acknowledged and is not there."""
        later, found = Round(0), []
        if "file" in done.made and self._ask(later, "", "GET", "/v1/data/.my/col/x")[1] != done.made["file"]:
            found.append("the file")
        if "void" in done.made and '"seen"' not in self._outcome(done.made["void"]):
            found.append(f"the void call: {self._outcome(done.made['void'])}")
        if "key" in done.made:
            if self._ask(later, "", "GET", "/v1/data/.my", key=done.made["key"])[0] != 200:
                found.append("the key")
            for each in json.loads(self._ask(later, "", "GET", "/v1/users/local/keys")[1]):
                if each.get("key_label") == "one":
                    self._ask(later, "", "DELETE", f"/v1/users/local/keys/{each['id']}")
        return found

    def _outcome(self, request: str) -> str:
        tick = threading.Event()
        for _ in range(3000):
            status, text = self._ask(Round(0), "", "GET", f"/v1/requests/{request}")
            if status != 202:
                return text
            tick.wait(0.02)
        return "it never ended"

    def _ask(self, done: Round, name: str, method: str, path: str, **options: Any) -> tuple[int | None, str]:
        headers = {"Authorization": options.pop("key", self.life.key)}
        try:
            answer = requests.request(
                method, self.life.facts["address"] + path, headers=headers, timeout=40, **options
            )
            found = answer.status_code, answer.text
        except requests.Timeout:
            found = 599, '{"error":{"message":"internal error"}}'  # no answer at all is never one
        except requests.ConnectionError as error:
            found = None, str(error)
        done.answers.append((name, *found))
        return found


@contextmanager
def failing(pid: int, folder: Path, *inject: str) -> Iterator[Path]:
    """Fails system calls of a process meanwhile; the log of strace."""
    assert STRACE is not None
    log, names = folder / "log", ",".join(each.partition(":")[0] for each in inject)
    words = [
        STRACE,
        "-f",
        "-y",
        "-p",
        str(pid),
        "-o",
        str(log),
        "-e",
        f"trace={names}",
        "-e",
        "signal=none",
    ]
    tracer = subprocess.Popen(
        [*words, *(word for each in inject for word in ("-e", f"inject={each}"))], stderr=subprocess.PIPE
    )
    assert tracer.stderr is not None
    assert b"attached" in (said := tracer.stderr.readline()), said
    try:
        yield log
    finally:
        tracer.terminate()
        try:
            tracer.communicate(timeout=10)
        except subprocess.TimeoutExpired:  # it waits for a thread that waits for it
            tracer.kill()
            tracer.communicate()


def counts(pid: int, folder: Path, do: Callable[[], object]) -> dict[str, list[int]]:
    """The numbers of the calls of each kind that a process makes in a thread meanwhile, but of pipes."""
    with failing(pid, folder, *(f"{name}:error=EIO:when=65535" for name in WORTH)) as log:
        do()
    counted: Counter[tuple[str, str]] = Counter()
    found: dict[str, set[int]] = defaultdict(set)
    pipes: dict[str, set[int]] = defaultdict(set)
    for line in log.read_text("utf-8", "replace").splitlines():
        thread, _, rest = line.partition(" ")
        name = rest.strip().partition("(")[0]
        if name in WORTH:
            counted[name, thread] += 1
            found[name].add(counted[name, thread])
            if any(word in rest for word in PIPES):
                pipes[name].add(counted[name, thread])
    return {name: sorted(numbers - pipes[name]) for name, numbers in found.items()}


def injected(log: Path) -> list[str]:
    """The calls that were failed."""
    return [line for line in log.read_text("utf-8", "replace").splitlines() if "(INJECTED" in line]
