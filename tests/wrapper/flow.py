"""The flow of a wrapper's main module, without the ADK: for tests of what the parts do together."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from runtime import (
    answer,
    attempts,
    batches,
    deadline,
    dispatch,
    hooked,
    items,
    protocol,
    records,
    serial,
    target,
    work,
)

LIMITS = {
    "timeout": 300,
    "request_bytes": 10_000_000,
    "response_bytes": 10_000_000,
    "parallel": 8,
    "batch_size": 1,
    "attempts": 3,
    "item_timeout": 60,
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Kept:
    """A datastore in memory; `trouble(records)` may raise instead."""

    def __init__(self, trouble: Any = None) -> None:
        self.pieces: list[list[Any]] = []
        self.trouble = trouble or (lambda records: None)

    def write(self, written: list[Any], piece: int) -> None:
        self.trouble(written)
        self.pieces.append(list(written))

    @property
    def fields(self) -> list[dict[str, Any]]:
        return [record.fields for piece in self.pieces for record in piece]


class Wrapper:
    """What a generated main module does, with its target passed in."""

    def __init__(
        self,
        call: Any,
        *,
        bare_lists: bool = True,
        result: str = "whole",
        item_id: Any = "random",
        raising: tuple[str, ...] = ("item",),
        datastore: Any = None,
        clock: Any = None,
        chance: Any = lambda: 0.0,
        wait: Any = None,
        one_by_one: bool = False,
        recorder: Any = records.Recorder,
        kept_input: str = "keep",
        redact: Any = (),
        files: Any = None,
        **limits: int,
    ) -> None:
        self.limits = {**LIMITS, **limits}
        self.bare_lists, self.item_id, self.raising = bare_lists, item_id, raising
        self.datastore, self.recorder = datastore, recorder
        self.settings = {
            "target": "o/t/1.0.0",
            "wrapper": "o/W@sha256:0",
            "input": kept_input,
            "redact": redact,
        }
        self.target = {
            "result": result,
            "batch_size": self.limits["batch_size"],
            "request_bytes": self.limits["request_bytes"],
        }
        self.clock, self.chance, self.wait = clock, chance, wait
        self.files = files or SimpleNamespace(read=None, write=None)
        self.dispatch_class = serial.Dispatch if one_by_one else dispatch.Dispatch
        self.attempts_class = serial.Attempts if one_by_one else attempts.Attempts
        listed = self.limits["batch_size"] > 1
        self.work_class = batches.Work if listed else work.Work
        self.call = call_of_lists(call) if listed else call

    def __call__(self, value: Any) -> Any:
        request = protocol.read(value, self.bare_lists)
        if request is None:
            return answer.describe({"datastore": None}, self.limits)
        clock = {} if self.clock is None else {"clock": self.clock}
        until = deadline.Deadline(request.timeout or self.limits["timeout"], **clock)
        values = self.files.read(request.source, until) if request.source else request.values
        all_items = items.Items(request, values, self.item_id)
        pauses = () if self.attempts_class is serial.Attempts else (self.chance, self.wait)
        tries = self.attempts_class(self.call, self.limits, until, *pauses)
        self.tries = tries
        doing = self.work_class(tries.make, self.target, until)
        handed = self.dispatch_class(
            doing.do,
            doing.tasks(hooked.before(all_items, tries.has_ended), request.send),
            self.limits["parallel"],
            until,
            tries.end,
        )
        reply = answer.Answer(request, all_items, self.limits["response_bytes"], until)
        keep, idle = reply.put, reply.idle
        if self.datastore is not None:
            recorder = self.recorder(self.datastore, all_items, self.settings, until, reply)
            keep, idle = recorder.put, recorder.flush_if_due
        for item, outcome in hooked.after(handed.outcomes(idle)):
            keep(item, outcome)
            if reply.failures and request.form in self.raising:
                handed.stop_handing_out()
        if self.datastore is not None:
            recorder.flush()
        handed.raise_fault()
        if reply.failures and request.form in self.raising:
            raise reply.first_failure()
        return reply.write(self.files.write, tries, handed.stopped)


def call_of_lists(call: Any) -> Any:
    """The call of a target that takes lists: a real one's own, or one that takes their values."""
    made_for = getattr(call, "__self__", None)
    if isinstance(made_for, target.Target):
        return made_for.call_list
    return lambda listed, seconds: call([item.value for item in listed], seconds)


def seeded(seed: int) -> Any:
    """Chance that is the same each time."""
    return random.Random(seed).random
