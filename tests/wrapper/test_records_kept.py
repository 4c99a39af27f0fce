"""Records that survive what goes wrong: no JSON, time running out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from flow import Clock, Kept, Wrapper, failed
from runtime import algorithm, protocol, records


def echo(value: Any, seconds: float) -> Any:
    return value


def nested(depth: int) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_a_record_that_json_can_not_say_costs_no_other() -> None:
    """An item without a JSON form is its own item's failure, recorded without its payload."""
    kept = Kept()
    answer = Wrapper(lambda value, seconds: "fine", datastore=kept)(
        {"$batch": ["a", float("inf"), nested(5000), "b"], "$run": "r"}
    )
    fields = {one["index"]: one for one in kept.fields}
    assert sorted(fields) == [0, 1, 2, 3]
    assert [answer["$results"][at] for at in (0, 3)] == ["fine", "fine"]
    for at in (1, 2):
        assert answer["$results"][at]["$error"]["type"] == fields[at]["error"]["type"] == "InputError"
        assert not answer["$results"][at]["$error"]["retryable"] and "input" not in fields[at]


def test_what_a_hook_makes_unrecordable_is_a_record_error() -> None:
    """The target's answer is lost to nobody but this item, and what is recorded says why."""
    kept, hooks = Kept(), SimpleNamespace(before=lambda item: {item} if item == "b" else item)
    reply = Wrapper(lambda value, seconds: "fine", datastore=kept, hooks=hooks)({"$batch": ["a", "b"]})
    fields = {one["index"]: one for one in kept.fields}
    assert reply["$results"][0] == fields[0]["result"] == "fine"
    assert reply["$results"][1]["$error"]["type"] == fields[1]["error"]["type"] == "RecordError"
    assert not reply["$results"][1]["$error"]["retryable"] and "input" not in fields[1]


@pytest.mark.parametrize("item_id", ["content", ["id"], "random"])
@pytest.mark.parametrize("ids", [{}, {"$ids": ["1", "2", "3", "3", "4"]}])
@pytest.mark.parametrize("kept_input", ["keep", "hash", "drop"])
def test_an_item_nested_too_deep_fails_alone(item_id: Any, ids: dict[str, Any], kept_input: str) -> None:
    """Wherever ids come from and whatever is kept: the others go on, and it has its record."""
    kept = Kept()
    wrapper = Wrapper(
        lambda value, seconds: algorithm.encode_body(value) and "fine",
        datastore=kept,
        item_id=item_id,
        kept_input=kept_input,
    )
    batch = [{"id": "a"}, nested(5000), {"id": "b", "deep": nested(5000)}, nested(5000), {"id": "c"}]
    results = wrapper({"$batch": batch, **ids})["$results"]
    assert (results[0], results[4]) == ("fine", "fine")
    assert {results[at]["$error"]["type"] for at in (1, 2, 3)} == {"InputError"}
    assert len(kept.fields) == (4 if ids else 5)


def test_what_a_hook_makes_of_an_item_costs_no_other() -> None:
    """A value that is no JSON, or an error that is none, is the failure of that one item."""
    hooks = SimpleNamespace(
        before=lambda item: {item} if item == "b" else item,
        error=lambda item, kind, message, again: (kind, {1}, again),
    )
    for kept_input in ("keep", "hash", "drop"):
        kept = Kept()
        wrapper = Wrapper(
            lambda value, seconds: algorithm.encode_body(value) and "fine",
            datastore=kept,
            kept_input=kept_input,
            hooks=hooks,
        )
        results = wrapper({"$batch": ["a", "b", "c"], "$run": "r"})["$results"]
        assert (results[0], results[2]) == ("fine", "fine")
        assert results[1]["$error"]["type"] == "AlgorithmError"
        assert {fields["id"]: fields.get("error", {}).get("type") for fields in kept.fields} == {
            "0": None,
            "1": "AlgorithmError",
            "2": None,
        }


def test_halves_that_the_soft_stop_finds_are_recorded() -> None:
    """A list that was tried, split, and left when time ran out is recorded with the time it was tried at."""
    now = [0.0]

    def call(value: list[int], seconds: float) -> list[int]:
        now[0] += 100.0
        raise failed("ServerError" if now[0] < 150 else "InputError", "no")

    kept = Kept()
    answer = Wrapper(
        call, datastore=kept, batch_size=4, clock=lambda: now[0], wait=lambda s: False, parallel=1
    )({"$batch": [1, 2, 3, 4], "$run": "r", "$timeout": 210})
    assert {result["$error"]["type"] for result in answer["$results"]} == {"DeadlineExceeded"}
    assert len(kept.fields) == 4 and all(one["started_at"] for one in kept.fields)


@pytest.mark.parametrize("by_name", [False, True])
def test_refused_records_can_not_outlast_the_call(by_name: bool) -> None:
    """Finding them, and recording why, ends with the time there is; the call may be sent again."""
    clock = Clock()

    def trouble(written: list[Any]) -> None:
        clock.now += 1
        raise records.Refused("never", written if by_name else ())

    with pytest.raises(protocol.Failure, match="time ran out over records") as caught:
        Wrapper(lambda value, seconds: value, datastore=Kept(trouble), clock=clock)(
            {"$batch": list(range(400)), "$timeout": 60}
        )
    assert (caught.value.error_type, caught.value.retryable) == ("DatastoreError", True)
    assert clock.now < 1000 + 70


def test_nothing_of_a_trial_is_recorded() -> None:
    """A trial goes the whole way, its first failure is the call's, and the datastore stays as it was."""

    def call(value: Any, seconds: float) -> Any:
        if value == "bad":
            raise failed("InputError", "bad")
        return value

    kept = Kept()
    wrapper = Wrapper(call, datastore=kept)
    answer = wrapper({"$batch": ["x", "y"], "$trial": True})
    assert (answer["$results"], answer["$summary"]["recorded"]) == (["x", "y"], 0)
    with pytest.raises(protocol.Failure, match="bad"):
        wrapper({"$batch": ["bad"], "$trial": True})
    with pytest.raises(protocol.InputError, match="trial"):
        wrapper({"$batch": ["x"], "$trial": False})
    assert not kept.fields


@pytest.mark.parametrize(("taken", "counts"), [("reason", (1, 0)), ("", (1, 1))])
def test_a_record_of_what_was_refused_is_refused_too(taken: str, counts: tuple[int, int]) -> None:
    """It is written once more without the datastore's words; if that does not help either, it is counted."""

    def trouble(written: list[Any]) -> None:
        if "result" in written[0].fields or not taken or taken in written[0].fields["error"]["message"]:
            raise records.Refused("a reason", written)

    kept = Kept(trouble)
    reply = Wrapper(lambda value, seconds: value, datastore=kept)({"$batch": ["x"], "$run": "r"})
    assert reply["$results"][0]["$error"]["type"] == "RecordError"
    assert [fields["error"]["message"] for fields in kept.fields] == ["the datastore refused the record"][
        : bool(taken)
    ]
    assert (reply["$summary"]["refused"], reply["$summary"]["unrecorded"]) == counts
