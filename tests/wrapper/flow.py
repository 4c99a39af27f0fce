"""The flow of a wrapper's main module, without the ADK: for tests of what the parts do together."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import Any

from runtime import (
    algorithm,
    engine,
    first_element,
    ignored_failures,
    protocol,
    record_id,
    records,
    serial,
    statuses,
    sublists,
    work,
    wrapper,
)
from runtime.items import Item

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

    def wait(self, seconds: float) -> bool:
        """A pause that takes no time but on this clock."""
        self.now += seconds
        return False


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


class Target:
    """A target whose calls are a function of the value, or of the list of values, and the seconds."""

    def __init__(self, call: Any) -> None:
        self.function = call

    def call(self, item: Item, seconds: float) -> Any:
        return self.function(item.value, seconds)

    def call_list(self, items: list[Item], seconds: float) -> Any:
        return self.function([item.value for item in items], seconds)


class Wrapper(wrapper.Wrapper):
    """What a generated main module puts together, with its target passed in."""

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
        redaction: Any = None,
        files: Any = None,
        hooks: Any = None,
        target: Any = None,
        id_version: int = 1,
        id_key_env: str | None = None,
        on_failure: str = "fail",
        log: str = "off",
        **limits: int,
    ) -> None:
        given = {**LIMITS, **limits}
        config = SimpleNamespace(
            WRAPPER="o/W",
            MODE="both" if bare_lists else "log",
            SPEC="sha256:0",
            TARGET={
                "reference": "o/t/1.0.0",
                "input": "item",
                "result": result,
                "batch_size": given.pop("batch_size"),
                **(target or {}),
            },
            LIMITS=given,
            ON_ERROR="raise" if "list" in raising else "collect",
            LOG=log,
            RECORDS={
                "id": item_id,
                "id_version": id_version,
                "id_key_env": id_key_env,
                "input": kept_input,
                "on_failure": on_failure,
            },
        )
        parts: dict[str, Any] = {
            "recorder": ignored_failures.Recorder if on_failure == "ignore" else recorder
        }
        parts["redaction"] = redaction
        if clock is not None:
            parts["deadline"] = lambda seconds: engine.Deadline(seconds, clock)
        if item_id != "random":
            parts["record_id"] = record_id.from_settings(config.RECORDS, config.TARGET)
        if one_by_one:
            parts["engine"] = serial.Engine
        self._worker = first_element.First if result == "first" else work.Work
        if config.TARGET["batch_size"] > 1:
            self._worker = sublists.Lists
        parts["work"] = self._work
        self.chance, self.wait = chance, wait
        made_for = getattr(call, "__self__", None)
        opened = made_for if isinstance(made_for, algorithm.Target) else Target(call)
        files = files or SimpleNamespace(read=None, write=None, require_owner=lambda: None)
        super().__init__(config, hooks or SimpleNamespace(), opened, files, datastore, **parts)

    def __call__(self, value: Any) -> Any:
        return self.call(value)

    def _work(self, *arguments: Any) -> work.Work:
        made = self._worker(*arguments)
        made.chance = self.chance
        if self.wait is not None:
            made.wait = self.wait
        return made


EFFECTS = {
    "AuthenticationError": protocol.STOP,
    "PaymentRequiredError": protocol.STOP,
    "TooManyRequests": protocol.THROTTLED,
    "Unreachable": protocol.UNREACHABLE,
}


def failed(error_type: str, message: str = "no good", retry_after: float | None = None) -> protocol.Failure:
    """What the target raises when its status tells this type."""
    effect = EFFECTS.get(error_type, protocol.ATTEMPT)
    failure = statuses.failure_of(error_type.replace("Unreachable", "ConnectionError"), message, effect)
    failure.retry_after = retry_after
    return failure


def seeded(seed: int) -> Any:
    """Chance that is the same each time."""
    return random.Random(seed).random
