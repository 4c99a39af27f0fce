"""The user's hooks: applied to items, results and errors, and unable to end anything but their own item."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Clock, Wrapper
from runtime import protocol
from runtime.items import Item, Items, Outcome
from runtime.protocol import Failure
from runtime.work import Hooks

HOOKS = Path(__file__).resolve().parents[2] / "templates" / "algorithm" / "src" / "hooks.py"


def _item(value: Any) -> Item:
    return Item(0, 7, value)


def hooks_of(**functions: Any) -> Hooks:
    request = protocol.Request(protocol.BATCH, run="r", try_number=2)
    return Hooks(SimpleNamespace(**functions), Items(request, []))


def test_untouched_hooks_change_nothing() -> None:
    """The file as it is written first has no functions, and costs no result a second encoding."""
    written: dict[str, Any] = {}
    exec(HOOKS.read_text("utf-8"), written)  # the file as it is
    assert not any(name in written for name in ("before", "after", "error", "load"))
    hooks, item = hooks_of(), _item({"a": 1})
    hooks.before(item)
    outcome = Outcome(7, 0.0, 1.0, 2)
    failed = Outcome(Failure("InputError", "no"), 0.0, 0.0, 1)
    assert (item.value, item.failure) == ({"a": 1}, None)
    assert hooks.after(item, outcome) is outcome
    assert hooks.after(item, failed) is failed


def test_items_and_results_are_changed() -> None:
    """`before` makes what the target gets, `after` what the caller gets; time and attempts stay."""
    hooks = hooks_of(before=lambda item: item.strip(), after=lambda item, result: {"for": item, "is": result})
    item = _item(" x ")
    hooks.before(item)
    outcome = hooks.after(item, Outcome(7, 5.0, 1.0, 2))
    assert outcome.value == {"for": "x", "is": 7}
    assert (outcome.started_at, outcome.seconds, outcome.attempts) == (5.0, 1.0, 2)


def test_a_hook_that_wants_the_context_gets_it() -> None:
    """With a last parameter `context` each hook is told run, id, index and try; without it, none is given."""
    told = []

    def before(item: Any, context: Any) -> Any:
        told.append(context)
        return item

    def after(item: Any, result: Any, *, context: Any) -> Any:
        told.append(context)
        return result

    def error(item: Any, kind: str, message: str, retryable: bool, context: Any = None) -> Any:
        told.append(context)
        return kind, message, retryable

    hooks, item = hooks_of(before=before, after=after, error=error), _item(1)
    hooks.before(item)
    hooks.after(item, Outcome(1, 0.0, 1.0, 1))
    hooks.after(item, Outcome(Failure("InputError", "no"), 0.0, 0.0, 1))
    assert told == [{"run": "r", "id": "7", "index": 7, "try": 2}] * 3


def test_errors_are_mapped_but_not_what_was_never_tried() -> None:
    """`error` renames a failure; an item that nobody tried stays as it is, to be sent again."""
    hooks = hooks_of(error=lambda item, kind, message, retryable: ("InputError", "mapped", False))
    tried = Outcome(Failure("ServerError", "boom", True), 0.0, 0.0, 3)
    untried = Outcome(Failure("DeadlineExceeded", "late", True), 0.0, 0.0, 0)
    mapped = hooks.after(_item(1), tried).failure
    assert mapped is not None
    assert (mapped.error_type, mapped.message, mapped.retryable, mapped.attempts) == (
        "InputError",
        "mapped",
        False,
        3,
    )
    assert hooks.after(_item(1), untried) is untried


def test_a_hook_that_raises_fails_its_own_item_only() -> None:
    """An exception becomes the item's final error, with the exception's own error_type."""

    class Unfit(Exception):
        error_type = "UnsupportedError"

    def before(item: Any) -> Any:
        if item == 2:
            raise Unfit("even")
        return item

    hooks = hooks_of(before=before, after=lambda item, result: result["missing"])
    items = [_item(1), _item(2), _item(3)]
    for item in items:
        hooks.before(item)
    assert [item.failure is None for item in items] == [True, False, True]
    failure = items[1].failure
    assert failure is not None
    assert (failure.error_type, failure.retryable) == ("UnsupportedError", False)
    failure = hooks.after(items[0], Outcome({}, 0.0, 1.0, 1)).failure
    assert failure is not None
    assert (failure.error_type, failure.retryable, failure.attempts) == ("AlgorithmError", False, 1)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_no_hook_sees_an_item_for_which_there_is_no_time(one_by_one: bool) -> None:
    """After the soft stop a slow `before` would take time for items that go nowhere."""
    clock, seen = Clock(), []

    def call(value: int, seconds: float) -> int:
        clock.now += 80
        return value

    hooks = SimpleNamespace(before=lambda item: seen.append(item) or item)
    wrapper = Wrapper(call, clock=clock, parallel=1, one_by_one=one_by_one, hooks=hooks)
    reply = wrapper({"$batch": list(range(1000)), "$timeout": 100})
    assert reply["$summary"]["untried"] == 999
    assert seen == [0]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_a_hook_that_blocks_holds_up_nobody_else_and_not_the_call(batch_size: int) -> None:
    """It runs outside every lock: other items go on meanwhile, and its own comes back untried in time."""
    release, others = threading.Event(), []

    def before(item: Any) -> Any:
        if item == "blocks":
            assert release.wait(60)
        return item

    def call(value: Any, seconds: float) -> Any:
        others.append(value)
        return value

    wrapper = Wrapper(call, hooks=SimpleNamespace(before=before), batch_size=batch_size, parallel=4)
    reply = wrapper({"$batch": ["blocks", "blocks", *range(20)], "$timeout": 1.0})
    release.set()
    assert reply["$results"][2:] == list(range(20))
    assert [got["$error"]["type"] for got in reply["$results"][:2]] == ["DeadlineExceeded"] * 2
    assert [got["$error"]["attempts"] for got in reply["$results"][:2]] == [0, 0]
    assert len(others) == 20 // batch_size


def test_a_result_that_is_no_json_is_a_parsing_error() -> None:
    """What `after` returns must travel as any result."""
    hooks = hooks_of(after=lambda item, result: float("nan"))
    failure = hooks.after(_item(1), Outcome(2, 0.0, 1.0, 1)).failure
    assert failure is not None and failure.error_type == "ParsingError"
