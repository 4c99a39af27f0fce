"""Redaction: no text costs a batch, and no part of a value that is blanked stands in a message."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from flow import Kept, Wrapper, failed
from hypothesis import given
from hypothesis import strategies as st
from runtime import algorithm_lists, engine, record_id, redaction, statuses, work
from runtime import platform as api
from runtime.items import Item
from standins import Platform, Reply

USER = redaction.Redaction([["user"]])


def blanked(user: Any, message: str) -> str:
    return USER.message(Item(0, 0, {"user": user}), failed("InputError", message))


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "item",
    [{"user": "\ud800"}, {"user": "\ud800", "x": float("nan")}, {"user": nested(5000)}, {"user": 10**5000}],
)
def test_no_item_costs_the_records_of_others(item: Any) -> None:
    """What can't be spelled, said as JSON or walked through is recorded without payload, others as ever."""

    def call(value: Any, seconds: float) -> Any:
        raise failed("InputError", "bad")

    kept = Kept()
    Wrapper(call, datastore=kept, redaction=USER)({"$batch": [item, {"user": "b"}], "$run": "r"})
    assert {fields["id"] for fields in kept.fields} == {"0", "1"}
    assert all("error" in fields for fields in kept.fields)


@pytest.mark.parametrize("path", [["id"], None])
def test_an_id_of_any_text_is_one(monkeypatch: pytest.MonkeyPatch, path: Any) -> None:
    """Also half of a pair of surrogates, with a secret of any bytes, has an id of its own."""
    monkeypatch.setenv("ID_KEY", "\udcff")
    ids = record_id.RecordId(path, "o/t/1.0.0", "ID_KEY")
    assert len({ids.of_value({"id": text}) for text in ("\ud800", "\ud801", "?")}) == 3


def test_what_was_blanked_is_not_blanked_again() -> None:
    """A message grows by no more than each of its characters does, in whatever order values come."""
    letters = list("[redact]")
    assert blanked(letters, "xx") == "xx"
    assert blanked(letters, "r!") == "[redacted]!"
    assert {blanked(list(order), "abc") for order in itertools.permutations(["ab", "bc", "c"])} == {
        "[redacted]" * 2
    }


OTHERS = st.text(st.characters(blacklist_characters="[redact]"), min_size=1)


@given(OTHERS, st.text(), st.text())
def test_redaction_takes_any_text(value: str, before: str, after: str) -> None:
    """A message with the value in it has it no more."""
    assert value not in blanked(value, before + value + after)


SECRET = "maria.müller@example.com\nRoad 1"


@pytest.mark.parametrize("size", range(1, len(SECRET.encode("utf-8")) + 1))
def test_a_value_at_which_a_message_was_cut_is_blanked(platform: Platform, size: int) -> None:
    """However much of it the answer's beginning still has."""
    said = "x" * (200 - size) + SECRET
    platform.target = lambda value: Reply(400, said.encode("utf-8"))
    target = algorithm_lists.Target(
        api.connect(platform.client()), {"reference": "o/t/1.0.0"}, {"request_bytes": 10**6}
    )
    kept = Kept()
    Wrapper(target.call, datastore=kept, redaction=USER)({"$batch": [{"user": SECRET}], "$run": "r"})
    assert kept.fields[0]["error"]["message"].endswith("x[redacted]")


def test_keys_of_what_is_blanked_are_blanked() -> None:
    """They may tell as much as values do; a short message is not taken for one that was cut."""
    assert blanked({"maria": 1}, "no maria: m") == "no [redacted]: m"


@pytest.mark.parametrize("effect", [statuses.STOP, statuses.ATTEMPT])
def test_a_message_about_another_item_is_blanked_too(effect: str) -> None:
    """A list's failure is that of each of its items, and what stops a call that of those under way."""
    sent = [Item(0, 0, {"user": "maria"}), Item(1, 1, {"user": "jose"})]
    failure = statuses.failure_of("AuthenticationError", "not for maria, nor for jose or anna", effect)
    both = "not for [redacted], nor for [redacted] or "
    limits = {"attempts": 1, "may_retry": False, "item_timeout": 9}
    at_work = work.Work(None, limits, [], None, engine.Deadline(60))

    def send(items: Any, seconds: float) -> Any:
        raise failure

    with pytest.raises(type(failure)):
        at_work.call(work.Task(sent), send, sent)
    assert [USER.message(item, failure) for item in sent] == [both + "anna"] * 2
    other = work.Task([Item(2, 2, {"user": "anna"})])
    assert USER.message(other.items[0], other.unfinished(failure).failure) == both + "[redacted]"
