"""What a call does where earlier wrappers lost work or said too much: outages, stops, rights, redaction."""

from __future__ import annotations

import contextlib
import io
import json
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from flow import Kept, Wrapper, failed
from runtime import (
    algorithm_lists,
    earlier_results,
    engine,
    files,
    ignored_failures,
    protocol,
    record_id,
    records,
    redaction,
)
from runtime import platform as api
from standins import Platform, Reply, error, result


def wrapper_on(platform: Platform, **facts: Any) -> Wrapper:
    target = algorithm_lists.Target(
        api.connect(platform.client()), {"reference": "o/t/1.0.0"}, {"request_bytes": 10**6}
    )
    return Wrapper(
        target.call, files=files.Files("acme/W", connect=lambda: api.connect(platform.client())), **facts
    )


def test_a_target_that_does_not_exist_stops_the_call(platform: Platform) -> None:
    """One message, open items as they were, and no item recorded as failed."""
    platform.target = lambda value: Reply(404, {"error": {"message": "algorithm o/t not found"}})
    kept = Kept()
    reply = wrapper_on(platform, datastore=kept, parallel=2)({"$batch": list(range(50)), "$run": "r"})
    assert reply["$summary"]["stopped"] == {
        "type": "EntityNotFoundError",
        "message": "status 404: algorithm o/t not found",
    }
    assert {(one["$error"]["retryable"], one["$error"]["attempts"]) for one in reply["$results"]} == {
        (True, 0)
    }
    assert (len(platform.calls) <= 2, kept.fields) == (True, [])


@pytest.mark.parametrize("kind", ["AuthenticationError", "PaymentRequiredError", "EntityNotFoundError"])
def test_an_error_type_inside_an_answer_stops_nobody(platform: Platform, kind: str) -> None:
    """With status 200 it is that item's own, and final; all others are called."""
    platform.target = lambda value: error(kind) if value == 3 else result(value)
    reply = wrapper_on(platform)({"$batch": list(range(20))})
    assert [place for place, got in enumerate(reply["$results"]) if got != place] == [3]
    assert reply["$results"][3]["$error"]["type"] == kind
    assert (reply["$summary"]["stopped"], reply["$results"][3]["$error"]["retryable"]) == (None, False)


def test_one_failed_write_of_the_results_costs_nothing(platform: Platform) -> None:
    """It is made again, as records are; the items were paid for."""
    platform.collections.add("caller/out")
    refusals = [Reply(503, b""), Reply(drop=True)]
    platform.data = lambda method, path: refusals.pop() if method == "PUT" and refusals else None
    reply = wrapper_on(platform)({"$batch": [1, 2], "$output": "data://caller/out/r.jsonl", "$timeout": 30})
    assert reply["$results"] == "data://caller/out/r.jsonl"
    assert platform.files["caller/out/r.jsonl"] == b"1\n2\n"
    assert (refusals, len(platform.calls)) == ([], 2)


def test_a_malformed_line_fails_alone_and_counts_are_looked_at_first(platform: Platform) -> None:
    """A bad line is its item's InputError; ids of another number are refused before anything is called."""
    platform.files["caller/in/items.jsonl"] = b'"a"\n{"b\n\n[1]\n'
    wrapper = wrapper_on(platform)
    call = {"$batch": "data://caller/in/items.jsonl", "$ids": ["1", "2", "3"]}
    results = wrapper(call)["$results"]
    assert (results[0], results[1]["$error"]["type"], results[2]) == ("a", "InputError", [1])
    called = len(platform.calls)
    with pytest.raises(protocol.InputError, match="2 entries for 3 items"):
        wrapper(dict(call, **{"$ids": ["1", "2"]}))
    assert len(platform.calls) == called


@pytest.mark.parametrize("action", ["read", "write"])
def test_the_owners_rights_are_never_the_callers(platform: Platform, action: str) -> None:
    """The header asks to drop them; where it is not heard, the collections of the owner are refused."""
    platform.files.update({"acme/in/x.jsonl": b"1\n", "caller/in/x.jsonl": b"1\n"})
    platform.collections.update(("acme/in", "caller/in"))
    wrapper = wrapper_on(platform)

    def call(owner: str) -> Any:
        url = f"data://{owner}/in/x.jsonl"
        return wrapper({"$batch": url} if action == "read" else {"$batch": [1], "$output": url})["$results"]

    call("caller")
    with pytest.raises(protocol.Failure, match="belongs to this wrapper's owner") as caught:
        call("ACME")
    assert caught.value.error_type == "InputError"
    heard = {"X-Algorithm-Rights": "caller"}
    platform.data = lambda method, path: Reply(200, b"1\n", heard)
    call("acme")
    asked = [one for one in platform.requests if one.path.startswith("/v1/data/")]
    assert {one.headers.get("X-Algorithm-Rights") for one in asked} == {"caller"}


@pytest.mark.parametrize(
    "url",
    [
        "data://acme/private/credentials.json",
        "data://ACME/Private/credentials.json",
        "data://acme//private/./credentials.json",
        "data://caller/in/../../acme/private/credentials.json",
        "data://acme/records/none-000000000000-0-t1-p1.jsonl",
    ],
)
def test_what_a_wrapper_keeps_for_itself_is_never_read_or_written(platform: Platform, url: str) -> None:
    """Neither credentials nor records go out through `$batch`, and no forged record comes in by `$output`."""
    server = api.connect(platform.client())
    own = files.Files("acme/W", ["data://acme/records", "data://acme/private"], lambda: server)
    until = engine.Deadline(5)
    with pytest.raises(protocol.InputError, match="is not for items or results"):
        own.read(url, until)
    with pytest.raises(protocol.InputError, match="is not for items or results"):
        own.write(url, ["1"], until)
    assert platform.requests == []


def test_a_slow_datastore_slows_down_new_work_and_no_finished_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """While two parts wait to be written no new item starts; whatever was answered is there in the end."""
    monkeypatch.setattr(records, "PART_RECORDS", 2)
    release, called, before = threading.Event(), [], []

    def trouble(written: list[Any]) -> None:
        assert release.wait(60)

    def go_on() -> None:
        before.append(len(called))
        release.set()

    def call(value: int, seconds: float) -> int:
        called.append(value)
        if len(called) == 4:
            threading.Timer(0.1, go_on).start()
        return value

    kept = Kept(trouble)
    reply = Wrapper(call, datastore=kept, parallel=4)({"$batch": list(range(40))})
    assert reply["$results"] == list(range(40))
    assert len(kept.fields) == 40
    assert before[0] <= 8  # two parts of two, and four in flight


@pytest.mark.parametrize("lasting", [False, True])
def test_a_datastore_whose_failure_is_ignored_breaks_no_service(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], lasting: bool
) -> None:
    """The answer goes out; the summary counts what was not recorded, and the log says so."""
    monkeypatch.setattr(ignored_failures, "SECONDS", 0.2)
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)

    def trouble(written: list[Any]) -> None:
        raise protocol.Failure("DatastoreError", "it is down", not lasting)

    wrapper = Wrapper(
        lambda value, seconds: value, datastore=Kept(trouble), on_failure="ignore", log="errors"
    )
    reply = wrapper({"$batch": [1, 2, 3]})
    assert reply["$results"] == [1, 2, 3]
    assert (reply["$summary"]["recorded"], reply["$summary"]["unrecorded"]) == (0, 3)
    assert "it is down" in reply["$summary"]["datastore_error"]
    assert json.loads(capsys.readouterr().out)["unrecorded"] == 3
    assert wrapper("x") == "x"


@pytest.mark.parametrize("log", ["off", "errors", "all"])
def test_the_log_tells_calls_and_failed_items_and_never_their_data(
    capsys: pytest.CaptureFixture[str], log: str
) -> None:
    """Each line is one JSON object; with `errors` a call in which nothing failed has none."""

    def call(value: str, seconds: float) -> str:
        if value == "secret bad":
            raise failed("InputError", "secret message")
        return value

    wrapper = Wrapper(call, log=log)
    wrapper({"$batch": ["secret good"], "$run": "r"})
    wrapper({"$batch": ["secret good", "secret bad"], "$run": "r", "$ids": ["a", "b"], "$try": 2})
    with contextlib.suppress(protocol.Failure):
        wrapper("secret bad")
    said = capsys.readouterr().out
    lines = [json.loads(line) for line in said.splitlines()]
    assert "secret" not in said
    assert [line["log"] for line in lines] == {
        "off": [],
        "errors": ["item", "call", "item", "call"],
        "all": ["call", "item", "call", "item", "call"],
    }[log]
    if lines:
        item = next(line for line in lines if line["log"] == "item")
        facts = {"run": "r", "id": "b", "index": 1, "try": 2, "error": "InputError", "attempts": 1}
        assert {key: item[key] for key in facts} == facts


def test_the_log_tells_calls_that_could_not_begin(capsys: pytest.CaptureFixture[str]) -> None:
    """Malformed ones, and those whose file can't be read: the error's type, and the run if it is known."""

    def read(url: str, deadline: Any) -> list[Any]:
        raise protocol.InputError("no such secret")

    files = SimpleNamespace(read=read, require_owner=lambda: None)
    wrapper = Wrapper(lambda value, seconds: value, log="errors", files=files)
    for call in ({"$batch": 1}, {"$batch": "data://secret/in/x.jsonl", "$run": "r", "$try": 2}):
        with pytest.raises(protocol.InputError):
            wrapper(call)
    said = capsys.readouterr().out
    facts = [[json.loads(line)[key] for key in ("log", "run", "try", "error")] for line in said.splitlines()]
    assert facts == [["call", None, 1, "InputError"], ["call", "r", 2, "InputError"]]
    assert "secret" not in said


SECRET = 'Zoë "Z" <zoe+1@example.org>'


@pytest.mark.parametrize(
    "spelled", [SECRET, json.dumps(SECRET), repr(SECRET), json.dumps(SECRET, ensure_ascii=False)]
)
def test_redaction_covers_messages_hashes_and_ids(monkeypatch: pytest.MonkeyPatch, spelled: str) -> None:
    """Whatever is recorded of an item, nothing of it tells the value: not even a hash that one could try."""
    monkeypatch.setenv("ID_KEY", "a secret")

    def call(value: Any, seconds: float) -> Any:
        raise failed("InputError", f"no such user: {spelled} (pin 4711)")

    def recorded(item: Any) -> dict[str, Any]:
        kept = Kept()
        Wrapper(
            call,
            datastore=kept,
            redaction=redaction.Redaction([["user"], ["pin"]]),
            kept_input="hash",
            item_id="content",
            id_version=2,
            id_key_env="ID_KEY",
        )({"$batch": [item]})
        return kept.fields[0]

    item = {"user": {"mail": SECRET}, "pin": 4711, "n": 1}
    fields = recorded(item)
    assert fields["error"]["message"] == "no such user: [redacted] (pin [redacted])".replace(
        "[redacted] (", f"{spelled.replace(spelled.strip(chr(34) + chr(39)), '[redacted]')} ("
    )
    other = recorded(dict(item, pin=12))
    assert other["input"] == fields["input"] and other["id"] != fields["id"]
    monkeypatch.setenv("ID_KEY", "another")
    assert recorded(item)["id"] != fields["id"]


def test_a_content_id_stands_for_the_target_and_its_version_too() -> None:
    """From id version 2 on, an upgrade records anew; version 1 stays what it was."""
    settings = {"id": "content", "id_version": 2, "id_key_env": None}

    def id_of(version: int, **target: Any) -> str:
        return record_id.from_settings(dict(settings, id_version=version), target).of_value({"a": 1})

    assert (
        id_of(2, reference="o/t/1.0.0") == id_of(2, reference="o/t/1.0.0") != id_of(2, reference="o/t/1.0.1")
    )
    assert id_of(2, reference="inline:./a", source="sha256:1") != id_of(
        2, reference="inline:./a", source="sha256:2"
    )
    assert id_of(1, reference="o/t/1.0.0") == id_of(1, reference="o/t/1.0.1")
    assert id_of(1, reference="o/t") == "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"


class Known(Kept):
    """A datastore that tells the results that it has."""

    def results(self, run: str | None, ids: list[str]) -> dict[str, str]:
        mine = [one for one in self.fields if one["run"] == run and one["id"] in ids and "result" in one]
        return {one["id"]: json.dumps(one["result"]) for one in mine}


@pytest.mark.parametrize("batch_size", [1, 3])
def test_what_has_a_result_already_is_not_paid_for_again(batch_size: int) -> None:
    """The same run sent twice: recorded results come back and are marked; what failed is called again."""
    called: list[Any] = []

    def call(value: Any, seconds: float) -> Any:
        together = value if isinstance(value, list) else [value]
        called.extend(together)
        if (len(together) > 1 and "bad" in together) or together == ["bad"]:
            raise failed("InputError")
        return value

    store = Known()
    wrapper = Wrapper(call, datastore=store, batch_size=batch_size)
    wrapper.already = earlier_results.unknown
    batch = {"$batch": ["a", {"$binary": "AAE="}, "bad", "c"][:: 1 if batch_size == 1 else 2], "$run": "r"}
    first = wrapper(batch)
    called.clear()
    second = wrapper(batch)
    assert called and set(called) == {"bad"}
    assert first["$results"] == second["$results"]
    good = [
        place
        for place, got in enumerate(first["$results"])
        if not (isinstance(got, dict) and "$error" in got)
    ]
    assert second["$summary"]["already"] == {"items": len(good), "places": good}
    called.clear()
    wrapper(dict(batch, **{"$run": "another"}))
    assert "a" in called


def test_a_lookup_that_fails_half_way_ends_the_call_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a retryable DatastoreError and waits for no stop; nothing was called that has to be paid."""
    monkeypatch.setattr(earlier_results, "CHUNK", 2)

    class Failing(Known):
        looked_up = 0

        def results(self, run: str | None, ids: list[str]) -> dict[str, str]:
            self.looked_up += 1
            if self.looked_up > 2:
                raise protocol.Failure("DatastoreError", "it is down", True)
            return {}

    store, called = Failing(), []
    wrapper = Wrapper(lambda value, seconds: called.append(value), datastore=store, parallel=2)
    wrapper.already = earlier_results.unknown
    began = time.monotonic()
    with pytest.raises(protocol.Failure, match="it is down") as caught:
        wrapper({"$batch": list(range(10)), "$run": "r", "$timeout": 2900})
    assert (caught.value.error_type, caught.value.retryable) == ("DatastoreError", True)
    assert time.monotonic() - began < 600
    assert (called, store.fields) == ([], [])


def test_a_file_of_any_text_has_an_item_a_line(platform: Platform) -> None:
    """One reader of JSON Lines: NaN, infinity and split lines are refused as in a request."""
    platform.files["caller/in/x.jsonl"] = b'[NaN]\n{"a": Infinity}\n"a\rb"\n"ok"\r\n[1e999]\n'
    results = wrapper_on(platform)({"$batch": "data://caller/in/x.jsonl"})["$results"]
    assert [got["$error"]["type"] if isinstance(got, dict) else got for got in results] == [
        *["InputError"] * 3,
        "ok",
        "InputError",
    ]


def test_standard_output_may_be_gone() -> None:
    """A log that can't be written breaks no call."""
    wrapper, closed = Wrapper(lambda value, seconds: value, log="all"), io.StringIO()
    closed.close()
    with contextlib.redirect_stdout(closed):
        assert wrapper(["a"]) == ["a"]
