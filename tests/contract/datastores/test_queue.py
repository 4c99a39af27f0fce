"""What is particular to queues: sizes of requests, deduplication, pointers, and going on after an outage."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import Algorithmia
import pytest
from places import FifoQueue, Queue, failure, record
from runtime import datastore_sqs
from runtime.platform import connect
from runtime.protocol import Failure
from runtime.records import Refused
from servers import Server

from wrapgen.client import Client, Connection
from wrapgen.records import open_records


@pytest.fixture
def queue(sqs: Server, tmp_path: Path) -> Any:
    """A standard queue."""
    made = Queue(sqs, tmp_path)
    yield made
    made.close()


@pytest.fixture
def fifo(sqs: Server, tmp_path: Path) -> Any:
    """A FIFO queue."""
    made = FifoQueue(sqs, tmp_path)
    yield made
    made.close()


def test_a_request_has_at_most_ten_messages_and_256_kib() -> None:
    """Batches are as full as both limits allow, and keep the order."""
    sizes = [100_000, 100_000, 100_000, *[10] * 25, 262_144, 1]
    made = list(datastore_sqs.batches((n, "x" * size) for n, size in enumerate(sizes)))
    assert [n for batch in made for n, _ in batch] == list(range(len(sizes)))
    assert [len(batch) for batch in made] == [2, 10, 10, 6, 1, 1]
    assert all(sum(len(body) for _, body in batch) <= 262_144 for batch in made)


def test_large_records_travel_in_requests_of_their_own(queue: Queue) -> None:
    """A record of just 256 KiB is taken; the next larger one is refused, by itself."""
    spare = len(record("00", input="").line)
    fits = [record(f"{n:02}", input="x" * (262_144 - spare)) for n in range(3)]
    over = record("03", input="x" * (262_145 - spare))
    with pytest.raises(Refused, match="262145 bytes") as caught:
        queue.open().write([*fits[:2], over, fits[2]], 1)
    assert caught.value.records == [over]
    assert {name for _, name in queue.read()} == {"00", "01", "02"}


def test_a_fifo_queue_drops_repeats_but_no_other_outcome(fifo: FifoQueue) -> None:
    """The deduplication id is made of key, rank and try."""
    written = [
        record("a", send=1, error=failure(retryable=True)),
        record("a", send=1, error=failure(retryable=False)),
        record("a", send=2, error=failure(retryable=True)),
        record("a", send=2, result=1),
        record("a", send=2, result=1, run="r2"),
    ]
    for _ in range(2):
        fifo.open().write(written, 1)
    assert fifo.receive() == [each.line for each in written]


def test_after_an_outage_the_piece_goes_on_where_it_broke_off(queue: Queue) -> None:
    """Nothing that the queue has acknowledged is sent again."""
    datastore = queue.open()
    answers = []

    def answered(**_: Any) -> None:
        answers.append(1)
        if len(answers) == 3:
            queue.shut()

    datastore._queue.meta.events.register("after-call.sqs.SendMessageBatch", answered)
    records = [record(str(n), index=n) for n in range(55)]
    with pytest.raises(Failure):
        datastore.write(records, 1)
    queue.reopen()
    datastore.write(records, 1)
    assert sorted(queue.receive()) == sorted(each.line for each in records)


def test_a_queue_that_is_not_there_is_not_waited_for(queue: Queue) -> None:
    """No waiting makes a queue; the error says what is wrong."""
    settings = dict(queue.settings, url=queue.url + "_none")
    with pytest.raises(Failure, match="does not exist") as caught:
        datastore_sqs.Datastore(queue.large, settings).write([record("1")], 1)
    assert not caught.value.retryable


def test_an_oversize_record_goes_by_pointer(queue: Queue, platform: Any) -> None:
    """The message names the key and the URL of an object that holds the whole record."""
    facts = platform.facts
    collection = f"data://{facts['account']}/Wrapper_oversize"
    settings = {"url": queue.url, "url_env": None, "key_env": None, "gzip": False, "oversize": collection}
    vendor = Algorithmia.client(facts["api_key"], facts["address"])
    large, small = record("large", index=4, send=2, input="ü" * 100_000), record("small", index=5)
    datastore_sqs.Datastore(connect(vendor), settings).write([large, small], 1)
    message, other = sorted(queue.receive(), key=len, reverse=False)
    assert other == small.line
    pointer = json.loads(message)
    assert {key: pointer[key] for key in ("run", "id", "index", "try")} == {
        key: large.fields[key] for key in ("run", "id", "index", "try")
    }
    with (
        Client(Connection(facts["address"], facts["api_key"], "the test")) as client,
        open_records(client.data, pointer["pointer"]) as records,
    ):
        assert list(records) == [large.fields]


@pytest.mark.parametrize(
    ("url", "region"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/q", "eu-west-1"),
        ("https://sqs-fips.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1"),
        ("https://vpce-0a.sqs.eu-west-1.vpce.amazonaws.com/123456789012/q.fifo", "eu-west-1"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1"),
        ("http://127.0.0.1:5000/123456789012/q", "us-east-1"),
    ],
)
def test_the_region_is_read_from_the_queues_address(
    monkeypatch: pytest.MonkeyPatch, url: str, region: str
) -> None:
    """Nobody has to say it twice."""
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    assert datastore_sqs.region_of(url) == region
