"""The one contract of all datastores. Each test runs unchanged against every kind on the real thing."""

from __future__ import annotations

import itertools
import random
import threading
from typing import Any

import pytest
from places import Place, Sqlite, failure, record
from runtime.datastore_sql import best_of_each
from runtime.engine import Deadline
from runtime.items import Item, Outcome
from runtime.keys import KeyedItems
from runtime.protocol import BATCH, Failure, Request
from runtime.records import Record, Recorder, Refused

SETTINGS = {
    "target": "nlp/SentimentAnalysis/1.0.5",
    "wrapper": "acme/SentimentBatch@sha256:0",
    "input": "keep",
    "on_failure": "fail",
}
DEADLINE = 60.0


class Watched:
    """A datastore that tells when it was found away, and what was written."""

    def __init__(self, datastore: Any) -> None:
        self._datastore = datastore
        self.away = threading.Event()
        self.written = 0

    def write(self, records: list[Record], piece: int) -> None:
        try:
            self._datastore.write(records, piece)
        except Failure:
            self.away.set()
            raise
        self.written += 1


class Call:
    """The wrapper's own recorder for one call, and the lock that its parts share."""

    def __init__(self, datastore: Any, seconds: float = 60.0) -> None:
        request = Request(BATCH, [], run="r1")
        self.items = KeyedItems(request, [])
        self.recorder = Recorder(datastore, SETTINGS, self.items, Deadline(seconds))

    def put(self, item: Item, outcome: Outcome) -> None:
        outcome = self.recorder.prepare(item, outcome)
        with self.recorder.change:
            item.outcome = outcome
            self.items.listed.append(item)
            self.recorder.add(outcome.record)

    def finish(self) -> None:
        self.recorder.finish()


def result_of(position: int, value: Any) -> tuple[Item, Outcome]:
    """An item and its result, as dispatching gives them."""
    return Item(position, position, value), Outcome({"for": value}, 1_700_000_000.25, 0.5, 1)


def test_every_field_comes_back_as_it_was_written(place: Place) -> None:
    """Whatever JSON can say comes back the same: text of any kind, null, big numbers, failures, no input."""
    payloads = [
        "plain",
        "",
        None,
        False,
        0,
        -(2**70),
        1e300,
        [],
        {},
        [[None, {"": []}]],
        "ünïcödé 🎈 漢字 \u202e",
        "\x00 \x1f \x7f \u2028 \ud800",
        "'; DROP TABLE records; -- %s %(run)s :run \\",
        {"$literal": {"$error": 1}},
        {"$binary": "AAECAw=="},
        "long " * 20_000,
    ]
    records = [record(str(n), index=n, input=value, result=value) for n, value in enumerate(payloads)]
    records.append(record("failed", index=98, input="x", error=failure(retryable=False, message="\x00 ü 🎈")))
    records.append(record("no input", index=99, send=7, error=failure(retryable=True)))
    place.open().write(records, 1)
    assert place.read() == {each.key: each.fields for each in records}


def test_keys_are_told_apart_exactly(place: Place) -> None:
    """Ids that differ by case, spaces, accents, length or run are different keys."""
    ids = [
        "a",
        "A",
        "a ",
        " a",
        "á",
        "a\u0301",
        "ä",
        "æ",
        "1",
        "01",
        "1.0",
        "ß",
        "ss",
        "",
        "🎈",
        "'",
        '"',
        "%s",
        "x" * 5000,
    ]
    ids += ["x" * 4999 + "y", "line\nline", "\t", "null", "none"]
    runs = ["r1", "R1", "r_1", "none", None]
    records = [
        record(name, run=run, index=n, result=[run, name]) for run in runs for n, name in enumerate(ids)
    ]
    for run in runs:
        place.open().write([each for each in records if each.key[0] == run], 1)
    found = place.read()
    assert len(found) == len(records)
    assert {key: fields["result"] for key, fields in found.items()} == {
        each.key: [*each.key] for each in records
    }


def test_the_same_write_again_changes_nothing(place: Place) -> None:
    """A piece that is sent twice, by the same process or another, is recorded once."""
    records = [record(str(n), index=n, result=n) for n in range(50)]
    first = place.open()
    for datastore in (first, first, place.open()):
        datastore.write(records, 1)
    assert place.read() == {each.key: each.fields for each in records}


def test_the_better_record_stays_in_whatever_order_they_come(place: Place) -> None:
    """A result beats a final error beats a retryable one, then the higher try: in every order."""
    outcomes: list[tuple[int, dict[str, Any]]] = [
        (2, {"error": failure(retryable=False)}),
        (3, {"result": "third"}),
        (4, {"result": "fourth"}),
        (5, {"error": failure(retryable=True)}),
    ]
    orders = list(itertools.permutations(outcomes))
    datastore = place.open()
    for step in range(len(outcomes)):
        piece = [
            record(str(n), index=n, send=order[step][0], **order[step][1]) for n, order in enumerate(orders)
        ]
        datastore.write(piece, step + 1)
    assert {fields["result"] for fields in place.read().values()} == {"fourth"}


@pytest.mark.parametrize(
    ("early", "late"),
    [
        ((1, {"result": "done"}), (9, {"error": failure(retryable=True)})),
        ((1, {"result": "done"}), (9, {"error": failure(retryable=False)})),
        ((1, {"error": failure(retryable=False)}), (9, {"error": failure(retryable=True)})),
        ((3, {"result": "done"}), (2, {"result": "stale"})),
        ((3, {"error": failure(retryable=False)}), (2, {"error": failure(retryable=False, message="stale")})),
        ((3, {"error": failure(retryable=True)}), (2, {"error": failure(retryable=True, message="stale")})),
    ],
)
def test_a_late_stale_attempt_does_not_undo_a_better_one(place: Place, early: Any, late: Any) -> None:
    """What another process writes afterwards, and is worse or older, changes nothing."""
    best = record("1", send=early[0], **early[1])
    place.open().write([best], 1)
    place.open().write([record("1", send=late[0], **late[1])], 1)
    assert place.read() == {best.key: best.fields}


def test_of_equal_ids_in_one_write_the_best_is_kept(place: Place) -> None:
    """One piece may hold several records of a key, in any order."""
    chance = random.Random(4)
    records = [
        record(name, index=n, send=send, **outcome)
        for n, name in enumerate("abcdef")
        for send, outcome in enumerate(
            [
                {"error": failure(retryable=True)},
                {"result": 1},
                {"result": 2},
                {"error": failure(retryable=False)},
            ],
            1,
        )
    ]
    chance.shuffle(records)
    place.open().write(records, 1)
    assert {key[1]: fields["result"] for key, fields in place.read().items()} == dict.fromkeys("abcdef", 2)


def test_a_refused_record_costs_no_other(place: Place) -> None:
    """Of 100 items only the two whose records are refused become final RecordErrors, kept without payload."""
    if place.refusal:
        pytest.skip(place.refusal)
    datastore = place.open()
    datastore.write([record("before", index=1000)], 1)
    call = Call(datastore)
    for position in range(100):
        value = place.poison("x", 0).fields["input"] if position in (17, 63) else position
        call.put(*result_of(position, value))
    call.finish()
    failed = {item.position: failure for item, _, failure in call.items.failures()}
    assert {position: (f.error_type, f.retryable) for position, f in failed.items()} == {
        17: ("RecordError", False),
        63: ("RecordError", False),
    }
    found = place.read()
    assert len(found) == 101
    for position in (17, 63):
        fields = found["r1", str(position)]
        assert fields["error"]["type"] == "RecordError"
        assert "input" not in fields
        assert "poison" not in fields["error"]["message"]
    assert call.recorder.counts["recorded"] == 100


def test_a_refused_record_is_told_from_a_store_that_is_away(place: Place) -> None:
    """The same write fails as Refused for its content, as Failure while nothing can be written."""
    if place.refusal:
        pytest.skip(place.refusal)
    datastore = place.open()
    datastore.write([record("fine")], 1)
    poison = place.poison("bad", 1)
    with pytest.raises(Refused):
        datastore.write([poison], 2)
    place.shut()
    with pytest.raises(Failure):
        datastore.write([record("other", index=2)], 3)
    place.reopen()
    datastore.write([record("other", index=2)], 3)
    assert {key[1] for key in place.read()} == {"fine", "other"}


def test_nothing_is_lost_when_the_store_goes_away_half_way_and_comes_back(place: Place) -> None:
    """The recorder goes on where it was; every record is there once, and the call succeeds."""
    watched = Watched(place.open())
    call = Call(watched)
    for position in range(40):
        call.put(*result_of(position, position))
    call.finish()
    place.shut()
    for position in range(40, 90):
        call.put(*result_of(position, position))
    flushing = threading.Thread(target=call.finish)
    flushing.start()
    assert watched.away.wait(DEADLINE), "the store was not found away"
    place.reopen()
    flushing.join(DEADLINE)
    assert not flushing.is_alive()
    found = place.read()
    assert {int(key[1]): fields["result"] for key, fields in found.items()} == {
        n: {"for": n} for n in range(90)
    }
    assert call.recorder.counts["recorded"] == 90
    assert list(call.items.failures()) == []


def test_a_store_that_stays_away_fails_the_call_and_may_be_sent_again(place: Place) -> None:
    """Once the time is over the call fails with a retryable DatastoreError; a resend records all."""
    datastore = place.open()
    datastore.write([record("before", index=1000)], 1)
    place.shut()
    for _ in range(2):
        call = Call(datastore, seconds=1.0)
        for position in range(20):
            call.put(*result_of(position, position))
        with pytest.raises(Failure) as caught:
            call.finish()
        assert (caught.value.error_type, caught.value.retryable) == ("DatastoreError", True)
        assert "secret" not in caught.value.message
    place.reopen()
    call = Call(datastore)
    for position in range(20):
        call.put(*result_of(position, position))
    call.finish()
    assert call.recorder.counts["recorded"] == 20
    assert len(place.read()) == 21


def test_writers_at_once_end_with_the_best_of_each_key(place: Place) -> None:
    """Four writers start together on an empty store, with overlapping keys in orders of their own."""
    chance = random.Random(9)
    outcomes = [{"result": "r"}, {"error": failure(retryable=False)}, {"error": failure(retryable=True)}]
    pieces: list[list[list[Record]]] = []
    for writer in range(4):
        ids = list(range(20))
        chance.shuffle(ids)
        records = [
            record(str(n), index=n, send=writer * 10 + turn, **chance.choice(outcomes))
            for turn in range(2)
            for n in ids
        ]
        pieces.append([records[start : start + 15] for start in range(0, len(records), 15)])
    start, faults = threading.Barrier(4), []

    def write(mine: list[list[Record]], datastore: Any) -> None:
        try:
            start.wait(DEADLINE)
            for number, piece in enumerate(mine, 1):
                datastore.write(piece, number)
        except BaseException as fault:
            faults.append(fault)

    if isinstance(place, Sqlite):  # writers at once wait for each other, and not for 0.2 s only
        place.url = place.url.partition("?")[0]
    stores = [place.open() for _ in range(4)]
    threads = [threading.Thread(target=write, args=pair) for pair in zip(pieces, stores, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    assert faults == []
    everything = [each for mine in pieces for piece in mine for each in piece]
    assert place.read() == {best.key: best.fields for best in best_of_each(everything)}
