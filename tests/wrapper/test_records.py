"""Records: what they say, their keys, pieces, refusals, a datastore that is away, redaction."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from flow import Kept, Wrapper, failed
from hypothesis import given, settings
from hypothesis import strategies as st
from runtime import datastore_data, datastore_sql, engine, protocol, records, redaction
from runtime import platform as api
from standins import Platform, Reply
from test_protocol import ANYTHING

FIELDS = [
    "run",
    "id",
    "index",
    "try",
    "input",
    "result",
    "target",
    "wrapper",
    "started_at",
    "duration_ms",
    "attempts",
]


def echo(value: Any, seconds: float) -> Any:
    return value


def test_a_record_says_what_the_design_says() -> None:
    """All fields in order, bytes and look-alikes as they travel in batches."""
    kept = Kept()
    batch = ["x", {"$binary": "AAE="}, {"$literal": {"$error": 1}}]
    Wrapper(echo, datastore=kept)({"$batch": batch, "$run": "r", "$index": 40, "$try": 3})
    by_id = {fields["id"]: fields for fields in kept.fields}
    assert list(by_id) == sorted(by_id) or set(by_id) == {"40", "41", "42"}
    assert list(by_id["40"]) == FIELDS
    first = by_id["40"]
    assert (first["run"], first["index"], first["try"], first["attempts"]) == ("r", 40, 3, 1)
    assert (first["input"], first["result"]) == ("x", "x")
    assert (first["target"], first["wrapper"]) == ("o/t/1.0.0", "o/W@sha256:0")
    assert by_id["41"]["result"] == {"$binary": "AAE="}
    assert by_id["42"]["input"] == {"$literal": {"$error": 1}}
    assert len(first["started_at"]) == len("2026-01-01T00:00:00.000Z")


def test_failures_are_recorded_with_an_error_and_no_result() -> None:
    """One of the two, never both."""

    def call(value: Any, seconds: float) -> Any:
        raise failed("InputError", "bad")

    kept = Kept()
    Wrapper(call, datastore=kept)(["x"])
    assert kept.fields[0]["error"] == {"type": "InputError", "message": "bad", "retryable": False}
    assert "result" not in kept.fields[0]


def test_random_keys_never_clash() -> None:
    """Without run and ids every call is recorded anew."""
    kept = Kept()
    wrapper = Wrapper(echo, datastore=kept)
    wrapper("x")
    wrapper("x")
    wrapper(["x", "x"])
    keys = {(fields["run"], fields["id"]) for fields in kept.fields}
    assert len(keys) == 4


@pytest.mark.parametrize(
    ("item_id", "items", "ids"),
    [
        (["user", "id"], [{"user": {"id": 7}}, {"user": {"id": "a"}}], {"7", "a"}),
        (["rows", 0], [{"rows": ["k"]}], {"k"}),
        ([0], [["k", 1]], {"k"}),
    ],
)
def test_ids_can_come_from_the_item(item_id: Any, items: list[Any], ids: set[str]) -> None:
    """A path finds text or a whole number; the run is then none, so that calls share keys."""
    kept = Kept()
    Wrapper(echo, datastore=kept, item_id=item_id)({"$batch": items})
    assert {(fields["run"], fields["id"]) for fields in kept.fields} == {(None, one) for one in ids}


def test_equal_items_share_a_record_by_content() -> None:
    """With `content` equal items have one key in every call, whatever the order of their keys."""
    kept = Kept()
    wrapper = Wrapper(echo, datastore=kept, item_id="content")
    assert wrapper([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == [{"a": 1, "b": 2}] * 2
    wrapper({"b": 2, "a": 1})
    assert len(kept.fields) == 2
    assert len({(fields["run"], fields["id"]) for fields in kept.fields}) == 1


def test_a_malformed_item_has_the_id_of_its_content() -> None:
    """It is not mistaken for the item of that index in another call, nor for one that says the same."""
    kept = Kept()
    wrapper = Wrapper(echo, datastore=kept, item_id="content")
    wrapper([{"$binary": 1}])
    results = wrapper(["a", {"$binary": 2}, {"$literal": {"$binary": 2}}, {"$binary": 1}])
    ids = [(fields["id"], fields["index"]) for fields in kept.fields]
    assert results[2] == {"$literal": {"$binary": 2}}
    assert len({one for one, _ in ids}) == 4
    assert len({one for one, index in ids if index in (0, 3)}) == 2
    assert all(len(one) == 64 for one, _ in ids)


@pytest.mark.parametrize(
    "item", [{}, {"id": None}, {"id": True}, {"id": ""}, {"id": 1.5}, {"id": []}, "text", None]
)
def test_an_item_without_its_id_is_an_input_error(item: Any) -> None:
    """Only that item fails, and its failure is recorded under its content."""
    kept = Kept()
    results = Wrapper(echo, datastore=kept, item_id=["id"])([item, {"id": "a"}])
    assert results[0]["$error"]["type"] == "InputError"
    assert results[1] == {"id": "a"}
    assert len(kept.fields) == 2


def test_what_the_caller_names_comes_before_the_item() -> None:
    """With `$run` the id is the run index, with `$ids` it is the caller's."""
    kept = Kept()
    wrapper = Wrapper(echo, datastore=kept, item_id=["id"])
    wrapper({"$batch": [{"id": "a"}], "$run": "r", "$index": [12]})
    wrapper({"$batch": [{"id": "a"}], "$ids": ["mine"]})
    assert [(fields["run"], fields["id"]) for fields in kept.fields] == [("r", "12"), (None, "mine")]


def test_pieces_are_written_as_work_proceeds() -> None:
    """At most 1,000 records and 8 MB in a piece, and none waits longer than 60 s."""
    kept = Kept()
    Wrapper(echo, datastore=kept)(list(range(2500)))
    assert [len(piece) for piece in kept.pieces] == [1000, 1000, 500]
    kept = Kept()
    Wrapper(echo, datastore=kept, response_bytes=100_000_000)(["x" * 1_500_000] * 9)
    assert all(sum(len(record.line) for record in piece) <= 8_000_000 for piece in kept.pieces)
    assert sum(map(len, kept.pieces)) == 9
    kept, now = Kept(), [0.0]

    def slow(value: int, seconds: float) -> int:
        now[0] += 25
        return value

    Wrapper(slow, datastore=kept, clock=lambda: now[0], one_by_one=True, timeout=2970)([1, 2, 3, 4, 5, 6, 7])
    assert [len(piece) for piece in kept.pieces] == [4, 3]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 60), st.data())
def test_a_refused_record_costs_no_other(count: int, data: st.DataObject) -> None:
    """Bisection finds it; its item becomes a final RecordError, recorded without its payload."""
    poison = data.draw(st.sets(st.integers(0, count - 1)))
    tells = data.draw(st.booleans())

    def trouble(written: list[Any]) -> None:
        bad = [record for record in written if record.fields.get("result") in poison]
        if bad:
            if tells:
                kept.pieces.append([record for record in written if record not in bad])
            raise records.Refused("not this one", bad if tells else None)

    kept = Kept(trouble)
    reply = Wrapper(lambda value, seconds: value, datastore=kept)({"$batch": list(range(count)), "$run": "r"})
    by_id = {fields["id"]: fields for fields in kept.fields}
    assert set(by_id) == {str(number) for number in range(count)}
    for number, result in enumerate(reply["$results"]):
        if number in poison:
            assert result["$error"]["type"] == by_id[str(number)]["error"]["type"] == "RecordError"
            assert result["$error"]["retryable"] is False
            assert not {"input", "result"} & set(by_id[str(number)])
        else:
            assert result == number
    assert reply["$summary"]["recorded"] == count
    assert reply["$summary"]["failed"] == len(poison)


def test_a_datastore_that_comes_back_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is asked again inside the margin."""
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.001)
    left = [3]

    def trouble(written: list[Any]) -> None:
        if left[0]:
            left[0] -= 1
            raise protocol.Failure("DatastoreError", "away", True)

    kept = Kept(trouble)
    assert Wrapper(echo, datastore=kept)([1, 2]) == [1, 2]
    assert len(kept.fields) == 2


def test_a_datastore_that_stays_away_fails_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole call is a retryable DatastoreError, whatever its form, and it ends in time."""
    monkeypatch.setattr(engine, "FIRST_PAUSE", 0.01)

    def trouble(written: list[Any]) -> None:
        raise protocol.Failure("DatastoreError", "away", True)

    for call in ("x", ["x"], {"$batch": ["x"], "$timeout": 1}):
        with pytest.raises(protocol.Failure, match="away") as caught:
            Wrapper(echo, datastore=Kept(trouble), timeout=1)(call)
        assert (caught.value.error_type, caught.value.retryable) == ("DatastoreError", True)


@pytest.mark.parametrize(("policy", "expected"), [("keep", {"input": "x"}), ("drop", {})])
def test_the_input_is_kept_or_dropped(policy: str, expected: dict[str, Any]) -> None:
    """The spec decides what a record holds of the item."""
    kept = Kept()
    Wrapper(echo, datastore=kept, kept_input=policy)(["x"])
    assert {key: value for key, value in kept.fields[0].items() if key == "input"} == expected


def test_a_hashed_input_is_the_same_for_equal_items() -> None:
    """A digest takes the input's place."""
    kept = Kept()
    Wrapper(echo, datastore=kept, kept_input="hash")([{"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2}])
    digests = [
        fields["input"]["$sha256"] for fields in sorted(kept.fields, key=lambda fields: fields["index"])
    ]
    assert digests[0] == digests[1] != digests[2]
    assert all(len(digest) == 64 for digest in digests)


def test_redacted_paths_are_blanked_in_items_and_results_only_where_recorded() -> None:
    """The caller gets everything; the record has no secret."""
    kept = Kept()
    item = {"user": {"email": "a@b.c", "name": "n"}, "rows": [{"pin": 1}, {"pin": 2}, 3]}
    wrapper = Wrapper(
        echo,
        datastore=kept,
        redaction=redaction.Redaction([["user", "email"], ["rows", None, "pin"], ["gone", "x"], ["rows", 9]]),
    )
    assert wrapper([item]) == [item]
    clean = {
        "user": {"email": "[redacted]", "name": "n"},
        "rows": [{"pin": "[redacted]"}, {"pin": "[redacted]"}, 3],
    }
    assert kept.fields[0]["input"] == kept.fields[0]["result"] == clean


@given(
    st.recursive(st.integers() | st.text(), lambda i: st.lists(i) | st.dictionaries(st.text(), i)),
    st.lists(st.none() | st.integers(0, 3) | st.text()),
)
def test_redaction_takes_any_value_and_path(value: Any, path: list[Any]) -> None:
    """It never fails, and never changes what it was given."""
    before = json.dumps(value)
    redaction.redact(value, [path])
    assert json.dumps(value) == before


@settings(max_examples=100, deadline=None)
@given(st.lists(ANYTHING, min_size=1, max_size=4), st.sampled_from([1, 3]), st.booleans())
def test_a_line_says_what_the_fields_say(values: list[Any], batch_size: int, redacts: bool) -> None:
    """What was encoded for a call or an answer is used again in the line, as if it were encoded anew."""
    kept = Kept()
    blank = redaction.Redaction([[None]]) if redacts else None
    wrapper = Wrapper(echo, datastore=kept, batch_size=batch_size, redaction=blank)
    wrapper({"$batch": [protocol.to_wire(value) for value in values], "$run": "r"})
    written = [record for piece in kept.pieces for record in piece]
    assert len(written) == len(values)
    assert all(one.line == json.dumps(one.fields) for one in written)


def record(number: int, run: str | None = "r", send: int = 1, **outcome: Any) -> records.Record:
    fields = {"run": run, "id": str(number), "index": number, "try": send, **(outcome or {"result": number})}
    return records.Record(fields)


STORE = {"url": "data://acme/scores", "key_env": None, "gzip": False}


def test_objects_are_named_for_run_index_ids_try_and_piece(platform: Platform) -> None:
    """Their listing sorts by run and index; the missing collection is made, private."""
    store = datastore_data.Datastore(api.connect(platform.client()), STORE)
    store.write([record(12), record(7)], 3)
    (name,) = platform.files
    assert name.startswith("acme/scores/r-000000000007-")
    assert name.endswith("-t1-p3.jsonl")
    assert [json.loads(line)["id"] for line in platform.files[name].splitlines()] == ["12", "7"]
    made = next(request for request in platform.requests if request.method == "POST")
    assert (made.path, json.loads(made.body)) == ("/v1/data/acme", {"name": "scores", "acl": {"read": []}})


def test_objects_are_compressed_on_request(platform: Platform) -> None:
    """The name says so."""
    datastore_data.Datastore(api.connect(platform.client()), {**STORE, "gzip": True}).write([record(1)], 1)
    ((name, body),) = platform.files.items()
    assert name.endswith("-p1.jsonl.gz")
    assert json.loads(gzip.decompress(body)) == record(1).fields


def test_rights_that_lack_are_not_waited_for(platform: Platform) -> None:
    """Waiting mends no key: the call fails at once, as a retryable DatastoreError."""
    platform.data = lambda method, path: Reply(403, {"error": {"message": "not yours"}})
    store = datastore_data.Datastore(api.connect(platform.client()), STORE)
    with pytest.raises(protocol.Failure, match="not yours") as caught:
        Wrapper(echo, datastore=store)(["x"])
    assert caught.value.error_type == "DatastoreError"
    assert len(platform.requests) == 1


def test_a_write_repeated_replaces_itself_and_no_other_write(platform: Platform) -> None:
    """The same piece again is the same object; one that says something else of the same ids is another."""
    store = datastore_data.Datastore(api.connect(platform.client()), STORE)
    store.write([record(1)], 1)
    store.write([record(1)], 1)
    assert len(platform.files) == 1
    store.write([record(1, error={"type": "x", "message": "", "retryable": True})], 1)
    store.write([record(1, send=2)], 1)
    store.write([record(1, run=None)], 1)
    assert len(platform.files) == 4


def test_the_writers_key_comes_from_its_variable(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `key_env` the records are written with that key, whoever calls."""
    monkeypatch.setenv("WRITER", "simWriter")
    store = datastore_data.Datastore(
        api.connect(platform.client()), {"url": "s3://bucket/folder", "key_env": "WRITER", "gzip": False}
    )
    store.write([record(1)], 1)
    assert {request.headers["Authorization"] for request in platform.requests} == {"simWriter"}
    assert next(iter(platform.files)).startswith("s3/bucket/folder/r-")


def test_a_writers_key_that_is_not_set_is_told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records are never written with another key than the one that the spec names."""
    monkeypatch.delenv("WRITER", raising=False)
    with pytest.raises(ValueError, match="WRITER"):
        datastore_data.Datastore(api.connect(platform.client()), {**STORE, "key_env": "WRITER"})


@pytest.mark.parametrize(
    ("status", "kind", "lasting"),
    [
        *((status, records.Refused, None) for status in (400, 413, 415, 422)),
        *((status, protocol.Failure, True) for status in (301, 307, 401, 402, 403, 404, 405, 410, 412)),
        *((status, protocol.Failure, False) for status in (200, 201, 408, 409, 429, 500, 503, 504)),
    ],
)
def test_a_refused_object_is_told_from_a_datastore_that_is_away(
    platform: Platform, status: int, kind: type[Exception], lasting: bool | None
) -> None:
    """Only what is wrong with the records themselves is bisected; nothing else may cost their payloads."""
    platform.data = lambda method, path: Reply(status, {"error": {"message": "no"}})
    with pytest.raises(kind, match="no") as caught:
        datastore_data.Datastore(api.connect(platform.client()), STORE).write([record(1)], 1)
    assert lasting is None or caught.value.retryable is not lasting


@pytest.mark.parametrize(
    ("body", "fails"),
    [
        (b'{"error": {"message": "no"}}', True),
        (b' {\n "error" : "no"}', True),
        (b'{"result": null, "error": {"message": "no", "code": 5001}}', True),
        (b'{"result": "data://acme/scores/error"}', False),
        (b"", False),
        (b'["error"]', False),
        (b"<html>", False),
    ],
)
def test_an_error_inside_a_successful_answer_is_an_error(
    platform: Platform, body: bytes, fails: bool
) -> None:
    """However the JSON is laid out; the write is made again, as nothing says that a record is at fault."""
    platform.data = lambda method, path: Reply(200, body)
    store = datastore_data.Datastore(api.connect(platform.client()), STORE)
    if not fails:
        store.write([record(1)], 1)
        return
    with pytest.raises(protocol.Failure, match="no") as caught:
        store.write([record(1)], 1)
    assert caught.value.retryable


def test_precedence_is_rank_then_try() -> None:
    """A result beats a final error, which beats a retryable one; then the higher try, then the earlier."""
    retryable = {"type": "ServerError", "message": "", "retryable": True}
    final = {"type": "InputError", "message": "", "retryable": False}
    written = [
        record(1, error=final, send=9),
        record(1, send=2),
        record(1, error=retryable, send=10),
        record(1, send=3),
        record(1, result="late", send=3),
        record(2, error=retryable, send=5),
        record(2, error=final, send=1),
    ]
    best = {one.fields["id"]: one.fields for one in datastore_sql.best_of_each(written)}
    assert (best["1"]["result"], best["1"]["try"]) == (1, 3)
    assert best["2"]["error"] == final
