"""The model of records: what their precedence and settling promise, as a small state machine."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from types import SimpleNamespace
from typing import ClassVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from wrapgen.errors import NotFound
from wrapgen.records.collected import Collected
from wrapgen.records.objects import collect
from wrapgen.records.settle import settle

CHOSEN = st.lists(st.integers(0, 5), min_size=1, max_size=4, unique=True)


class RecordMachine(RuleBasedStateMachine):
    """Records in a data URL: the best of each key, whatever was written, settled or interrupted."""

    ERRORS: ClassVar = {
        0: {"type": "E", "message": "", "retryable": True},
        1: {"type": "E", "retryable": False},
    }

    def __init__(self) -> None:
        super().__init__()
        self.best: dict[int, tuple[int, int]] = {}  # rank and try
        self.objects: dict[str, bytes] = {}
        self.left = 10**9

    @rule(items=CHOSEN, rank=st.sampled_from([0, 1, 2]), tries=st.integers(1, 9))
    def write(self, items: list[int], rank: int, tries: int) -> None:
        """A wrapper writes records: a result beats an error, a final one a retryable, then the higher try."""
        for item in items:
            self.best[item] = max(self.best.get(item, (-1, 0)), (rank, tries))

        outcome = {"result": 1} if rank == 2 else {"error": self.ERRORS[rank]}
        lines = [
            json.dumps({"run": "r1", "id": str(item), "index": item, "try": tries, **outcome})
            for item in items
        ]
        body = "".join(line + "\n" for line in lines).encode()
        name = f"r1-{items[0]:012d}-{hashlib.sha256(body).hexdigest()[:12]}-t{tries}-p1.jsonl"
        self.objects[name] = body

    @precondition(lambda self: self.best)
    @rule(effects=st.integers(0, 8))
    def compact(self, effects: int) -> None:
        """Settling, perhaps killed after some effects, changes nothing that a reader sees."""
        self.left = effects
        with suppress(KeyboardInterrupt):
            settle(self, "data://acme/records", "r1")
        self.left = 10**9

    @invariant()
    def the_reader_finds_the_best(self) -> None:
        """Each key is read once, with its best record."""
        with Collected() as collected:
            collect(self, "data://acme/records", collected, run="r1")
            assert collected.tally().keys == len(self.best)
            for item, (rank, tries) in self.best.items():
                found = collected.get("r1", str(item))
                error = found.get("error")
                assert (2 if error is None else not error["retryable"], found["try"]) == (rank, tries)

    def files(self, _: str):
        return [SimpleNamespace(name=name, size=len(body)) for name, body in sorted(self.objects.items())]

    def read(self, url: str) -> bytes:
        if (name := url.rpartition("/")[2]) not in self.objects:
            raise NotFound(url)
        return self.objects[name]

    def put(self, url: str, body: bytes) -> None:
        self._effect()
        self.objects[url.rpartition("/")[2]] = body

    def delete(self, url: str) -> None:
        self._effect()
        del self.objects[url.rpartition("/")[2]]

    def _effect(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt


TestRecords = RecordMachine.TestCase
TestRecords.settings = settings(max_examples=12, stateful_step_count=25, deadline=None)
