"""The user's hooks: applied to items, results and errors, and unable to end anything but their own item."""

from __future__ import annotations

from typing import Any

import pytest
from flow import Wrapper
from runtime import hooked, hooks
from runtime.items import Item, Outcome
from runtime.protocol import Failure


def _item(value: Any) -> Item:
    return Item(0, 0, value)


def never() -> bool:
    return False


def after(item: Item, outcome: Outcome) -> Outcome:
    ((same, changed),) = hooked.after([(item, outcome)])
    assert same is item
    return changed


def test_untouched_hooks_change_nothing() -> None:
    """The file as it is written first passes everything through."""
    (item,) = hooked.before([_item({"a": 1})], never)
    outcome = after(item, Outcome.of_result(7, 0.0, 1.0, 2))
    failed = after(item, Outcome.of_failure(Failure("InputError", "no", False, 1), 0.0))
    assert (item.value, outcome.value, outcome.attempts) == ({"a": 1}, 7, 2)
    assert (failed.failure.error_type, failed.failure.message, failed.failure.attempts) == (
        "InputError",
        "no",
        1,
    )


def test_items_and_results_are_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    """`before` makes what the target gets, `after` what the caller gets; time and attempts stay."""
    monkeypatch.setattr(hooks, "before", lambda item: item.strip(), raising=False)
    monkeypatch.setattr(hooks, "after", lambda item, result: {"for": item, "is": result}, raising=False)
    (item,) = hooked.before([_item(" x ")], never)
    outcome = after(item, Outcome.of_result(7, 5.0, 1.0, 2))
    assert outcome.value == {"for": "x", "is": 7}
    assert (outcome.started_at, outcome.seconds, outcome.attempts) == (5.0, 1.0, 2)


def test_errors_are_mapped_but_not_what_was_never_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """`error` renames a failure; an item that nobody tried stays as it is, to be sent again."""
    monkeypatch.setattr(
        hooks,
        "error",
        lambda item, kind, message, retryable: ("InputError", "mapped", False),
        raising=False,
    )
    tried = Outcome.of_failure(Failure("ServerError", "boom", True, 3), 0.0)
    untried = Outcome.of_failure(Failure("DeadlineExceeded", "late", True, 0), 0.0)
    mapped = after(_item(1), tried).failure
    assert (mapped.error_type, mapped.message, mapped.retryable, mapped.attempts) == (
        "InputError",
        "mapped",
        False,
        3,
    )
    assert after(_item(1), untried) is untried


def test_a_hook_that_raises_fails_its_own_item_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception becomes the item's final error, with the exception's own error_type."""

    class Unfit(Exception):
        error_type = "UnsupportedError"

    def before(item: Any) -> Any:
        if item == 2:
            raise Unfit("even")
        return item

    monkeypatch.setattr(hooks, "before", before, raising=False)
    items = list(hooked.before([_item(1), _item(2), _item(3)], never))
    assert [item.fault is None for item in items] == [True, False, True]
    assert (items[1].fault.error_type, items[1].fault.retryable) == ("UnsupportedError", False)
    monkeypatch.setattr(hooks, "after", lambda item, result: result["missing"], raising=False)
    failure = after(items[0], Outcome.of_result({}, 0.0, 1.0, 1)).failure
    assert (failure.error_type, failure.retryable, failure.attempts) == ("AlgorithmError", False, 1)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_no_hook_sees_an_item_for_which_there_is_no_time(
    monkeypatch: pytest.MonkeyPatch, one_by_one: bool
) -> None:
    """After the soft stop a slow `before` would take time for items that go nowhere."""
    now, seen = [0.0], []

    def call(value: int, seconds: float) -> int:
        now[0] += 80
        return value

    monkeypatch.setattr(hooks, "before", lambda item: seen.append(item) or item, raising=False)
    wrapper = Wrapper(call, clock=lambda: now[0], parallel=1, one_by_one=one_by_one)
    reply = wrapper({"$batch": list(range(1000)), "$timeout": 100})
    assert reply["$summary"]["untried"] == 999
    assert seen == [0]


def test_a_hooks_file_without_functions_costs_nothing() -> None:
    """The file as it is written changes nothing, and no result is encoded a second time for it."""
    assert not any(hasattr(hooks, name) for name in ("before", "after", "error"))
    (item,) = hooked.before([_item(1)], never)
    outcome = Outcome.of_result(2, 0.0, 1.0, 1)
    assert after(item, outcome) is outcome


def test_a_result_that_is_no_json_is_a_parsing_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """What `after` returns must travel as any result."""
    monkeypatch.setattr(hooks, "after", lambda item, result: float("nan"), raising=False)
    assert after(_item(1), Outcome.of_result(2, 0.0, 1.0, 1)).failure.error_type == "ParsingError"
